"""What a frame is encoded to, and what is drawn of particles that a page sends."""

from __future__ import annotations

import base64
import math
import shutil
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.load import open_data
from tests.pipelines.commands import FEATURES, FRAMES, PARTICLES, SIDE, Trained
from tests.pipelines.exploring import Page, line, open_page, picture

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def page(tiny: Trained) -> Page:
    return open_page(tiny)


def test_about_says_what_there_is(page: Page, tiny: Trained) -> None:
    about = page.json("/api/about")
    assert about["size"] == [SIDE, SIDE]
    assert (about["k"], about["features"]) == (PARTICLES, FEATURES)
    assert about["model"] == "dlp"
    assert about["forecasts"] is about["attention"] is about["sampling"] is True
    assert about["reason"] == ""
    assert about["source"] == str(tiny.data)
    assert [video["frames"] for video in about["videos"]] == [FRAMES] * 6
    assert about["edit"] is None
    one = about["directions"][0]
    assert len(one["vector"]) == len(one["mean"]) == FEATURES
    assert one["low"] < one["high"]
    assert 0 < one["share"] <= 1
    sheet = picture(page.ask("GET", "/api/directions").data)
    glimpse = about["glimpse"]
    expected = (len(about["directions"]) * glimpse, about["directions_columns"] * glimpse, 4)
    assert sheet.shape == expected


def test_the_frame_is_the_sources(page: Page) -> None:
    world = page.explorer.world
    videos = open_data(world.source, world.dlp.frames).whole
    shown = picture(page.ask("GET", "/api/frame?clip=data:2&frame=7").data)
    assert (shown == videos[2].frames[7]).all()


def test_a_scene_sees_its_frame_and_those_before_it_and_none_after(page: Page) -> None:
    known = page.json("/api/scene?clip=data:0&frame=12")
    assert known["context"] == page.json("/api/about")["context"]
    assert page.json("/api/scene?clip=data:0&frame=0")["context"] == 1
    for one in known["particles"]:
        assert len(one["position"]) == len(one["velocity"]) == len(one["deviation"]) == 2
        assert len(one["appearance"]) == FEATURES
        assert 0 <= one["transparency"] <= 1
        assert min(one["deviation"]) >= 0
    assert [one["id"] for one in known["particles"]] == [*range(len(known["particles"]))]
    frames = page.explorer.scenes.context("data:0", 12)
    own = page.explorer.scenes.clip("data:0").frames
    assert (frames == own[3:13]).all()


def test_the_reconstruction_is_what_decode_draws_of_the_scene(page: Page) -> None:
    scene = page.json("/api/scene?clip=data:1&frame=9")
    shown = picture(base64.b64decode(scene["reconstruction"].split(",")[1]))
    assert (shown == page.decode(scene["particles"])).all()


def test_a_moved_particle_moves_its_picture_and_nothing_beyond_the_two_patches(page: Page) -> None:
    particles = page.scene()
    one = particles[0]
    one.update(transparency=1.0, depth=4.0, position=[9.0, 9.0])
    before = page.decode(particles)
    one["position"] = [22.0, 20.0]
    apart = np.abs(page.decode(particles) - before).max(-1)
    rows, columns = np.indices(apart.shape)
    reach = one["side"] / 2 + 1
    old = np.maximum(abs(columns - 9), abs(rows - 9)) <= reach
    new = np.maximum(abs(columns - 22), abs(rows - 20)) <= reach
    assert apart[old].max() > 8
    assert apart[new].max() > 8
    assert apart[~(old | new)].max() == 0


def test_no_particles_leave_the_background(page: Page) -> None:
    faint = [{**one, "transparency": 0.0} for one in page.scene()]
    assert (page.decode([]) == page.decode(faint)).all()
    assert not (page.decode([]) == page.decode(page.scene())).all()


def test_decoding_keeps_nothing(page: Page) -> None:
    particles = page.scene()
    first = page.decode(particles)
    page.decode(particles[:1])
    page.decode([{**one, "position": [0, 0]} for one in particles])
    assert (page.decode(particles) == first).all()


GOOD: dict[str, Any] = {
    "position": [4, 5.5],
    "appearance": [0.0] * FEATURES,
    "transparency": 1,
    "scale": 1,
    "depth": 0,
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"position": [math.nan, 0]}, "position"),
        ({"position": [math.inf, 0]}, "position"),
        ({"position": [10**400, 0]}, "position"),
        ({"position": [1e9, 0]}, "position: must be a number from -128 to 128"),
        ({"position": [1]}, "position"),
        ({"position": [1, 2, 3]}, "position"),
        ({"position": "1,2"}, "position: expected an array, found text"),
        ({"position": None}, "position is missing"),
        ({"appearance": [0.0]}, f"appearance: expected {FEATURES} numbers, found 1"),
        ({"appearance": [True] * FEATURES}, "expected a number, found true or false"),
        ({"appearance": [math.nan] * FEATURES}, "appearance"),
        ({"appearance": [1e30] * FEATURES}, "appearance"),
        ({"transparency": 1.5}, "transparency: must be a number from 0 to 1"),
        ({"transparency": -1}, "transparency"),
        ({"transparency": {}}, "transparency: expected a number, found an object"),
        ({"scale": 0}, "scale"),
        ({"scale": 100}, "scale"),
        ({"depth": 1e3}, "depth"),
        ({"path": "/etc/passwd"}, "unknown name 'path'"),
    ],
)
def test_a_particle_that_is_none_is_refused_by_name(
    page: Page, change: dict[str, Any], word: str
) -> None:
    assert page.decode([GOOD]).shape == (SIDE, SIDE, 3)
    answer = page.send("/api/decode", {"particles": [GOOD, {**GOOD, **change}]})
    said = line(answer, 400)
    assert word in said
    assert "particles[1]" in said


def test_there_may_be_many_particles_but_not_any_number(page: Page) -> None:
    most = page.json("/api/about")["limits"]["particles"]
    page.decode([GOOD] * most)
    answer = page.send("/api/decode", {"particles": [GOOD] * (most + 1)})
    assert f"at most {most}" in line(answer, 400)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NUMBERS = ANYTHING | st.floats(-40, 40) | st.lists(st.floats(-40, 40), min_size=2, max_size=4)
PARTICLE = st.fixed_dictionaries({name: st.just(value) | NUMBERS for name, value in GOOD.items()})


@FUZZ
@given(st.fixed_dictionaries({"particles": st.lists(PARTICLE, max_size=3) | ANYTHING}) | ANYTHING)
def test_whatever_is_sent_to_decode_is_drawn_or_refused(page: Page, value: Any) -> None:
    answer = page.send("/api/decode", value)
    if answer.status_code == 200:
        assert picture(answer.data).shape == (SIDE, SIDE, 3)
    else:
        line(answer, 400)


@FUZZ
@given(st.binary(max_size=60))
def test_whatever_bytes_are_sent_to_decode_are_refused(page: Page, body: bytes) -> None:
    page.refused(400, "POST", "/api/decode", data=body, content_type="application/json")


def test_a_run_without_stage_2_does_all_but_roll_out(own: Trained) -> None:
    shutil.rmtree(own.run / "stage2")
    page = open_page(own)
    about = page.json("/api/about")
    assert about["forecasts"] is False
    assert "train-dynamics" in about["reason"]
    assert page.decode(page.scene()).shape == (SIDE, SIDE, 3)
    asked = {"clip": "data:0", "frame": 12, "edit": {}, "horizon": 4}
    assert "stage 2" in line(page.send("/api/rollouts", asked), 409)
