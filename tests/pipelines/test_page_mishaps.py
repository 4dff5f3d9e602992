"""The page when hands tremble, storage is full or blocked, and scenes are crowded."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.pipelines.browser import Place, Sight, changed, moved

COUNTED = """() => {
    const set = Storage.prototype.setItem;
    window.writes = 0;
    Storage.prototype.setItem = function (...entry) { window.writes += 1; set.apply(this, entry); };
}"""
LIMITED = """most => {
    const set = Storage.prototype.setItem;
    Storage.prototype.setItem = function (name, value) {
        if (value.length > most) throw new DOMException("too much", "QuotaExceededError");
        set.call(this, name, value);
    };
}"""
BLOCKED = """for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(window, name, {get() { throw new DOMException("no", "SecurityError"); }});
"""
LONGEST = 3000  # characters that fit into the small storage


def go(sight: Sight, frame: int) -> None:
    """To another frame; its picture is asked for when it is there."""
    with sight.tab.expect_response("**/api/decode"):
        sight.tab.locator("#time").fill(str(frame))
    sight.settle()


def test_what_was_done_is_written_when_a_gesture_ends_not_at_every_step(sight: Sight):
    sight.tab.evaluate(COUNTED)
    place = sight.particles[0]
    sight.drag(place, moved(place), hold=True)
    assert sight.particles[0] == pytest.approx(moved(place), abs=0.3)
    assert sight.tab.evaluate("window.writes") == 0
    sight.tab.mouse.up()
    sight.settle()
    assert sight.tab.evaluate("window.writes") == 1
    sight.drag(moved(place), place, hold=True)
    there = sight.particles
    sight.open()  # within a gesture
    assert sight.particles == there
    sight.tab.mouse.up()


def test_full_storage_costs_the_oldest_steps_and_no_frames_edit(sight: Sight):
    sight.tab.evaluate(LIMITED, LONGEST)
    sight.choose(0)
    sight.tab.locator("#frame .overlay").focus()
    sight.press("Shift+ArrowRight")
    first = sight.particles[0]
    go(sight, 12)
    sight.choose(0)
    sight.tab.locator("#frame .overlay").focus()
    presses = 0
    while "storage is full" not in sight.said():
        assert presses < 2 * LONGEST / len('{"changes":')
        sight.press("ArrowDown" if presses % 2 else "ArrowUp")
        presses += 1
    assert "cannot be undone" in sight.said()
    last = sight.particles[0]
    sight.press("Control+z", "Control+Shift+z")  # the newest can
    assert sight.particles[0] == last
    go(sight, 9)
    assert sight.particles[0] == first
    sight.open()
    assert sight.particles[0] == first
    go(sight, 12)
    assert sight.particles[0] == last


def test_storage_in_which_nothing_fits_is_said_and_loses_nothing_before_a_reload(sight: Sight):
    sight.tab.evaluate(LIMITED, 10)
    before, place = sight.pixels(), sight.particles[0]
    sight.drag(place, moved(place))
    assert "save the edit" in sight.said()
    go(sight, 12)
    go(sight, 9)
    assert changed(before, sight.pixels()).any()
    sight.press("Control+z")
    assert (sight.pixels() == before).all()


def test_a_browser_that_blocks_storage_shows_the_page_all_the_same(browser: Browser, address: str):
    with browser.new_context() as context:
        context.add_init_script(BLOCKED)
        sight = Sight(context.new_page(), address).open()
        place = sight.particles[0]
        sight.drag(place, moved(place))
        assert sight.particles[0] == pytest.approx(moved(place), abs=0.3)
        assert "storage" not in sight.said()
        theme = sight.tab.evaluate("document.documentElement.dataset.theme")
        sight.tab.click("#theme")
        assert sight.tab.evaluate("document.documentElement.dataset.theme") != theme
        assert sight.errors == []


def test_futures_of_another_frame_are_said_to_be_of_another_scene(sight: Sight):
    sight.roll_out(horizon=2)
    stale = sight.tab.locator("#stale")
    expect(stale).to_be_hidden()
    sight.tab.locator("#time").fill("12")
    expect(stale).to_be_visible()
    sight.tab.locator("#time").fill("9")
    expect(stale).to_be_hidden()


def test_a_hand_that_trembles_changes_nothing(sight: Sight):
    x, y = sight.on_screen(sight.particles[0])
    start = sight.particles
    sight.tab.mouse.move(x, y)
    sight.tab.mouse.down()
    sight.tab.mouse.move(x + 1, y + 1)
    sight.tab.mouse.up()
    sight.settle()
    assert sight.selected == [0]
    assert sight.particles == start
    assert sight.tab.locator("#undo").is_disabled()


def test_a_second_finger_does_not_take_the_particle(browser: Browser, address: str):
    with browser.new_context(
        viewport={"width": 800, "height": 740}, has_touch=True, is_mobile=True
    ) as context:
        sight = Sight(context.new_page(), address).open()
        place, other = sight.particles[0], sight.particles[1]
        fingers = context.new_cdp_session(sight.tab)

        def touch(kind: str, *places: Place) -> None:
            points = [
                {**dict(zip("xy", sight.on_screen(at), strict=True)), "id": number}
                for number, at in enumerate(places)
            ]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", place)
        touch("touchMove", (place[0] + 2, place[1] + 2))
        touch("touchStart", (place[0] + 2, place[1] + 2), other)
        touch("touchMove", (place[0] + 2, place[1] + 2), moved(other))
        touch("touchMove", moved(place), moved(other))
        touch("touchEnd")
        sight.settle()
        assert sight.selected == [0]
        assert sight.particles[0] == pytest.approx(moved(place), abs=0.3)
        assert sight.particles[1] == other


def test_a_double_click_copies_the_selected_one_not_the_nearest(sight: Sight):
    place = (3.0, 29.0)
    far = max(sight.particles, key=lambda n: abs(sight.particles[n][0] - place[0]))
    sight.choose(far)
    sight.tab.mouse.dblclick(*sight.on_screen(place))
    sight.settle()
    looks = {p["id"]: p["appearance"] for p in sight.sent("/api/decode")[-1]["particles"]}
    (added,) = sight.selected
    assert looks[added] == looks[far]
    sight.tab.mouse.click(*sight.on_screen((29, 3)))
    assert sight.selected == []  # one click lets go


def test_a_full_scene_refuses_another_particle(sight: Sight):
    def lesser(route: Route) -> None:
        about = route.fetch().json()
        limits = about["limits"] | {"particles": 6}
        route.fulfill(json=about | {"limits": limits})

    sight.tab.route("**/api/about", lesser)
    sight.open()
    sight.choose(0)
    sight.press("Control+d")
    there = sight.particles
    assert len(there) == 6
    sight.press("Control+d")
    assert "room for 6 particles" in sight.refused()
    sight.tab.mouse.dblclick(*sight.on_screen((3, 29)))
    sight.settle()
    assert sight.particles == there


def test_a_row_of_the_fan_that_is_filled_anew_is_two_tracks(sight: Sight):
    """Else a line joins the place where one left to the place where the next came."""
    ends, middle = ((4.0, 4.0), (27.0, 27.0)), (15.5, 15.5)

    def crafted(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        if result := answer.get("result"):
            result["samples"] = [[[ends[0]], [ends[0]], [ends[1]], [ends[1]]]]
            result["sample_ids"] = [[[0], [0], [1], [1]]]
        route.fulfill(json=answer)

    sight.tab.route("**/api/rollouts/*", crafted)
    sight.roll_out(horizon=4, samples=1)

    def fan(step: int, place: Place) -> Any:
        """Of what the fan paints around a place: how many pixels."""
        sight.scrub(step)
        painted = sight.signs("changed")
        sight.tab.uncheck("#show-fan")
        seen = changed(painted, sight.signs("changed"))
        sight.tab.check("#show-fan")
        factor = len(seen) / sight.pixels("changed").shape[0]
        x, y = (int((value + 0.5) * factor) for value in place)
        return seen[y - 10 : y + 10, x - 10 : x + 10].sum()

    assert fan(1, ends[0])
    assert fan(4, ends[1])
    assert not fan(1, middle)
    assert not fan(4, middle)
