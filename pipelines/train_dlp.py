"""Stage 1: train the autoencoder on frames.

particlecast train-dlp --data SOURCE --run DIR --max-minutes 5
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from data.errors import UserError
from data.frames import FrameConfig
from data.videos import Dataset, Video
from dlp.build import build_model
from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.glimpse import crop
from dlp.losses import Loss
from dlp.particles import LIVE, Particles, to_pixels
from pipelines.boards import Board
from pipelines.calibrate import calibrate
from pipelines.checkpoint import (
    checkpoint_root,
    list_checkpoints,
    logged_again_from,
    refuse_again,
)
from pipelines.config import EngineConfig, plain
from pipelines.engine import Finished, train
from pipelines.frames import FramePool, median_image, to_tensor, to_uint8
from pipelines.health import check, diagnose
from pipelines.load import open_data
from pipelines.lock import hold_run, is_follower
from pipelines.metrics import TOLERANCE, coverage, live_per_object, precision
from pipelines.pixel_metrics import moving_mask, psnr, psnr_moving
from pipelines.regress import error, fit, gather, predict
from pipelines.regress_panel import faces_panel
from pipelines.stranger import check_settings

VALIDATION_VIDEOS = 8
VALIDATION_FRAMES = 40  # of each
PANEL_FRAMES = 6
REGRESSED = 500  # images of each set, from whose particles landmarks are regressed
SHOWN_FRAMES = 48  # whose particles go to the Projector
FOLLOWED = (
    "{run} has a stage 2, which stands on its stage 1 as it is: to train stage 1 further, copy the "
    "run without its folder stage2, go on there, and run `particlecast train-dynamics` after it"
)


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
    progress: float = 0.0
    said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            self.model = build_model(self.dlp, self.dataset.size, training=True)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.bfloat16 = self.dlp.model == "dlp"
        self.pool = FramePool(self.dataset.train)
        self.model.start_from(median_image(self.dataset.train))

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
        """All at the peak rate, but what starts at good values ten times slower."""
        slow = self.model.slow_parameters()
        known = set(map(id, slow))
        rest = [p for p in self.model.parameters() if id(p) not in known]
        return [{"params": rest}, *([{"params": slow, "lr": self.rate / 10}] if slow else [])]

    def batch(self, step: int, generator: torch.Generator) -> Tensor:
        """Frames drawn evenly from all training videos, [b, 3, h, w]."""
        indices = torch.randint(len(self.pool), (self.size,), generator=generator)
        return to_tensor(self.pool.take(indices.numpy()))

    def loss(self, batch: Tensor, step: int, progress: float) -> Loss:
        """The DLP objective."""
        self.progress = progress
        return self.model.loss(batch, progress)

    def evaluate(self, step: int) -> dict[str, float]:
        """Reconstruction and, with true tracks, what the particles found, in validation videos."""
        held_out = self.dataset.val[:VALIDATION_VIDEOS]
        if self.dlp.objects:
            calibrate(self.model, held_out)
        judged = [self._judge(video) for video in held_out]
        rows = [scores for scores, _ in judged]
        if self.dlp.objects:
            check([troubles for _, troubles in judged], self.said, self.board, step)
        if self.board is not None:
            self._show(self.board, step)
        regressed = {} if self.dlp.objects else self._regress(step)
        table = np.array([list(row.values()) for row in rows])
        known = ~np.isnan(table).all(0)
        names = [name for name, keep in zip(rows[0], known, strict=True) if keep]
        return regressed | dict(zip(names, np.nanmean(table[:, known], 0).tolist(), strict=True))

    def _regress(self, step: int) -> dict[str, float]:
        """How well true landmarks, if there are any, follow linearly from the particles."""
        val = [video for video in self.dataset.val if video.truth is not None]
        learned = self.dataset.fit or self.dataset.train
        if not val or any(video.truth is None for video in learned):
            return {}
        train = gather(self.model, learned, REGRESSED)
        faces = gather(self.model, val, REGRESSED)
        predicted = predict(faces.inputs(), fit(train.inputs(), train.truth))
        if self.board is not None:
            pool, count = FramePool(val), len(faces.truth)
            few = np.linspace(0, count - 1, min(PANEL_FRAMES, count)).astype(int)
            shown = pool.take(pool.spread(count)[few])
            self.board.images("landmarks", faces_panel(shown, faces.at(few), predicted[few]), step)
        return {
            "regression_error": error(predicted, faces.truth),
            "mean_log_variance": float(faces.log_variance.mean()),
        }

    def _show(self, board: Board, step: int) -> None:
        """A panel of validation frames and their parts, and the appearance in the Projector."""
        pool = FramePool(self.dataset.val)
        background = self.model.background_image()
        image = to_tensor(pool.take(pool.spread(SHOWN_FRAMES))).to(background.device)
        encoding = self.model.encode(image)
        particles = encoding.particles
        scene = self._redraw(image, particles)
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

    def _redraw(self, image: Tensor, particles: Particles) -> Scene:
        """The frames again: of objects by their particles alone, of landmarks with their rest."""
        return self.model.decode(particles) if self.dlp.objects else self.model(image)

    def _judge(self, video: Video) -> tuple[dict[str, float], list[str]]:
        """The scores of one video, NaN where they do not apply, and what is wrong there."""
        every = np.linspace(0, len(video) - 1, min(len(video), VALIDATION_FRAMES)).astype(int)
        true = np.ascontiguousarray(video.frames[every])
        background = self.model.background_image()
        encoding = self.model.encode(to_tensor(true).to(background.device))
        scene = self._redraw(to_tensor(true).to(background.device), encoding.particles)
        drawn, still = to_uint8(scene.image), to_uint8(background[None])[0]
        moving = moving_mask(true, still)
        alive = encoding.particles.transparency.cpu().numpy()
        position = to_pixels(encoding.particles.position, *self.dataset.size).cpu().numpy()
        covered = scene.mask.mean((1, 2, 3)).cpu().numpy()
        warming = self.progress < self.model.warmup
        troubles = diagnose(position, alive, covered, true, drawn, still, warming)
        scores = {
            "psnr": float(psnr(drawn, true).mean()),
            "psnr_moving": _mean(psnr_moving(drawn, true, moving)),
            "live": float((alive > LIVE).sum(1).mean()),
            "transparency": float(alive.mean()),
        }
        if video.truth is None:
            unknown = dict.fromkeys(("coverage", "precision", "live_per_object"), np.nan)
            return scores | unknown, troubles
        truth = video.truth.at(every)
        tolerance = TOLERANCE * max(self.dataset.size)
        found = {
            "coverage": coverage(position, alive, truth, tolerance),
            "precision": precision(position, alive, truth, tolerance),
            "live_per_object": live_per_object(alive, truth),
        }
        return scores | found, troubles


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
    check_settings(dlp, "--dlp")
    with hold_run(run):
        refuse_again(run, "stage1", resume)
        dataset = open_data(data, frames)
        torch.manual_seed(seed)
        purge = logged_again_from(run, "stage1", resume)
        board = Board(run / "tensorboard" / "stage1", purge)
        stage = DLPStage(dataset, frames, dlp, stage1.batch, stage1.learning_rate, board)
        followed = list_checkpoints(checkpoint_root(run, "stage2"))
        fixed = FOLLOWED.format(run=run) if followed else ""
        finished = train(
            stage, run, stage1, max_steps, max_minutes, resume, seed, board, fixed=fixed
        )
        if finished.best is not None and not is_follower():
            settings = {"seed": seed, "data": data, **plain(dlp), **plain(stage1)}
            board.hyperparameters(settings, {"psnr": finished.best})
        board.close()
    return finished
