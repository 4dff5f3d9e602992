"""Trained models out of a run's folder."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from data.frames import LARGEST_SIDE, FrameConfig
from data.source import open_source
from data.synthetic import parse, shown
from data.videos import Dataset, Video
from dlp.build import ParticleModel, build_model
from dlp.config import DLPConfig
from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from pipelines.checkpoint import WEIGHTS, find_checkpoint, load_config
from pipelines.config import build
from pipelines.progress import reporting
from pipelines.stranger import build_settings, build_trained


@dataclass(frozen=True)
class TrainedDLP:
    """A trained stage 1.

    Args:
        model: in eval mode, on the CPU.
        frames: how the frames it knows were cut.
        fingerprint: of the data it was trained on.
        digest: hex; equal means the same weights.
        source: SOURCE it was trained on, unchecked; "": not known.
    """

    model: ParticleModel
    frames: FrameConfig
    fingerprint: str
    digest: str
    source: str = ""


def load_dlp(run: Path, particles: int = 0, folder: Path | None = None) -> TrainedDLP:
    """The best stage 1 of a run.

    Args:
        particles: K from now on, if there may be more things than in training; 0: as trained. No
            weight depends on it.
        folder: one of its checkpoints; None: the best.

    Raises:
        UserError: there is none, its files are damaged or not what they should be, or it cannot
            have so many particles.
    """
    folder = folder or find_checkpoint(run, "stage1")
    config = load_config(folder)
    size = _size(config.get("size"), folder)
    frames = build(FrameConfig, config.get("frames"), f"{folder}/config.json: frames")
    settings = build_settings(DLPConfig, config.get("dlp"), f"{folder}/config.json: dlp")
    if particles:
        if settings.model != "dlp":
            raise UserError(f"{run}: its model has a fixed number of particles")
        patches = (size[0] // settings.patch) * (size[1] // settings.patch)
        if particles > patches:
            raise UserError(
                f"--particles {particles}: frames of {size[1]}x{size[0]} have {patches} patches, "
                f"each of which proposes one particle: give at most {patches}"
            )
        proposals = max(settings.n_prior, particles + settings.n_prior - settings.particles)
        settings = replace(settings, particles=particles, n_prior=proposals)
    model = build_trained(folder, lambda: build_model(settings, size))
    digest = digest_of(folder)
    model.eval().requires_grad_(False)
    source = config.get("source")
    source = source if isinstance(source, str) else ""
    return TrainedDLP(model, frames, str(config.get("fingerprint", "")), digest, source)


def digest_of(folder: Path) -> str:
    """What tells a checkpoint's weights from others."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:32]


def load_dynamics(run: Path, dlp: TrainedDLP) -> GraphDynamics:
    """The best stage 2 of a run, in eval mode, on the CPU.

    Raises:
        UserError: there is none, it is damaged, or it was trained on another stage 1.
    """
    folder = find_checkpoint(run, "stage2")
    config = load_config(folder)
    if config.get("stage1") != dlp.digest:
        raise UserError(
            f"{folder} was trained on another stage 1 than the one in {run}: "
            "run `particlecast train-dynamics` again, into a copy of the run without its folder "
            "stage2"
        )
    saved = config.get("dynamics")
    if isinstance(saved, dict) and "appearance_noise" not in saved:
        raise UserError(
            f"{folder} was trained by an earlier version: run `particlecast train-dynamics` again, "
            "into a copy of the run without its folder stage2"
        )
    settings = build_settings(DynamicsConfig, saved, f"{folder}/config.json: dynamics")
    features, size = dlp.model.config.features, dlp.model.size
    model = build_trained(folder, lambda: GraphDynamics(settings, features, size))
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Forecaster:
    """Both stages of a run, and what they are to forecast.

    Args:
        dlp: stage 1.
        dynamics: stage 2.
        dataset: frames of the size that stage 1 knows.
    """

    dlp: TrainedDLP
    dynamics: GraphDynamics
    dataset: Dataset


def open_forecaster(
    data: str, run: Path, particles: int = 0, samples: int = 0, births: bool = True
) -> Forecaster:
    """A run and a source, as `rollout` and `evaluate` need them.

    Args:
        particles: K, if there may be more things than in training; 0: as trained.
        samples: futures that are to be drawn.
        births: whether particles come in at the border.

    Raises:
        UserError: the run or the source is unfit, or the run foresees one future only.
    """
    dlp = load_dlp(run, particles)
    dynamics = load_dynamics(run, dlp)
    if samples and not dynamics.config.chance:
        raise UserError(
            "--samples: this run was trained with --dynamics.chance 0 and foresees one future: "
            "leave --samples out, or train stage 2 with chance"
        )
    if not births:
        dynamics.births.rate.zero_()
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    return Forecaster(dlp, dynamics, dataset)


def _size(value: Any, folder: Path) -> tuple[int, int]:
    """(height, width) from a stranger's file."""
    good = isinstance(value, list) and len(value) == 2
    if not good or not all(type(v) is int and 8 <= v <= LARGEST_SIDE for v in value):
        raise UserError(
            f"{folder}/config.json: size must be two whole numbers from 8 to {LARGEST_SIDE}, "
            f"found {str(value)[:40]}: train stage 1 again"
        )
    return value[0], value[1]


def open_data(source: str, frames: FrameConfig) -> Dataset:
    """Open a source behind a progress bar, and tell of each file that is left out.

    Raises:
        UserError: the source is unfit.
    """
    with reporting() as progress:
        dataset = open_source(source, frames, progress=progress)
    for line in dataset.left_out:
        print(f"left out: {line}", file=sys.stderr)
    return dataset


def held_out(dataset: Dataset, dlp: TrainedDLP) -> tuple[Video, ...]:
    """What the run was not trained on: all of another source, unless it names its own tests.

    If its own source was split without a test part, what it was trained on, which is told.

    Raises:
        UserError: as `unseen`.
    """
    own = dataset.is_that(dlp.fingerprint)
    # An empty test part is the training part (data.split, rule 3), the very same frames.
    if own and np.may_share_memory(dataset.train[0].frames, dataset.test[0].frames):
        print(
            f"nothing was held out of {dataset.source}: what follows is of training data",
            file=sys.stderr,
        )
    videos = dataset.test if own or dataset.named or dataset.by_time else dataset.whole
    return unseen(videos, dataset.source, dlp)


def unseen(videos: tuple[Video, ...], source: str, dlp: TrainedDLP) -> tuple[Video, ...]:
    """Videos of a source without those that the run knows from a set of the same synthetic world.

    Which are left out is told.

    Raises:
        UserError: none remains.
    """
    names = shown([video.name for video in videos], source, dlp.source)
    if not names:
        return videos
    which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    if len(names) == len(videos):
        other = 0 if parse(source)[1]["seed"] else 1
        raise UserError(
            f"{source}: nothing in it is new to the run: {which}, its part for testing, was for "
            f"training in {dlp.source}: add ,seed={other} to it, or give the run's own source"
        )
    print(f"left out: {which} of {source}, which the run was trained on", file=sys.stderr)
    known = set(names)
    return tuple(video for video in videos if video.name not in known)


def check_own(dlp: TrainedDLP, dataset: Dataset, run: Path) -> None:
    """Stop unless a source is the one that stage 1 was trained on: its parts are held out for both.

    Raises:
        UserError: naming it.
    """
    if not dataset.is_that(dlp.fingerprint):
        own = f", {dlp.source}," if dlp.source else ""
        raise UserError(
            f"{dataset.source} is not what {run} was trained on, or was cut otherwise: give its "
            f"own source{own} so that what was held out stays held out"
        )


def check_size(dlp: TrainedDLP, videos: Sequence[Video], source: str) -> None:
    """Stop if a source's frames are not of the size that stage 1 was trained on.

    Raises:
        UserError: naming both sizes.
    """
    height, width = videos[0].frames.shape[1:3]
    if (height, width) != dlp.model.size:
        raise UserError(
            f"{source}: its frames come out as {width}x{height} pixels, the run was trained on "
            f"{dlp.model.size[1]}x{dlp.model.size[0]}: give videos of the same shape, or train anew"
        )
