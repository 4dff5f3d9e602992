"""Stage 2 with its image loss: the frames that belong to a batch, the gradient, the command."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data.frames import FrameConfig
from data.videos import Video
from dlp.config import DLPConfig
from dlp.model import DLP
from dynamics.config import DynamicsConfig
from pipelines import train_dynamics
from pipelines.load import TrainedDLP
from pipelines.train_dynamics import DRAWN, DynamicsStage
from tests.dynamics.made import calmed, coasting
from tests.pipelines.commands import STAGE2, Trained, particlecast

HISTORY, HORIZON, FRAMES, SIDE, FEATURES = 4, 3, 12, 32, 3
STEP = 0.02
CONFIG = DynamicsConfig(history=HISTORY, hidden=16, horizon=HORIZON, image=0.5)


def stage(config: DynamicsConfig = CONFIG, size: int = DRAWN + 2) -> DynamicsStage:
    """Two videos whose frames are wholly of the colour (video, frame), as their tracks tell too."""
    torch.manual_seed(0)
    dlp = DLP(DLPConfig(particles=2, width=8, features=FEATURES, glimpse=8), (SIDE, SIDE))
    dlp.eval().requires_grad_(False)
    tracks, videos = [], []
    for number in range(2):
        one = coasting(FRAMES, [(STEP, 0.0), (STEP, 0.01)], FEATURES + 3)
        path = one.position.clone()
        path[:, :, 0] = STEP * torch.arange(FRAMES)[:, None]  # x is the time,
        path[:, 0, 1] = 0.5 * number  # y the video
        code = one.code.clone()
        code[..., -1] = 3.0
        tracks.append(replace(one, position=path, code=code))
        frames = np.zeros((FRAMES, SIDE, SIDE, 3), np.uint8)
        frames[..., 0], frames[..., 1] = number, np.arange(FRAMES)[:, None, None]
        videos.append(Video(f"video_{number}", frames))
    trained = TrainedDLP(dlp, FrameConfig(), "", "")
    return DynamicsStage(trained, videos, tracks, tracks, config, size, "")


def test_the_frames_of_a_batch_are_those_that_follow_its_histories() -> None:
    made = stage()
    batch = made.batch(0, torch.Generator().manual_seed(0))
    assert batch.frames is not None
    assert batch.frames.shape == (DRAWN, HORIZON, SIDE, SIDE, 3)
    assert batch.frames.dtype == torch.uint8
    assert len(batch.window.mask) == DRAWN + 2
    followed = batch.window.position[:DRAWN, :, 0]  # (m, u, 2)
    found = batch.frames[:, :, 5, 5].float()
    assert torch.allclose(found[..., 1], followed[..., 0] / STEP, atol=1e-3)
    assert torch.allclose(found[..., 0], followed[..., 1] / 0.5, atol=1e-3)
    assert len(found[..., 0].unique()) == 2  # of both videos


def test_a_small_batch_is_drawn_whole_and_none_without_the_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    few = stage(size=3).batch(0, generator).frames
    assert few is not None
    assert len(few) == 3
    none = stage(replace(CONFIG, image=0.0))
    batch = none.batch(0, generator)
    assert batch.frames is None
    assert "image" not in none.loss(batch, 0, 1.0).terms


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_the_image_error_is_weighed_into_the_total(progress: float) -> None:
    made = stage()
    batch = made.batch(0, torch.Generator().manual_seed(0))
    totals = {}
    for weight in (0.5, 2.0):
        made.dynamics = replace(CONFIG, image=weight)
        torch.manual_seed(1)
        loss = made.loss(batch, 0, progress)
        assert loss.terms["loss"] == loss.total
        totals[weight] = float(loss.total.detach())
    image = float(loss.terms["image"])
    assert image > 0
    assert totals[2.0] - totals[0.5] == pytest.approx(1.5 * image, rel=1e-3)
    torch.manual_seed(1)
    without = made.loss(replace(batch, frames=None), 0, progress)
    assert float(without.total.detach()) == pytest.approx(
        totals[0.5] - 0.5 * image, rel=1e-3, abs=1e-3
    )


def test_frames_are_drawn_in_the_particles_own_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def look(_: object, __: torch.Tensor, code: torch.Tensor, *___: object) -> torch.Tensor:
        drawn.append(code)
        return code.sum()

    monkeypatch.setattr(train_dynamics, "image_loss", look)
    made = stage(replace(CONFIG, appearance_noise=2.0))
    calmed(made.model)  # whose particles keep their looks
    batch = made.batch(0, torch.Generator().manual_seed(0))
    made.loss(batch, 0, 1.0)
    own = batch.window.state.code[:DRAWN, None].expand_as(drawn[0])
    assert torch.allclose(drawn[0], own, atol=1e-5)


def test_it_reaches_the_dynamics_and_leaves_stage_1_as_it_is() -> None:
    made = stage(replace(CONFIG, image=1e4))
    batch = made.batch(0, torch.Generator().manual_seed(0))

    def gradient(frames: torch.Tensor | None) -> torch.Tensor:
        made.model.zero_grad()
        torch.manual_seed(1)
        made.loss(replace(batch, frames=frames), 0, 1.0).total.backward()
        last = made.model.head[-1]
        assert isinstance(last, torch.nn.Linear)
        assert last.weight.grad is not None
        return last.weight.grad.clone()

    seen, blind = gradient(batch.frames), gradient(None)
    assert seen.isfinite().all()
    apart = (seen - blind).abs() > 1e-6
    assert apart[:2].any()  # rows of the position
    assert apart[2 : 2 + FEATURES].any()  # of the looks
    for model in (made.painter, made.dlp.model):
        assert isinstance(model, DLP)
        assert all(weight.grad is None for weight in model.parameters())


def test_the_command_trains_with_it_and_tells_its_size(own: Trained) -> None:
    shutil.rmtree(own.run / "stage2")
    shutil.rmtree(own.run / "tensorboard" / "stage2")
    words = ("--max-steps", 2, *STAGE2, "--dynamics.image", "0.1", "--stage2.log_every", 1)
    particlecast("train-dynamics", *own.on(), *words)
    log = EventAccumulator(str(own.run / "tensorboard" / "stage2"))
    log.Reload()
    values = [event.value for event in log.Scalars("stage2/train/image")]
    assert values
    assert min(values) > 0
    lengths = ("--context", 8, "--horizon", 2, "--limit", 1)
    particlecast("rollout", *own.on(), *lengths, "--out", own.run / "out")
    assert (own.run / "out" / "billiards_00000.npz").is_file()
