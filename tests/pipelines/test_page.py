"""The page in a real browser: hold, move, change."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Browser, Request, expect

from tests.pipelines.browser import Place, Sight, changed, moved, read_picture
from tests.pipelines.commands import SIDE

GLIMPSE = 16  # pixels, of the tiny run's particles


def around(*places: Place) -> np.ndarray:
    """[h, w] bool: where the patches of particles at these places can reach."""
    y, x = np.mgrid[:SIDE, :SIDE]
    near = [
        (abs(x - place[0]) <= GLIMPSE / 2 + 1) & (abs(y - place[1]) <= GLIMPSE / 2 + 1)
        for place in places
    ]
    return np.any(near, 0)


def test_it_opens_on_a_frame_its_particles_and_what_they_draw(sight: Sight):
    told = sight.tab.evaluate("fetch('/api/scene?clip=data:0&frame=9').then(a => a.json())")
    assert sight.particles.keys() == {particle["id"] for particle in told["particles"]}
    for particle in told["particles"]:
        assert sight.particles[particle["id"]] == pytest.approx(particle["position"], abs=0.06)
    drawn = read_picture(told["reconstruction"])[..., :3]
    assert abs(sight.pixels() - drawn).max() <= 1  # numbers went through JSON
    assert changed(sight.pixels("frame"), sight.pixels()).any()
    sight.shoot("opened")
    sight.tab.click("#help-open")
    sight.tab.get_by_role("button", name="Close").click()
    expect(sight.tab.locator("#help")).to_be_hidden()


def test_the_picture_follows_a_drag_there_and_only_there(sight: Sight):
    before, start = sight.pixels(), sight.particles[0]
    sight.drag(start, moved(start), hold=True)
    while_held = sight.pixels()
    sight.tab.mouse.up()
    sight.settle()
    assert (sight.pixels() == while_held).all()
    assert sight.particles[0] == pytest.approx(moved(start), abs=0.3)
    others = changed(before, while_held)
    assert others[around(moved(start))].any()
    assert not others[~around(start, moved(start))].any()
    sight.shoot("dragged")


def test_one_picture_is_asked_for_at_a_time_and_the_newest_place_wins(sight: Sight):
    waiting, most = 0, 0

    def begun(request: Request) -> None:
        nonlocal waiting, most
        if request.url.endswith("/api/decode"):
            waiting += 1
            most = max(most, waiting)

    def ended(request: Request) -> None:
        nonlocal waiting
        waiting -= request.url.endswith("/api/decode")

    sight.tab.on("request", begun)
    sight.tab.on("requestfinished", ended)
    sight.tab.mouse.move(*sight.on_screen(sight.particles[0]))
    sight.tab.mouse.down()
    sight.tab.mouse.move(*sight.on_screen((20, 20)), steps=40)
    sight.tab.mouse.up()
    sight.settle()
    assert most == 1
    last = sight.sent("/api/decode")[-1]["particles"]
    place = next(particle["position"] for particle in last if particle["id"] == 0)
    assert place == pytest.approx(sight.particles[0], abs=0.06)
    assert place == pytest.approx((20, 20), abs=0.2)


def test_sliders(sight: Sight):
    before, place = sight.pixels(), sight.particles[1]
    sight.choose(1)
    sight.slide("Transparency", "Home")
    gone = sight.pixels()
    assert changed(before, gone).any()
    assert not changed(before, gone)[~around(place)].any()
    sight.slide("Direction 1", "End")
    direction = sight.tab.evaluate("fetch('/api/about').then(a => a.json())")["directions"][0]
    sent = next(p for p in sight.sent("/api/decode")[-1]["particles"] if p["id"] == 1)
    away = np.subtract(sent["appearance"], direction["mean"])
    assert away @ direction["vector"] == pytest.approx(direction["high"], rel=1e-3)
    strip = sight.tab.locator(".strip").first
    assert strip.evaluate("canvas => canvas.width > 5 * canvas.height")
    sight.shoot("sliders")
    sight.tab.click("#restore")
    sight.settle()
    assert (sight.pixels() == before).all()


def test_delete_undo_redo_reset(sight: Sight):
    before = sight.pixels()
    sight.choose(2)
    sight.tab.click("#delete")
    sight.settle()
    without = sight.pixels()
    assert 2 not in sight.particles
    assert changed(before, without).any()
    sight.tab.click("#undo")
    sight.settle()
    assert (sight.pixels() == before).all()
    assert sight.said() == "Undone: delete"
    sight.tab.click("#redo")
    sight.settle()
    assert (sight.pixels() == without).all()
    sight.tab.click("#reset")
    sight.settle()
    assert (sight.pixels() == before).all()
    assert sight.tab.locator("#reset").is_disabled()
    sight.tab.click("#undo")  # a reset can be undone too
    sight.settle()
    assert (sight.pixels() == without).all()


def test_add_duplicate_and_copied_looks(sight: Sight):
    first = set(sight.particles)
    sight.tab.mouse.dblclick(*sight.on_screen((3, 29)))
    sight.settle()
    (added,) = set(sight.particles) - first
    assert sight.particles[added] == pytest.approx((3, 29), abs=0.3)
    assert sight.selected == [added]
    sight.tab.click("#duplicate")
    sight.settle()
    (copy,) = sight.selected
    assert copy == added + 1
    sight.choose(0)
    sight.tab.click("#copy")
    sight.choose(1)
    sight.tab.click("#paste")
    sight.settle()
    sent = {p["id"]: p["appearance"] for p in sight.sent("/api/decode")[-1]["particles"]}
    assert sent[0] == sent[1]
    assert sent.keys() == {*first, added, copy}


def test_a_box_selects_several_and_they_move_together(sight: Sight):
    start = sight.particles
    sight.tab.get_by_label("Unused").check()
    sight.drag((SIDE - 1, SIDE - 1), (0, 0))
    assert sorted(sight.selected) == sorted(start)
    assert "5 particles selected" in sight.said()
    sight.shoot("selected")
    sight.press("Escape")
    assert sight.selected == []
    sight.choose(0, 1)
    sight.drag(start[0], (start[0][0], start[0][1] + 4))
    for number in (0, 1):
        assert sight.particles[number][1] == pytest.approx(start[number][1] + 4, abs=0.3)
    assert sight.particles[2] == start[2]


def test_keys_alone(sight: Sight):
    place = sight.particles[0]
    sight.tab.locator("#frame .overlay").focus()
    sight.press("Tab")
    assert sight.selected == [0]
    assert sight.said().startswith(f"Particle 0 at {place[0]:g}, {place[1]:g}")
    sight.press("ArrowRight", "ArrowRight", "Shift+ArrowDown")
    assert sight.particles[0] == pytest.approx((place[0] + 2, place[1] + 5), abs=0.06)
    assert sight.said().startswith(f"Particle 0 at {place[0] + 2:g}")
    assert sight.tab.locator("#status").get_attribute("aria-live") == "polite"
    sight.press("Control+z")
    assert sight.particles[0] == pytest.approx((place[0] + 2, place[1]), abs=0.06)
    sight.press("Control+Shift+z", "Alt+ArrowLeft")
    assert "pushed by -0.2, 0" in sight.said()
    sight.press("Control+d")
    assert len(sight.particles) == 6
    sight.press("Delete", "Tab")
    assert len(sight.particles) == 5
    assert sight.selected == [1]
    sight.press("Control+a")
    assert len(sight.selected) == 5
    sight.press("Escape")
    assert sight.selected == []


def test_each_frame_keeps_its_own_edit(sight: Sight):
    place = sight.particles[0]
    sight.drag(place, moved(place))
    after = sight.pixels()
    sight.tab.locator("#time").fill("12")
    sight.tab.wait_for_selector("#reset:disabled")
    sight.tab.locator("#time").fill("9")
    sight.tab.wait_for_selector("#reset:enabled")
    sight.settle()
    assert (sight.pixels() == after).all()


def test_a_telephone_in_the_dark(browser: Browser, address: str):
    with browser.new_context(
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        color_scheme="dark",
        reduced_motion="reduce",
    ) as context:
        sight = Sight(context.new_page(), address).open()
        assert sight.tab.evaluate("document.documentElement.dataset.theme") == "dark"
        before, place = sight.pixels(), sight.particles[0]
        fingers = context.new_cdp_session(sight.tab)
        ways = [place, (place[0] + 2, place[1] + 3), moved(place)]
        points = [dict(zip("xy", sight.on_screen(way), strict=True)) for way in ways]
        kinds = ["touchStart", "touchMove", "touchMove"]
        for kind, point in zip(kinds, points, strict=True):
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        sight.settle()
        assert sight.selected == [0]
        assert sight.particles[0] == pytest.approx(moved(place), abs=0.3)
        assert changed(before, sight.pixels()).any()
        point = dict(zip("xy", sight.on_screen(sight.particles[1]), strict=True))
        fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        expect(sight.tab.locator("#panel h2")).to_have_text("2 particles")  # a long press
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        sight.roll_out(horizon=3)
        expect(sight.tab.locator("#play")).to_have_text("Play")  # it does not move by itself
        sight.shoot("telephone")
        wide = (
            "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 361)"
        )
        assert sight.tab.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []
        assert sight.tab.evaluate("document.documentElement.scrollWidth") == 360
        small = """[...document.querySelectorAll('button, select, .button, input[type=range]')]
            .filter(e => e.offsetParent && e.offsetHeight < 40).map(e => e.id)"""
        assert sight.tab.evaluate(small) == []
        assert sight.errors == []
