"""Stage 2: link the particles of stage 1 over time and train the graph dynamics on them.

particlecast train-dynamics --data SOURCE --run DIR --max-minutes 5
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from data.errors import UserError
from data.videos import Video
from dlp.losses import Loss
from dynamics.config import DynamicsConfig
from dynamics.image import image_loss
from dynamics.losses import unrolled_loss
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.state import State
from dynamics.statistics import statistics
from dynamics.tracks import Tracks
from dynamics.windows import (
    Window,
    gather,
    window_starts,
    with_noise,
    with_other_looks,
)
from pipelines.boards import Board
from pipelines.checkpoint import logged_again_from, refuse_again
from pipelines.config import EngineConfig, plain
from pipelines.devices import start_fabric, to_device
from pipelines.encode import encode_tracks
from pipelines.engine import Finished, train
from pipelines.film import compare
from pipelines.forecast import join, observe, predict, reconstruct
from pipelines.load import TrainedDLP, check_own, check_size, load_dlp, open_data
from pipelines.lock import hold_run, is_follower
from pipelines.progress import reporting
from pipelines.results import mean
from pipelines.stranger import check_settings

VALIDATION_WINDOWS = 128
FILM_STEPS = 20
DRAWN = 8
"""Windows of a batch whose predicted frames are looked at, if any are."""


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Args:
        window: b windows of tracks.
        frames: [m, u, h, w, 3] uint8, what followed the first m of them; None: not looked at.
    """

    window: Window
    frames: torch.Tensor | None


@dataclass
class DynamicsStage:
    """Stage 2 for the engine.

    Args:
        dlp: stage 1.
        videos: for training.
        tracks: of these.
        validation: of the validation videos.
        dynamics: settings of the model.
        size: items of a batch.
        fingerprint: of the data.
        shown: a validation video to forecast on the board, or None.
        board: takes the curve of error against horizon and the film, or None.
    """

    dlp: TrainedDLP
    videos: Sequence[Video]
    tracks: Sequence[Tracks]
    validation: Sequence[Tracks]
    dynamics: DynamicsConfig
    size: int
    fingerprint: str
    shown: Video | None = None
    board: Board | None = None
    name: str = "stage2"
    best_key: str = "position_error"
    best_mode: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        model = self.dlp.model
        self.model = GraphDynamics(self.dynamics, model.config.features, model.size)
        history = self.dynamics.history
        longest = max(len(one) for one in self.tracks)
        self.horizon = min(self.dynamics.horizon, longest - history)
        if self.horizon < 1:
            raise UserError(
                f"videos too short: the longest has {longest} frames, stage 2 needs at least "
                f"{history + 1}: give longer videos, or lower --dynamics.history"
            )
        self.painter = copy.deepcopy(model) if self.dynamics.image else model
        self.starts = window_starts(self.tracks, history, self.horizon)
        # Validation clips may be shorter: forecasts of them are then judged over fewer steps.
        self.judged = max(1, min(self.horizon, max(map(len, self.validation)) - history))
        held_out = window_starts(self.validation, history, self.judged)
        every = torch.linspace(0, len(held_out) - 1, min(len(held_out), VALIDATION_WINDOWS))
        self.held_out = held_out[every.long()]
        try:
            self.model.fit_normalisation(statistics(self.tracks, self.model.side))
        except ValueError as error:
            raise UserError(f"stage 2 has nothing to learn from: {error}") from error
        self.model.births.fit(self.tracks, self.model.side)

    def config(self) -> dict[str, Any]:
        """What builds the model again, and what it was trained on."""
        return {
            "dynamics": plain(self.dynamics),
            "stage1": self.dlp.digest,
            "fingerprint": self.fingerprint,
        }

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Windows drawn evenly from all videos and times."""
        chosen = torch.randint(len(self.starts), (self.size,), generator=generator)
        starts = self.starts[chosen]
        frames = None
        if self.dynamics.image:
            ahead = np.arange(self.horizon) + self.dynamics.history
            frames = torch.from_numpy(
                np.stack([self.videos[v].frames[t + ahead] for v, t in starts[:DRAWN].tolist()])
            )
        return Batch(self._gather(self.tracks, starts, self.horizon), frames)

    def loss(self, batch: Batch, step: int, progress: float) -> Loss:
        """The error of an unroll that grows to its full length over the first half."""
        horizon = min(self.horizon, 1 + int(2 * progress * self.horizon))
        pixels = self.dynamics.noise * self.model.jitter
        noisy = with_noise(batch.window.state, pixels, self.model.side)
        looks = self.dynamics.appearance_noise * self.model.code_std[:-3]
        window = with_other_looks(replace(batch.window, state=noisy), looks)
        unrolled = unrolled_loss(self.model, window, horizon)
        if batch.frames is None:
            return unrolled.loss
        m = len(batch.frames)
        image = image_loss(
            to_device(self.painter, batch.frames.device).decode,
            unrolled.position[:m],
            unrolled.code[:m] - (window.state.code - noisy.code)[:m, None],  # in its own looks
            batch.window.state.alive[:m],
            batch.frames,
        )
        total = unrolled.loss.total + self.dynamics.image * image
        return Loss(total, {**unrolled.loss.terms, "loss": total.detach(), "image": image.detach()})

    def evaluate(self, step: int) -> dict[str, float]:
        """Error of the same particle on validation windows, in pixels, beside standing still."""
        if not len(self.held_out):
            return {"position_error": float("nan")}
        window = self._gather(self.validation, self.held_out, self.judged)
        window = to_device(window, self.model.side.device)
        states = list(unroll(self.model, window.state, self.judged))
        predicted = torch.stack([state.position[:, -1] for state in states], 1)
        guesses = {
            "position_error": predicted,
            "constant_velocity": coasting(window.state, self.judged),
            "copy_last": window.state.position[:, -1:].expand_as(predicted),
        }
        curves = {
            name: errors_by_step(guess, window, self.model.side) for name, guess in guesses.items()
        }
        scores = {name: float(mean(curve)) for name, curve in curves.items()}
        if self.board is not None:
            self.board.curve("stage2/error against horizon", curves, step, unit="pixels")
            self._film(self.board, step)
        return scores

    def _film(self, board: Board, step: int) -> None:
        """Truth beside prediction, of the first frames of a validation video."""
        history, video = self.dynamics.history, self.shown
        if video is None or len(video) <= history:
            return
        horizon = min(FILM_STEPS, len(video) - history)
        true = np.ascontiguousarray(video.frames[: history + horizon])
        on_cpu = copy.deepcopy(self.model).cpu()
        observed = observe(self.dlp.model, on_cpu, true[:history])
        future = join(list(predict(self.dlp.model, on_cpu, observed.state, horizon)))[0]
        film = compare(true, reconstruct(self.dlp.model, observed), future)
        board.film("stage2/rollout", film, video.fps, step)

    def _gather(self, tracks: Sequence[Tracks], starts: torch.Tensor, horizon: int) -> Window:
        """Windows with as many rows as stage 1 has particles."""
        rows = self.dlp.model.config.particles
        return gather(tracks, starts, self.dynamics.history, horizon, rows)


def coasting(state: State, horizon: int) -> torch.Tensor:
    """Positions [b, horizon, n, 2] of particles that keep their last displacement."""
    now, before = state.position[:, -1:], state.position[:, -2:-1]
    ahead = torch.arange(1, horizon + 1, device=now.device)[None, :, None, None]
    return now + ahead * (now - before)


def errors_by_step(guess: torch.Tensor, window: Window, side: torch.Tensor) -> np.ndarray:
    """Mean distance of positions [b, u, n, 2] from the window's targets where these were seen.

    Args:
        side: [2], pixels a unit of x and of y.

    Returns:
        [u] pixels; NaN at a step without any target that was seen.
    """
    off = ((guess - window.position) * side).norm(dim=-1)
    return ((off * window.mask).sum((0, 2)) / window.mask.sum((0, 2))).cpu().numpy()


def train_dynamics(
    data: str,
    run: Path,
    dynamics: DynamicsConfig,
    stage2: EngineConfig,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    seed: int = 0,
) -> Finished:
    """Train stage 2 on the source that stage 1 of the same run was trained on.

    Raises:
        UserError: no stage 1, or the source is another, or the settings are unfit.
    """
    check_settings(dynamics, "--dynamics")
    with hold_run(run):
        refuse_again(run, "stage2", resume)
        dlp = load_dlp(run)
        dataset = open_data(data, dlp.frames)
        check_size(dlp, dataset.whole, data)
        check_own(dlp, dataset, run)
        fabric = start_fabric(stage2)
        started = time.monotonic()
        with reporting() as progress:
            key = f"{dlp.digest}-{dataset.fingerprint}"
            tracks, validation = (
                encode_tracks(dlp.model, videos, run / "particles" / name, key, progress, fabric)
                for name, videos in (
                    ("train.safetensors", dataset.train),
                    ("val.safetensors", dataset.val),
                )
            )
        spent = time.monotonic() - started  # encoding is part of the time that was given
        torch.manual_seed(seed)
        purge = logged_again_from(run, "stage2", resume)
        board = Board(run / "tensorboard" / "stage2", purge)
        stage = DynamicsStage(
            dlp,
            dataset.train,
            tracks,
            validation,
            dynamics,
            stage2.batch,
            dataset.fingerprint,
            dataset.val[0],
            board,
        )
        window = dynamics.history + stage.horizon
        short = sum(len(one) < window for one in tracks)
        if short and not is_follower():
            print(
                f"{short} of {len(tracks)} training videos are left out: they have fewer than "
                f"{window} frames, a history and a forecast",
                file=sys.stderr,
            )
        finished = train(
            stage, run, stage2, max_steps, max_minutes, resume, seed, board, spent=spent
        )
        if finished.best is not None and not is_follower():
            settings = {"seed": seed, "data": data, **plain(dynamics), **plain(stage2)}
            board.hyperparameters(settings, {"position_error": finished.best})
        board.close()
    return finished
