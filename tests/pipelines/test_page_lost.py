"""The page in a real browser, when the server is slow, refuses, or is gone for a while."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.pipelines.browser import Sight
from tests.pipelines.commands import FRAMES
from tests.pipelines.exploring import edited

HELD_FRAMES = """() => {
    const due = new Map();
    let asked = 0;
    let now = 0; // ms
    window.requestAnimationFrame = (act) => { due.set(asked += 1, act); return asked; };
    window.cancelAnimationFrame = (number) => due.delete(number);
    window.show = () => {
        now += 100;
        const acts = [...due.values()];
        due.clear();
        for (const act of acts) act(now);
    };
}"""
PLAYED = """presses => {
    const [play, scrub] = ["play", "scrub"].map((id) => document.getElementById(id));
    scrub.value = 1;
    scrub.dispatchEvent(new Event("input"));
    for (let press = 0; press < presses; press += 1) play.click();
    for (let frame = 0; frame < 4; frame += 1) window.show();
    play.click();
    window.show();
    return scrub.valueAsNumber;
}"""


def unanswered(error: str) -> bool:
    """Whether it is the browser's own note that a request failed or was refused."""
    return error.startswith("Failed to load resource")


def saved_edit(**clip: Any) -> bytes:
    """A file that moves particle 0, of the clip that is shown or another."""
    own = {"source": "data", "video": 0, "frame": 9, "name": "billiards_00000"}
    changes = [{"id": 0, "position": [3, 3]}]
    return json.dumps(edited(clip=own | clip, changes=changes)).encode()


def test_a_rollout_outlives_polls_that_fail(browser: Browser, address: str):
    with browser.new_context() as context:
        sight = Sight(context.new_page(), address).open()
        lost = 0

        def lose(route: Route) -> None:
            nonlocal lost
            if lost < 2 and route.request.method == "GET":
                lost += 1
                route.abort()
            else:
                route.continue_()

        sight.tab.route("**/api/rollouts/*", lose)
        sight.roll_out(horizon=2)
        assert lost == 2
        assert sight.tab.locator("#player").is_visible()
        assert sight.tab.locator("#alert").inner_text() == ""
        assert all(map(unanswered, sight.errors))


def test_a_rollout_that_is_given_up_is_cancelled(sight: Sight):
    def refuse(route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(status=500, json={"error": "the server made a mistake"})
        else:
            route.continue_()

    sight.tab.route("**/api/rollouts/*", refuse)
    with sight.tab.expect_request(lambda request: request.method == "DELETE"):
        sight.tab.click("#roll")
    assert sight.refused() == "the server made a mistake"
    expect(sight.tab.locator("#roll")).to_be_visible()
    sight.errors = [error for error in sight.errors if not unanswered(error)]


@pytest.mark.parametrize(
    ("clip", "word"), [({"name": "another"}, "another"), ({"frame": 999}, "no such frame")]
)
def test_an_edit_of_what_is_not_there_is_refused(sight: Sight, clip: dict[str, Any], word: str):
    before = sight.pixels()
    sight.drop("edit.json", saved_edit(**clip))
    assert word in sight.refused()
    assert "replayed" not in sight.said()
    sight.settle()
    assert (sight.pixels() == before).all()
    assert sight.tab.locator("#undo").is_disabled()
    assert sight.tab.locator("#time").input_value() == "9"
    expect(sight.tab.locator("#time-label")).to_have_text(f"10 / {FRAMES}")
    sight.drop("edit.json", saved_edit())
    expect(sight.tab.locator("#status")).to_have_text("edit.json is replayed")
    assert sight.particles[0] == (3, 3)
    sight.settle()
    sight.errors = [error for error in sight.errors if not unanswered(error)]


def test_a_film_that_the_server_has_forgotten_is_told(sight: Sight):
    sight.roll_out(horizon=2)
    said = {"error": "no such rollout: roll out again"}
    sight.tab.route("**/api/rollouts/*/file*", lambda route: route.fulfill(status=404, json=said))
    sight.tab.click("#save-gif")
    assert sight.refused() == said["error"]
    assert sight.said() == ""
    sight.errors = [error for error in sight.errors if not unanswered(error)]


def test_a_pause_between_two_frames_of_the_screen_does_not_double_the_speed(sight: Sight):
    sight.roll_out(horizon=30)
    sight.scrub(1)  # it pauses
    sight.tab.evaluate(HELD_FRAMES)
    once = sight.tab.evaluate(PLAYED, 1)
    assert 1 < once < 30
    assert sight.tab.evaluate(PLAYED, 3) == once


def test_what_is_asked_before_a_scene_has_come_does_no_harm(sight: Sight):
    held: list[Route] = []
    sight.tab.route("**/api/scene?*", lambda route: held.append(route))
    with sight.tab.expect_request("**/api/scene?*"):
        sight.tab.goto(sight.address)
    sight.tab.click("#roll")
    sight.tab.click("#save-edit")
    for route in held:
        route.continue_()
    sight.tab.wait_for_selector("body[data-ready]")
    sight.roll_out(horizon=2)
    expect(sight.tab.locator("#player")).to_be_visible()


def test_a_frame_that_fails_does_not_take_back_the_next_that_is_asked_for(sight: Sight):
    held: list[Route] = []
    sight.tab.route("**/api/scene?*frame=12", lambda route: held.append(route))
    with sight.tab.expect_request("**/api/scene?*frame=12"):
        sight.tab.locator("#time").fill("12")
    sight.tab.locator("#time").fill("14")
    with sight.tab.expect_response("**/api/scene?*frame=14"):
        held.pop().fulfill(status=500, json={"error": "the server made a mistake"})
    assert sight.refused() == "the server made a mistake"
    assert sight.tab.locator("#time").input_value() == "14"
    expect(sight.tab.locator("#time-label")).to_have_text(f"15 / {FRAMES}")
    sight.errors = [error for error in sight.errors if not unanswered(error)]
