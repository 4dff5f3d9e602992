"""Stage 1: train the autoencoder on frames.

particlecast train-dlp --data SOURCE --run DIR --max-minutes 5
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from data.errors import UserError
from data.frames import FrameConfig
from data.videos import Dataset, Video
from dlp.config import DLPConfig
from dlp.glimpse import crop
from dlp.losses import Loss
from dlp.model import DLP
from dlp.particles import LIVE, Particles, to_pixels
from pipelines.boards import Board
from pipelines.checkpoint import logged_again_from, refuse_again
from pipelines.config import EngineConfig, plain
from pipelines.engine import Finished, train
from pipelines.frames import FramePool, median_image, to_tensor, to_uint8
from pipelines.load import open_data
from pipelines.lock import hold_run, is_follower
from pipelines.metrics import (
    coverage,
    live_per_object,
    moving_mask,
    precision,
    psnr,
    psnr_moving,
)

VALIDATION_VIDEOS = 8
VALIDATION_FRAMES = 40  # of each
PANEL_FRAMES = 6
SHOWN_FRAMES = 48  # whose particles go to the Projector


@dataclass
class DLPStage:
    """Stage 1 for the engine.

    Args:
        dataset: the frames.
        frames: how they were cut.
        dlp: settings of the model.
        size: items of a batch.
        rate: the peak learning rate.
        board: takes the panel of images, or None.
    """

    dataset: Dataset
    frames: FrameConfig
    dlp: DLPConfig
    size: int
    rate: float
    board: Board | None = None
    name: str = "stage1"
    best_key: str = "psnr"
    best_mode: Literal["min", "max"] = "max"

    def __post_init__(self) -> None:
        try:
            self.model = DLP(self.dlp, self.dataset.size)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.pool = FramePool(self.dataset.train)
        self.model.decoder.background.data.copy_(median_image(self.dataset.train))

    def config(self) -> dict[str, Any]:
        """What builds the model again, and what it was trained on."""
        return {
            "dlp": plain(self.dlp),
            "frames": plain(self.frames),
            "size": list(self.dataset.size),
            "source": self.dataset.source,
            "fingerprint": self.dataset.fingerprint,
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The background learns ten times slower: it starts at the median of the data."""
        background = self.model.decoder.background
        rest = [p for p in self.model.parameters() if p is not background]
        return [{"params": rest}, {"params": [background], "lr": self.rate / 10}]

    def batch(self, step: int, generator: torch.Generator) -> Tensor:
        """Frames drawn evenly from all training videos, [b, 3, h, w]."""
        indices = torch.randint(len(self.pool), (self.size,), generator=generator)
        return to_tensor(self.pool.take(indices.numpy()))

    def loss(self, batch: Tensor, step: int, progress: float) -> Loss:
        """The DLP objective."""
        return self.model.loss(batch, progress)

    def evaluate(self, step: int) -> dict[str, float]:
        """Reconstruction and, with true tracks, what the particles found, in validation videos."""
        rows = [self._judge(video) for video in self.dataset.val[:VALIDATION_VIDEOS]]
        if self.board is not None:
            self._show(self.board, step)
        table = np.array([list(row.values()) for row in rows])
        known = ~np.isnan(table).all(0)
        names = [name for name, keep in zip(rows[0], known, strict=True) if keep]
        return dict(zip(names, np.nanmean(table[:, known], 0).tolist(), strict=True))

    def _show(self, board: Board, step: int) -> None:
        """A panel of validation frames and their parts, and the appearance in the Projector."""
        pool = FramePool(self.dataset.val)
        background = self.model.decoder.background
        image = to_tensor(pool.take(pool.spread(SHOWN_FRAMES))).to(background.device)
        encoding = self.model.encode(image)
        particles = encoding.particles
        scene = self.model.decode(particles)
        board.panel(
            step,
            images=image[:PANEL_FRAMES],
            particles=particles[:PANEL_FRAMES],
            proposals=encoding.proposals.position[:PANEL_FRAMES],
            reconstruction=scene.image[:PANEL_FRAMES],
            foreground=scene.foreground[:PANEL_FRAMES],
            masks=scene.mask[:PANEL_FRAMES],
            background=background.expand_as(image[:PANEL_FRAMES]),
            boxes=boxes(particles, self.dlp.glimpse, self.dataset.size)[:PANEL_FRAMES],
        )
        live = particles.transparency > LIVE  # (n, k)
        glimpses = crop(image, particles.position, particles.scale, self.dlp.glimpse)
        if live.any():
            frame, slot = (index.tolist() for index in live.nonzero(as_tuple=True))
            columns = {"frame": frame, "particle": slot}
            board.projector(particles.appearance[live], glimpses[live], columns, step)

    def _judge(self, video: Video) -> dict[str, float]:
        """The scores of one video, NaN where they do not apply."""
        every = np.linspace(0, len(video) - 1, min(len(video), VALIDATION_FRAMES)).astype(int)
        true = np.ascontiguousarray(video.frames[every])
        background = self.model.decoder.background
        encoding = self.model.encode(to_tensor(true).to(background.device))
        drawn = to_uint8(self.model.decode(encoding.particles).image)
        moving = moving_mask(true, to_uint8(background[None])[0])
        alive = encoding.particles.transparency.cpu().numpy()
        scores = {
            "psnr": float(psnr(drawn, true).mean()),
            "psnr_moving": _mean(psnr_moving(drawn, true, moving)),
            "live": float((alive > LIVE).sum(1).mean()),
            "transparency": float(alive.mean()),
        }
        if video.truth is None:
            return scores | dict.fromkeys(("coverage", "precision", "live_per_object"), np.nan)
        truth = video.truth.at(every)
        position = to_pixels(encoding.particles.position, *self.dataset.size).cpu().numpy()
        tolerance = 0.06 * max(self.dataset.size)
        return scores | {
            "coverage": coverage(position, alive, truth, tolerance),
            "precision": precision(position, alive, truth, tolerance),
            "live_per_object": live_per_object(alive, truth),
        }


def boxes(particles: Particles, glimpse: int, size: tuple[int, int]) -> Tensor:
    """The squares that the particles' patches cover, [..., k, 4]: left, top, right, bottom, px."""
    centre = to_pixels(particles.position, *size)
    half = particles.scale[..., None] * glimpse / 2
    return torch.cat([centre - half, centre + half], -1)


def _mean(values: np.ndarray) -> float:
    """The mean without NaN; NaN if nothing is left."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def train_dlp(
    data: str,
    run: Path,
    frames: FrameConfig,
    dlp: DLPConfig,
    stage1: EngineConfig,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    seed: int = 0,
) -> Finished:
    """Train stage 1 on a source and save it in the run's folder.

    Raises:
        UserError: the source, the run or the settings are unfit.
    """
    with hold_run(run):
        refuse_again(run, "stage1", resume)
        dataset = open_data(data, frames)
        torch.manual_seed(seed)
        purge = logged_again_from(run, "stage1", resume)
        board = Board(run / "tensorboard" / "stage1", purge)
        stage = DLPStage(dataset, frames, dlp, stage1.batch, stage1.learning_rate, board)
        finished = train(stage, run, stage1, max_steps, max_minutes, resume, seed, board)
        if finished.best is not None and not is_follower():
            settings = {"seed": seed, "data": data, **plain(dlp), **plain(stage1)}
            board.hyperparameters(settings, {"psnr": finished.best})
        board.close()
    return finished
