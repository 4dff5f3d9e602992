"""The baseline of the model's own particles at constant velocity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dlp.build import ParticleModel
from dynamics.futures import CHUNK, LEAVE, Moved
from dynamics.state import State
from pipelines import coast as module
from pipelines.coast import coast, coasted
from pipelines.forecast import Forecast, observe, reconstruct
from pipelines.load import load_dlp
from tests.dynamics.made import state
from tests.pipelines.commands import Trained, clips, particlecast

LENGTHS = ("--context", 8, "--horizon", 6)


def moving(dlp: ParticleModel, frames: np.ndarray, speed: float) -> State:
    """What a context holds, every particle as fast to the right, in [-1, 1] units a step."""
    found = observe(dlp, None, frames).state
    past = torch.arange(found.position.shape[1] - 1, -1, -1.0)[None, :, None] * speed
    position = found.position[:, -1:].repeat(1, len(past[0]), 1, 1)
    position[..., 0] -= past
    return State(position, found.seen, found.code, found.alive)


def test_particles_keep_velocity_and_looks_beyond_the_frame_and_over_parts() -> None:
    given, horizon = state(b=1), CHUNK + 9
    parts = list(coast(given, horizon))
    assert [part.position.shape[1] for part in parts] == [CHUNK, 9]
    position = torch.cat([part.position for part in parts], 1)
    velocity = given.position[:, -1] - given.position[:, -2]
    for step in (1, CHUNK, CHUNK + 1, horizon):
        expected = given.position[:, -1] + step * velocity
        assert torch.allclose(position[:, step - 1], expected, atol=1e-5)
    assert (position[:, -1].abs() > LEAVE).any()  # none waits at the border
    for part in parts:
        assert (part.code == given.code[:, None]).all()
        assert (part.identity[0] == torch.tensor([0, 1, 2, 3, -1])).all()


def test_what_has_left_the_frame_is_not_drawn(tiny: Trained, tmp_path: Path) -> None:
    dlp, frames = load_dlp(tiny.run).model, clips(tmp_path / "a.npy", 1)[0, :8]
    still = coasted(dlp, moving(dlp, frames, 0.0), 3)
    last = reconstruct(dlp, observe(dlp, None, frames)).frames[-1]
    assert (still.frames == still.frames[0]).all()
    assert np.abs(still.frames[0].astype(int) - last).max() <= 1
    gone = coasted(dlp, moving(dlp, frames, 1.5), 4)
    assert (gone.frames[2] == gone.frames[3]).all()  # nothing is left to move
    empty = moving(dlp, frames, 0.0)
    empty.alive[:] = False
    assert (gone.frames[3] == coasted(dlp, empty, 1).frames[0]).all()
    assert np.isfinite(gone.position).all()


def test_no_more_than_a_part_is_drawn_at_a_time(
    tiny: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlp, frames = load_dlp(tiny.run).model, clips(tmp_path / "a.npy", 1)[0, :8]
    drawn, true = [], module.draw

    def counted(model: ParticleModel, part: Moved) -> Forecast:
        drawn.append(part.position.shape[1])
        return true(model, part)

    monkeypatch.setattr(module, "draw", counted)
    whole = coasted(dlp, observe(dlp, None, frames).state, 2 * CHUNK + 1)
    assert drawn == [CHUNK, CHUNK, 1]
    assert len(whole) == 2 * CHUNK + 1


def test_a_report_has_it_without_true_tracks(own: Trained, tmp_path: Path) -> None:
    clips(tmp_path / "a.npy")
    particlecast("evaluate", *own.on(tmp_path / "a.npy"), *LENGTHS, "--out", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "position_error" not in report["per_step"]
    for figure in ("psnr", "ssim", "psnr_moving"):
        assert "own constant velocity" in report["per_step"][figure]["methods"]
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "not known: the video has no true tracks" in text
        assert "own constant velocity" in text
