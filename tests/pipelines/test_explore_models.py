"""The published models, those of faces among them, on the same page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from data.errors import UserError
from data.frames import FrameConfig
from data.videos import Video
from data.worlds import simulate
from dlp.build import build_model
from dlp.config import DLPConfig
from pipelines.checkpoint import find_checkpoint, load_config
from pipelines.explore_app import Explorer
from pipelines.explore_scenes import World, open_world
from pipelines.load import TrainedDLP
from pipelines.pretrained import find_run
from tests.pipelines.exploring import Page, edited, line, picture

SIDE, K = 32, 5
Name = Literal["paper", "masked"]
NAMES: tuple[Name, ...] = ("paper", "masked")


def untrained(name: Name | Literal["keynet"]) -> TrainedDLP:
    """A model as it begins."""
    torch.manual_seed(0)
    config = DLPConfig(model=name, particles=K, n_prior=8, width=8, features=4)
    model = build_model(config, (SIDE, SIDE)).eval().requires_grad_(False)
    return TrainedDLP(model, FrameConfig(), "", "")


def page_of(name: Name) -> Page:
    """A page of an untrained model without stage 2."""
    videos = [simulate("billiards", 12, SIDE, seed).frames for seed in range(2)]
    clips = tuple(Video(f"clip_{index}", frames) for index, frames in enumerate(videos))
    return Page(Explorer(World("run", "clips", untrained(name), None, clips)))


@pytest.fixture(scope="module", params=NAMES)
def page(request: pytest.FixtureRequest) -> Page:
    return page_of(request.param)


def drawn(page: Page, particles: list, frame: int = 6) -> np.ndarray:
    """What is drawn of particles of a frame of the first clip."""
    asked = {"particles": particles, "clip": "data:0", "frame": frame}
    answer = page.send("/api/decode", asked)
    assert answer.status_code == 200, answer.text
    return picture(answer.data)


def test_a_scene_is_drawn_changed_thinned_and_filled(page: Page) -> None:
    about = page.json("/api/about")
    assert about["scale"] is about["depth"] is None
    assert about["forecasts"] is False
    scene = page.json("/api/scene?clip=data:0&frame=6")
    particles = scene["particles"]
    assert particles
    before = drawn(page, particles)
    moved = [{**particles[0], "position": [3.0, 28.0]}, *particles[1:]]
    assert drawn(page, moved).shape == before.shape
    assert drawn(page, particles[1:]).shape == before.shape
    assert drawn(page, [*particles, {**particles[0], "position": [20, 4]}]).shape == before.shape
    assert drawn(page, []).shape == before.shape


def test_directions_are_shown_where_there_are_any(page: Page) -> None:
    about = page.json("/api/about")
    answer = page.ask("GET", "/api/directions")
    side = about["glimpse"]
    size = (len(about["directions"]) * side, about["directions_columns"] * side)
    assert picture(answer.data).shape[:2] == size


def test_a_landmark_model_draws_what_its_frame_has_beside_the_landmarks() -> None:
    page = page_of("masked")
    scene = page.json("/api/scene?clip=data:0&frame=6")
    assert scene["context"] == 1
    assert [one["id"] for one in scene["particles"]] == [*range(K)]
    model = page.explorer.world.model
    frame = torch.from_numpy(page.explorer.scenes.frame("data:0", 6)).permute(2, 0, 1)[None] / 255
    whole = (model(frame).image[0].permute(1, 2, 0) * 255).round().int().numpy()  # type: ignore[operator]
    assert np.abs(drawn(page, scene["particles"]) - whole).max() <= 1
    alone = page.decode(scene["particles"])  # which frame they are of is not said
    assert np.abs(alone - whole).max() > 1


def test_a_frame_that_is_not_there_is_refused() -> None:
    page = page_of("masked")
    for place, status in (
        ({"clip": "data:0", "frame": 99}, 404),
        ({"clip": "data:7", "frame": 0}, 404),
        ({"clip": "data:0"}, 400),
        ({"clip": 3, "frame": 0}, 400),
    ):
        line(page.send("/api/decode", {"particles": [], **place}), status)


def test_a_model_that_keeps_nothing_apart_draws_without_encoding_the_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = page_of("paper")
    particles = page.json("/api/scene?clip=data:0&frame=6")["particles"]
    before = drawn(page, particles)
    monkeypatch.setattr(page.explorer.scenes, "scene", lambda *_: 1 / 0)
    assert (drawn(page, particles, frame=7) == before).all()
    place = {"clip": "data:0", "frame": 99}
    line(page.send("/api/decode", {"particles": particles, **place}), 404)


def test_landmarks_that_are_channels_cannot_be_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.explore_scenes.load_dlp", lambda run: untrained("keynet"))
    with pytest.raises(UserError, match=r"is a keynet.*give a run of dlp, paper, masked"):
        open_world(Path("run"), "synthetic:shapes")


def test_a_run_that_comes_with_the_package_needs_no_data() -> None:
    world = open_world(find_run("pretrained/traffic"), "")
    known = load_config(find_checkpoint(find_run("pretrained/traffic"), "stage1"))["source"]
    assert world.source.startswith(known)  # its own world
    assert world.source != known  # but other videos than it was trained on
    assert world.dynamics is not None
    page = Page(Explorer(world))
    inside = [one for one in page.scene() if 16 < one["position"][0] < 48]
    one = max(inside, key=lambda one: abs(one["velocity"][0]))
    faster = [0.5 * speed for speed in one["velocity"]]  # along the road: across it, cars hold it
    result = page.roll_out(edited(changes=[{"id": one["id"], "push": faster}]), horizon=2)["result"]
    places = [result[name]["positions"][0][one["id"]] for name in ("original", "changed")]
    farther = np.dot(np.subtract(places[1], places[0]), faster) / np.dot(faster, faster)
    assert 0.5 < farther < 1.5
