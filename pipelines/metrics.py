"""How good a forecast's particles are: positions, coverage, precision, jitter.

Positions are (x, y) in pixels. A particle is live where its transparency is above `LIVE`.
A figure that nothing was there to measure is NaN, never 0 and never perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from data.videos import Truth
from dlp.particles import LIVE

TOLERANCE = 0.06  # of a frame's longer side: a particle nearer than this to an object is on it


@dataclass(frozen=True)
class Followed:
    """m particles, each assigned to one true object at the last context frame.

    Args:
        error: [h, m] distance in pixels at steps 1 to h, NaN where the object is hidden.
        particle: [m] rows of the particles.
        target: [m] indices of the objects.
        visible: objects that could be matched, those visible at the last context frame.
    """

    error: np.ndarray
    particle: np.ndarray
    target: np.ndarray
    visible: int


def position_error(
    position: np.ndarray, transparency: np.ndarray, truth: Truth, longer_side: int
) -> Followed:
    """How far the SAME particle goes astray from the object it sat on when the context ended.

    At the last context frame, live particles and visible objects are paired by the assignment
    of least total distance, within 6 % of the frame's longer side or the object's radius,
    whichever is more. Then row and object are followed, with no second matching; a particle
    that fades away on the way is still held to its object.

    Args:
        position: [1 + h, k, 2] pixels; the first is the last context frame.
        transparency: [1 + h, k] in [0, 1].
        truth: of the same 1 + h frames.
        longer_side: of the frame, in pixels.
    """
    rows = np.flatnonzero(transparency[0] > LIVE)
    objects = np.flatnonzero(truth.visible[0])
    gate = np.maximum(TOLERANCE * longer_side, truth.radius[0, objects])  # (n,)
    distance = _distances(position[0, rows], truth.position[0, objects])  # (k, n)
    # Far pairs all cost the same, so the assignment first pairs as many near ones as it can.
    allowed = distance <= gate
    cost = np.where(allowed, distance, 1e6)
    chosen_row, chosen_object = linear_sum_assignment(cost)
    keep = allowed[chosen_row, chosen_object]
    particle, target = rows[chosen_row[keep]], objects[chosen_object[keep]]
    error = track_error(position[1:, particle], truth.at(slice(1, None)), target)
    return Followed(error, particle, target, len(objects))


def track_error(position: np.ndarray, truth: Truth, target: np.ndarray) -> np.ndarray:
    """Distance of tracks [h, m, 2] to true objects `target` [m]: [h, m], NaN where hidden."""
    distance = np.linalg.norm(position - truth.position[:, target], axis=-1)
    return np.where(truth.visible[:, target], distance, np.nan)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[..., k, 2] and [..., n, 2] to [..., k, n]."""
    return np.linalg.norm(first[..., :, None, :] - second[..., None, :, :], axis=-1)


def share(hits: np.ndarray, of: np.ndarray) -> float:
    """How many of those that count (bool arrays of one shape) are hits; NaN if none counts."""
    return float((hits & of).sum() / of.sum()) if of.any() else float("nan")


def coverage(
    position: np.ndarray, transparency: np.ndarray, truth: Truth, tolerance: float
) -> float:
    """Share of the visible objects, over all frames, with a live particle within tolerance.

    Args:
        position: [t, k, 2] pixels.
        transparency: [t, k] in [0, 1].
        truth: of the same t frames.
        tolerance: pixels, to the object's centre.

    Returns:
        In [0, 1]; NaN if no object is ever visible.
    """
    near: np.ndarray = _distances(position, truth.position) <= tolerance  # (t, k, n)
    near &= (transparency > LIVE)[..., None]
    return share(np.asarray(near.any(axis=1)), truth.visible)


def precision(
    position: np.ndarray,
    transparency: np.ndarray,
    truth: Truth,
    tolerance: float,
    ignore: np.ndarray | None = None,
) -> float:
    """Share of the live particles, over all frames, that sit on a visible object.

    On an object is within its radius or the tolerance of its centre, whichever is more. Two
    particles on one object both count: see `live_per_object` for those. Arguments as in
    `coverage`, and ignore [t, k] bool, particles that count neither way, such as those `on_hidden`;
    NaN if no particle is ever live.
    """
    reach = np.maximum(tolerance, truth.radius)[:, None]  # (t, 1, n)
    on: np.ndarray = (_distances(position, truth.position) <= reach) & truth.visible[:, None]
    live = transparency > LIVE
    return share(np.asarray(on.any(axis=2)), live if ignore is None else live & ~ignore)


def on_hidden(position: np.ndarray, truth: Truth) -> np.ndarray:
    """Which particles lie on the pixels of an object of which too little is seen to be visible.

    Benchmarks of detection and tracking leave such regions out (KITTI's "don't care", MOT's
    ignored classes); the pixel is the nearest one of the frame.

    Args:
        position: [t, k, 2] pixels.
        truth: of the same t frames, with masks.

    Returns:
        [t, k] bool.
    """
    assert truth.mask is not None
    height, width = truth.mask.shape[1:]
    x, y = position.round().astype(int).clip(0, [width - 1, height - 1]).transpose(2, 0, 1)
    frame = np.arange(len(position))[:, None]
    label = truth.mask[frame, y, x].astype(int)  # (t, k)
    return (label > 0) & ~truth.visible[frame, label - 1]


def live_per_object(transparency: np.ndarray, truth: Truth) -> float:
    """Live particles over visible objects, counted over all frames; 1 is ideal."""
    objects = truth.visible.sum()
    return float((transparency > LIVE).sum() / objects) if objects else float("nan")


def jitter(position: np.ndarray, transparency: np.ndarray) -> float:
    """The noise of tracks about a smooth path: standard deviation per coordinate, in pixels.

    From second differences, whose variance is six times that of independent noise. Their
    median absolute value stands for the deviation, so a few jumps or bounces do not count.

    Args:
        position: [t, k, 2] pixels; row k is one particle throughout.
        transparency: [t, k]; only steps live in three frames on end count.

    Returns:
        Pixels; NaN if there is no such step.
    """
    live = transparency > LIVE
    live = live[:-2] & live[1:-1] & live[2:]
    bend = np.diff(position, n=2, axis=0)[live]
    return float(np.median(np.abs(bend)) / 0.6745 / np.sqrt(6)) if bend.size else float("nan")
