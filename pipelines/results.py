"""What an evaluation found, video by video, and how sure its means are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

DRAWS = 1000
"""Bootstrap samples of the videos."""
FEW = 5
"""Fewer videos than this tell little of others, whatever their interval says."""
RECONSTRUCTION = "reconstruction_psnr"
"""What files for programs call the PSNR of the context as it is drawn from its particles."""
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares that the sampled futures' central intervals say they hold."""


@dataclass(frozen=True)
class Scores:
    """One method's figures for v videos at steps 1 to h; NaN where there was nothing to measure.

    Args:
        psnr, ssim, ssim_uniform, psnr_moving: [v, h]; None for a method that forecasts no pixels.
        lpips_alex, lpips_vgg: [v, h]; None too where there were no weights or they were not asked
            for.
        fg_ari, fg_miou, fg_miou_twice: [v, h]; None without true masks.
        coverage, precision: [v, h] of the forecast particles; None without true tracks.
        position_error: [v, h] pixels, each video's mean over its objects; None without truth
            or for a method that forecasts no positions.
    """

    psnr: np.ndarray | None = None
    ssim: np.ndarray | None = None
    ssim_uniform: np.ndarray | None = None
    psnr_moving: np.ndarray | None = None
    lpips_alex: np.ndarray | None = None
    lpips_vgg: np.ndarray | None = None
    fg_ari: np.ndarray | None = None
    fg_miou: np.ndarray | None = None
    fg_miou_twice: np.ndarray | None = None
    coverage: np.ndarray | None = None
    precision: np.ndarray | None = None
    position_error: np.ndarray | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """All that a report is made from.

    Args:
        model: the forecast's scores, with pixels.
        baselines: name to scores; "copy-last" is the one the verdict is against.
        reconstruction_psnr: [v] dB, of the context frames, drawn from the particles that the
            forecast starts with.
        particles: figure to [v]: coverage, precision, live per object, jitter, ... whatever of
            these the data allows.
        meta: what was evaluated, in the order to print: data, lengths, videos, frames, how the
            run was trained, the machine and the code. Values must be fit for JSON.
        settings: all that the run was trained with, `{"dlp.particles": 12, ...}`, fit for JSON.
        whole: figure of all videos together to its value.
        notes: figure to why it is missing.
        names: of the v videos.
        troubles: what went wrong in each, in plain words; empty where it is not known.
        inside: [v, len(LEVELS)] how often the truth is inside the samples' intervals; None without
            samples or true tracks.
        overlap: whether the videos are windows of one, which have frames in common.
        seed: of the bootstrap.
    """

    model: Scores
    baselines: Mapping[str, Scores]
    reconstruction_psnr: np.ndarray
    particles: Mapping[str, np.ndarray] = field(default_factory=dict)
    meta: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    whole: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()
    troubles: Sequence[Sequence[str]] = ()
    inside: np.ndarray | None = None
    overlap: bool = False
    seed: int = 0

    @property
    def once(self) -> dict[str, np.ndarray]:
        """All figures that each video has once, name to [v]."""
        return {RECONSTRUCTION: self.reconstruction_psnr, **self.particles}


def mean(values: np.ndarray, axis: int | tuple[int, ...] | None = 0) -> np.ndarray:
    """The mean of what is not NaN; NaN where nothing is left, without a warning."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis)
    return np.divide(total, known.sum(axis), where=known.any(axis), out=np.full_like(total, np.nan))


def interval(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95 % bootstrap confidence interval of the mean over videos.

    Videos are drawn with replacement 1000 times, whole, since the frames of one video are not
    independent of each other.

    Args:
        values: [v, ...], one row a video; NaN is left out of each mean.

    Returns:
        low, high: [...]; NaN for fewer than two videos.
    """
    nothing = np.full(values.shape[1:], np.nan)
    if len(values) < 2:
        return nothing, nothing
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    drawn = np.random.default_rng(seed).multinomial(
        len(values), np.full(len(values), 1 / len(values)), DRAWS
    )  # (draws, v): how often each video is in
    total, count = drawn @ np.where(known, flat, 0), drawn @ known  # (draws, ...)
    means = np.divide(total, count, where=count > 0, out=np.full_like(total, np.nan))
    bounds = np.full((2, flat.shape[1]), np.nan)
    some = known.any(0)  # a draw may miss every known value: NaN, and left out
    bounds[:, some] = np.nanpercentile(means[:, some], (2.5, 97.5), axis=0)
    low, high = bounds.reshape(2, *values.shape[1:])
    return low, high


def overlapping(names: Sequence[str], length: int) -> bool:
    """Whether windows of long videos have frames in common.

    Args:
        names: VIDEO_START each, the start in frames.
        length: of a window, frames.
    """
    starts: dict[str, list[int]] = {}
    for name in names:
        video, _, start = name.rpartition("_")
        starts.setdefault(video, []).append(int(start))
    return any((np.diff(np.sort(found)) < length).any() for found in starts.values())


def jsonable(value: object) -> object:
    """What JSON can hold: NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(x) for key, x in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [jsonable(x) for x in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)
