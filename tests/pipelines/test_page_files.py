"""The page in a real browser: futures, files that go in and out, and what a tab keeps."""

from __future__ import annotations

import io
import json
import re
import time
from contextlib import closing

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Route, expect

from pipelines.explore_jobs import Job
from tests.pipelines.browser import Sight, changed, moved
from tests.pipelines.commands import SIDE, Trained
from tests.pipelines.exploring import serving


def test_push_roll_out_and_keep_the_films(sight: Sight):
    place = sight.particles[0]
    sight.drag(place, (place[0] + 10, place[1] + 10), key="Alt")
    assert "pushed by" in sight.said()
    sight.roll_out(horizon=12, samples=3)
    asked = sight.sent("/api/rollouts")[-1]
    assert asked["edit"]["changes"][0]["id"] == 0
    assert asked["edit"]["changes"][0].keys() == {"id", "push"}
    sight.scrub(12)
    assert sight.tab.locator("#scrub-label").inner_text().startswith("step 12 of 12")
    assert changed(sight.pixels("original"), sight.pixels("changed")).any()
    last = sight.pixels("changed")
    plain = sight.signs("changed")
    sight.tab.check("#show-edges")
    assert changed(plain, sight.signs("changed")).any()
    sight.tab.uncheck("#show-edges")
    sight.tab.uncheck("#show-fan")
    assert changed(plain, sight.signs("changed")).any()
    sight.tab.check("#show-fan")
    sight.tab.check("#show-edges")
    sight.shoot("futures")
    sight.tab.click("#theme")
    sight.shoot("futures-other-theme")
    sight.scrub(1)
    assert changed(last, sight.pixels("changed")).any()
    sight.tab.select_option("#speed", "2")
    sight.tab.uncheck("#loop")
    sight.tab.click("#play")
    expect(sight.tab.locator("#scrub")).to_have_value("12")
    expect(sight.tab.locator("#play")).to_have_text("Play")
    for kind, head in (("mp4", b"ftyp"), ("gif", b"GIF8"), ("npz", b"PK")):
        with sight.tab.expect_download() as waited:
            sight.tab.click(f"#save-{kind}")
        assert waited.value.suggested_filename.endswith(f".{kind}")
        assert head in waited.value.path().read_bytes()[:12]
    sight.choose(1)
    sight.tab.click("#delete")
    assert sight.tab.locator("#stale").is_visible()


def test_a_rollout_is_cancelled_and_the_page_goes_on(
    browser: Browser, tiny: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Job.step

    def held(job: Job) -> None:  # it is under way until it is cancelled, however fast the machine
        while job.total > 100 and job.done == 5 and job.state == "running":
            time.sleep(0.02)
        step(job)

    monkeypatch.setattr(Job, "step", held)
    with serving(tiny) as server, closing(browser.new_context()) as context:
        sight = Sight(context.new_page(), f"http://127.0.0.1:{server.port}/").open()
        sight.tab.fill("#horizon", "200")
        sight.tab.click("#roll")
        sight.tab.wait_for_selector("#working:not([hidden])")
        before, place = sight.pixels(), sight.particles[0]
        sight.drag(place, moved(place))  # nothing waits for it
        assert changed(before, sight.pixels()).any()
        expect(sight.tab.locator("#progress-label")).to_have_text(re.compile("^5 / "))
        sight.tab.click("#cancel")
        sight.tab.wait_for_selector("#roll", state="visible")
        expect(sight.tab.locator("#status")).to_have_text("Cancelled")
        assert sight.tab.locator("#player").is_hidden()
        sight.roll_out(horizon=2)
        assert sight.tab.locator("#player").is_visible()
        assert sight.errors == []


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(file, "PNG")
    return file.getvalue()


def test_a_dropped_picture_and_a_dropped_clip(sight: Sight):
    sight.drop("red.png", png((200, 30, 30)))
    expect(sight.tab.locator("#time")).to_have_attribute("max", "0")
    expect(sight.tab.locator("#status")).to_have_text("red.png: 1 frame")  # it is shown
    sight.settle()
    assert abs(sight.pixels("frame") - (200, 30, 30)).max() <= 2
    assert "red.png" in sight.tab.locator("#video").inner_text()
    frames = [Image.new("RGB", (SIDE, SIDE), (8 * t, 90, 20)) for t in range(12)]
    film = io.BytesIO()
    frames[0].save(film, "GIF", save_all=True, append_images=frames[1:], duration=100)
    gif: FilePayload = {"name": "green.gif", "mimeType": "image/gif", "buffer": film.getvalue()}
    sight.tab.set_input_files("#file", gif)
    expect(sight.tab.locator("#time")).to_have_attribute("max", "11")
    expect(sight.tab.locator("#status")).to_have_text("green.gif: 12 frames")
    sight.settle()
    sight.tab.locator("#time").fill("3")
    expect(sight.tab.locator("#time-label")).to_have_text("4 / 12")
    for _ in range(200):  # until its frame has come
        if abs(sight.pixels("frame")[0, 0] - (24, 90, 20)).max() <= 6:
            break
        sight.tab.wait_for_timeout(50)
    assert abs(sight.pixels("frame")[0, 0] - (24, 90, 20)).max() <= 6


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.mp4", b"no film at all"),
        ("notes.txt", b"words"),
        ("broken.json", b"{"),
        ("other.json", b'{"format": "another"}'),
    ],
)
def test_a_bad_file_is_one_line(sight: Sight, name: str, content: bytes):
    before = sight.pixels()
    sight.drop(name, content)
    assert len(sight.refused()) > 10
    assert (sight.pixels() == before).all()
    place = sight.particles[0]
    sight.drag(place, moved(place))
    assert changed(before, sight.pixels()).any()
    # The browser itself notes that a request was refused.
    sight.errors = [error for error in sight.errors if "Failed to load resource" not in error]


def test_a_reload_keeps_the_edit_and_its_undoing(sight: Sight):
    before, place = sight.pixels(), sight.particles[0]
    sight.drag(place, moved(place))
    after, places = sight.pixels(), sight.particles
    sight.open()
    assert (sight.pixels() == after).all()
    assert sight.particles == places
    sight.press("Control+z")
    assert (sight.pixels() == before).all()


def test_two_tabs_do_not_mix(sight: Sight):
    other = Sight(sight.tab.context.new_page(), sight.address).open()
    before, place = sight.pixels(), sight.particles[0]
    sight.drag(place, moved(place))
    other.choose(1)
    other.press("Delete")
    assert 1 in sight.particles
    assert other.particles[0] == place
    sight.open()
    other.open()
    assert sight.particles[0] == pytest.approx(moved(place), abs=0.3)
    assert other.particles[0] == place
    assert 1 not in other.particles
    assert changed(before, other.pixels()).any()
    assert other.errors == []


def test_a_saved_edit_replays(sight: Sight, browser: Browser, address: str):
    place = sight.particles[0]
    sight.drag(place, moved(place))
    sight.choose(1)
    sight.press("Delete")
    sight.tab.mouse.dblclick(*sight.on_screen((3, 29)))
    sight.settle()
    after = sight.pixels()
    with sight.tab.expect_download() as waited:
        sight.tab.click("#save-edit")
    saved = waited.value.path().read_bytes()
    assert json.loads(saved)["clip"] == {
        "source": "data", "video": 0, "frame": 9, "name": "billiards_00000",
    }  # fmt: skip
    with browser.new_context() as context:
        other = Sight(context.new_page(), address).open()
        other.drop("edit.json", saved)
        other.tab.wait_for_selector("#reset:enabled")
        other.settle()
        assert (other.pixels() == after).all()
        other.roll_out(horizon=2)
        assert other.tab.locator("#player").is_visible()


def test_a_run_of_stage_one_alone_and_a_model_without_depth(sight: Sight):
    def lesser(route: Route) -> None:
        about = route.fetch().json()
        route.fulfill(json=about | {"forecasts": False, "reason": "no stage 2", "depth": None})

    sight.tab.route("**/api/about", lesser)
    sight.open()
    assert sight.tab.locator("#no-forecasts").inner_text() == "no stage 2"
    assert sight.tab.locator("#roll").is_hidden()
    sight.choose(0)
    assert sight.tab.get_by_label("Scale", exact=True).is_visible()
    assert sight.tab.get_by_label("Depth", exact=True).count() == 0
