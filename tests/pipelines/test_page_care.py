"""The page in a real browser: typed numbers, keys and fingers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.pipelines.browser import Place, Sight, moved
from tests.pipelines.commands import SIDE

PRESS = """event => document.body.dispatchEvent(
    new KeyboardEvent("keydown", {...event, bubbles: true, cancelable: true}))"""


def number(sight: Sight) -> Locator:
    """Where the selected particle's x is typed."""
    return sight.tab.get_by_label("Position, pixels, x")


def empty_place(sight: Sight) -> Place:
    """The place within the frame that is farthest from all particles."""
    places = np.argwhere(np.ones((SIDE - 6, SIDE - 6))) + 3
    away = np.linalg.norm(places[:, None] - list(sight.particles.values()), axis=-1)
    x, y = places[away.min(1).argmax()]
    return float(x), float(y)


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Sight]:
    """The page under a finger."""
    with browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    ) as context:
        seen = Sight(context.new_page(), address).open()
        yield seen
        assert seen.errors == []


def test_a_typed_number_is_the_selected_particles_not_the_next_ones(sight: Sight):
    start = sight.particles
    x = 1 if start[1][0] > SIDE / 2 else SIDE - 2
    sight.choose(0)
    number(sight).press("Control+a")
    number(sight).press_sequentially(f"{x}")
    sight.tab.mouse.click(*sight.on_screen(start[1]))
    sight.settle()
    assert sight.selected == [1]
    assert sight.particles == start | {0: (x, start[0][1])}
    expect(number(sight)).to_have_value(f"{start[1][0]:.1f}")


def test_a_number_beyond_the_frame_is_shown_as_it_was_taken(sight: Sight):
    sight.choose(0)
    number(sight).fill("999")
    number(sight).press("Enter")
    expect(number(sight)).to_have_value(f"{SIDE - 0.5}")
    number(sight).fill("998")  # nothing moves, yet what is shown must be true
    number(sight).press("Enter")
    expect(number(sight)).to_have_value(f"{SIDE - 0.5}")
    sight.settle()
    assert sight.particles[0][0] == SIDE - 0.5


def test_escape_within_a_drag_leaves_what_can_be_done_again(sight: Sight):
    start = sight.particles
    sight.drag(start[0], moved(start[0]))
    after = sight.particles
    sight.press("Control+z")
    sight.tab.mouse.move(*sight.on_screen(start[0]))
    sight.tab.mouse.down()
    sight.press("Escape")
    sight.tab.mouse.move(*sight.on_screen(moved(start[0])), steps=4)
    sight.tab.mouse.up()
    expect(sight.tab.locator("#undo")).to_be_disabled()
    assert sight.particles == start
    sight.press("Control+Shift+z")
    assert sight.particles == after


@pytest.mark.parametrize("key", ["Control+a", "Delete"])
def test_a_key_within_a_drag_is_one_step_or_none(sight: Sight, key: str):
    start = sight.particles
    sight.tab.mouse.move(*sight.on_screen(start[0]))
    sight.tab.mouse.down()
    sight.press(key)
    sight.tab.mouse.move(*sight.on_screen(moved(start[0])), steps=4)
    sight.tab.mouse.up()
    sight.settle()
    others = {name: place for name, place in sight.particles.items() if name}
    assert others == {name: place for name, place in start.items() if name}
    assert sight.particles.get(0) != start[0]
    sight.press("Control+z")
    assert sight.particles == start
    expect(sight.tab.locator("#undo")).to_be_disabled()


def test_a_push_is_of_the_particle_that_was_taken_hold_of(sight: Sight):
    sight.tab.get_by_text("Push", exact=True).first.click()
    sight.tab.mouse.move(*sight.on_screen(sight.particles[0]))
    sight.tab.mouse.down()
    sight.press("Control+a")
    sight.tab.mouse.move(*sight.on_screen(moved(sight.particles[0])), steps=4)
    sight.tab.mouse.up()
    sight.settle()
    labels = [chip.get_attribute("aria-label") or "" for chip in sight.tab.locator(".chip").all()]
    assert ["pushed by" in label for label in labels] == [True, *[False] * (len(labels) - 1)]


def test_capslock_undoes_and_shift_alone_does_again(sight: Sight):
    place = sight.particles[0]
    sight.drag(place, moved(place))
    after = sight.particles
    key = {"code": "KeyZ", "ctrlKey": True}
    sight.tab.evaluate(PRESS, key | {"key": "Z"})
    assert sight.particles[0] == place
    sight.tab.evaluate(PRESS, key | {"key": "z", "shiftKey": True})  # as CapsLock gives it
    assert sight.particles == after
    sight.tab.evaluate(PRESS, key | {"key": "я"})
    assert sight.particles[0] == place
    sight.press("Control+Shift+z")
    assert sight.particles == after


def test_a_layout_with_other_letters_rolls_out(sight: Sight):
    sight.tab.fill("#horizon", "2")
    with sight.tab.expect_response("**/changed.png"):
        sight.tab.evaluate(PRESS, {"key": "к", "code": "KeyR"})
    expect(sight.tab.locator("#player")).to_be_visible()


def test_keys_do_nothing_behind_the_dialog_that_tells_of_them(sight: Sight):
    sight.choose(0)
    start = sight.particles
    sight.tab.click("#help-open")
    sight.tab.click("#help-title")  # the focus leaves its button
    sight.press("r", "ArrowRight", "Delete")
    sight.tab.evaluate(PRESS, {"key": "ArrowRight"})  # and of the page under it
    sight.tab.get_by_role("button", name="Close").click()
    assert sight.particles == start
    sight.roll_out(horizon=2)
    assert len(sight.sent("/api/rollouts")) == 1


def test_enter_on_a_chip_goes_to_its_numbers(sight: Sight):
    start = sight.particles
    sight.choose(0, 1)
    sight.tab.locator('.chip[data-id="1"]').press("Enter")
    expect(number(sight)).to_be_focused()
    assert sight.selected == [1]
    sight.tab.keyboard.type("7")  # in place of what stands there
    sight.press("Enter")
    assert sight.particles == start | {1: (7, start[1][1])}


@pytest.mark.parametrize("stage", ["frame", "picture"])
def test_a_tap_on_empty_ground_lets_go_and_a_scroll_from_there_does_not(phone: Sight, stage: str):
    place = empty_place(phone)
    phone.choose(0)
    phone.tab.touchscreen.tap(*phone.on_screen(place, stage))
    expect(phone.tab.locator('.chip[aria-pressed="true"]')).to_have_count(0)
    phone.choose(0)
    fingers = phone.tab.context.new_cdp_session(phone.tab)
    x, y = phone.on_screen(place, stage)
    before = phone.tab.evaluate("scrollY")
    for moved_by in range(0, 121, 20):
        kind = "touchMove" if moved_by else "touchStart"
        points = [{"x": x, "y": y - moved_by}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    phone.tab.wait_for_function("before => scrollY > before", arg=before)
    assert phone.selected == [0]
