"""Files dropped on the page of a run that was trained on one of several frames."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from data.write import write_mp4
from pipelines.explore_about import Limits
from pipelines.explore_app import Explorer
from tests.pipelines.commands import FRAMES, Trained, clips
from tests.pipelines.exploring import Page, edited, open_tiny

SKIP, FPS = 3, 12


def every(trained: Trained, skip: int, limits: Limits | None = None) -> Page:
    """A page of a run whose frames were one of `skip`."""
    world = open_tiny(trained)
    dlp = replace(world.dlp, frames=replace(world.dlp.frames, skip=skip))
    return Page(Explorer(replace(world, dlp=dlp), limits=limits))


def dropped(page: Page, content: bytes, name: str) -> dict[str, Any]:
    """The clip that a file becomes."""
    answer: Any = page.ask(
        "POST",
        "/api/upload",
        data=content,
        content_type="application/octet-stream",
        headers={"X-Name": quote(name)},
    )
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 of 24 frames."""
    folder = tmp_path_factory.mktemp("film")
    write_mp4(folder / "film.mp4", clips(folder / "clips.npy")[0], fps=FPS)
    return (folder / "film.mp4").read_bytes()


def test_of_a_video_the_frames_are_used_that_training_would_use(tiny: Trained, film: bytes) -> None:
    whole, page = every(tiny, 1), every(tiny, SKIP)
    full, clip = dropped(whole, film, "film.mp4"), dropped(page, film, "film.mp4")
    assert (full["frames"], full["note"]) == (FRAMES, "")
    assert clip["frames"] == FRAMES // SKIP
    assert clip["note"] == f"of film.mp4 is used: one of {SKIP} frames, as in training"
    video = page.explorer.scenes.clip(clip["clip"])
    assert (video.frames == whole.explorer.scenes.clip(full["clip"]).frames[::SKIP]).all()
    assert video.fps == FPS / SKIP
    answer = page.roll_out(edited(), clip=clip["clip"], frame=7, horizon=2)
    assert answer["result"]["fps"] == FPS / SKIP


def test_the_most_frames_are_of_those_that_are_used(tiny: Trained, film: bytes) -> None:
    clip = dropped(every(tiny, SKIP, Limits(frames=5)), film, "film.mp4")
    assert clip["frames"] == 5
    assert clip["note"] == (
        f"of film.mp4 is used: one of {SKIP} frames, as in training and its first 5 frames"
    )


def test_a_picture_is_used_whatever_the_skip(tiny: Trained) -> None:
    page = every(tiny, SKIP)
    shown, buffer = page.explorer.scenes.frame("data:0", 5), io.BytesIO()
    Image.fromarray(shown).save(buffer, "PNG")
    clip = dropped(page, buffer.getvalue(), "a.png")
    assert (clip["frames"], clip["note"]) == (1, "")
    video = page.explorer.scenes.clip(clip["clip"])
    assert np.array_equal(video.frames[0], shown)
    assert video.fps == page.explorer.scenes.clip("data:0").fps
