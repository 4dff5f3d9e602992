"""Whether sampled futures are as spread as the truth, and whether one of them comes true."""

from __future__ import annotations

import numpy as np

from data.videos import Truth
from dlp.particles import LIVE
from pipelines.results import LEVELS, mean


def followed_rows(position: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Positions of the particles that the rows hold at the first step, all the way.

    A particle that has left stays where it left, also when its row is given to another.

    Args:
        position: [..., t, k, 2].
        identity: [..., t, k] ints.

    Returns:
        [..., t, k, 2].
    """
    kept = position.copy()
    same = identity == identity[..., :1, :]
    for step in range(1, position.shape[-3]):
        here = same[..., step, :, None]
        kept[..., step, :, :] = np.where(here, position[..., step, :, :], kept[..., step - 1, :, :])
    return kept


def calibration(samples: np.ndarray, true: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """How often the truth is inside the samples' interval of each of LEVELS, see there."""
    return np.array([interval_coverage(samples, true, visible, level) for level in LEVELS])


COUNT_OFF = "live particles off the visible objects' number"
"""What a report calls `live_count_error`. It is a number for each video with true tracks."""


def live_count_error(transparency: np.ndarray, truth: Truth) -> float:
    """Mean over steps of |live particles - visible objects|.

    Args:
        transparency: [t, k] in [0, 1].
        truth: of the same t frames.
    """
    counted = (transparency > LIVE).sum(1) - truth.visible.sum(1)
    return float(np.abs(counted).mean())


def interval_coverage(
    samples: np.ndarray, true: np.ndarray, visible: np.ndarray, share: float
) -> float:
    """How often a true coordinate is inside the samples' central interval.

    The interval's ends are order statistics such that samples and truth drawn alike would be
    covered with probability `share` (quantiles p (S + 1), Weibull's). That takes enough samples:
    3 for a half, 19 for nine tenths.

    Args:
        samples: [s, t, m, 2].
        true: [t, m, 2].
        visible: [t, m] bool; others do not count.
        share: in (0, 1).

    Returns:
        In [0, 1]; NaN if nothing is visible, or the samples are too few.
    """
    tails = ((1 - share) / 2, (1 + share) / 2)
    low, high = np.quantile(samples, tails, axis=0, method="weibull")
    inside = ((low <= true) & (true <= high)).mean(-1)  # (t, m)
    enough = tails[0] * (len(samples) + 1) >= 1 - 1e-9
    return float(inside[visible].mean()) if visible.any() and enough else float("nan")


def best_of(samples: np.ndarray, true: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Each object's error in the sample that is nearest to it: minADE, the field's.

    Args:
        samples: [s, t, m, 2] pixels.
        true: [t, m, 2].
        visible: [t, m] bool; others do not count.

    Returns:
        [m] pixels, the mean over visible steps; NaN for an object that is never visible.
    """
    error = np.linalg.norm(samples - true, axis=-1)  # (s, t, m)
    count = visible.sum(0)
    total = np.where(visible, error, 0).sum(1)  # (s, m); a hidden object's place may be NaN
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total.min(0) / count, np.nan)


def best_scene(samples: np.ndarray, true: np.ndarray, visible: np.ndarray) -> float:
    """The mean error of all objects in the one sample that is nearest to them together: minJADE.

    Arguments as in `best_of`.

    Returns:
        Pixels; NaN if nothing is ever visible.
    """
    each = np.stack([best_of(one[None], true, visible) for one in samples])  # (s, m)
    known = ~np.isnan(each[0])
    return float(each[:, known].mean(1).min()) if known.any() else float("nan")


def spread_figures(
    samples: np.ndarray, middle: np.ndarray, true: np.ndarray, visible: np.ndarray
) -> dict[str, float]:
    """All figures of S sampled futures of m followed objects.

    Args:
        samples: [s, t, m, 2] pixels.
        middle: [t, m, 2] the forecast without chance.
        true: [t, m, 2].
        visible: [t, m] bool.
    """
    best = best_of(samples, true, visible)
    alone = best_of(middle[None], true, visible)
    return {
        "truth inside the samples' 50 % interval": interval_coverage(samples, true, visible, 0.5),
        "truth inside the samples' 90 % interval": interval_coverage(samples, true, visible, 0.9),
        f"error of the best of {len(samples)} samples, px": float(mean(best)),
        f"error of the best whole scene of {len(samples)}, px": best_scene(samples, true, visible),
        "error of the middle future, px": float(mean(alone)),
    }
