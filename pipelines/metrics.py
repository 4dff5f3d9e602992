"""How good a forecast is, step by step: pixels, moving pixels, and the particles' positions.

Positions are (x, y) in pixels. A particle is live where its transparency is above `LIVE`.
A figure that nothing was there to measure is NaN, never 0 and never perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torchmetrics.functional.image import structural_similarity_index_measure

from data.videos import Truth
from dlp.particles import LIVE

PSNR_CAP = 100.0  # dB; two equal frames have no finite PSNR and would spoil every mean
MOVING_THRESHOLD = 0.08  # of the range [0, 1], in the channel that differs most
TOLERANCE = 0.06  # of a frame's longer side: a particle nearer than this to an object is on it


def _unit(frames: np.ndarray) -> np.ndarray:
    """uint8 or float frames as float64 in [0, 1]."""
    return frames / 255.0 if frames.dtype == np.uint8 else frames.astype(np.float64)


def _psnr(error: np.ndarray) -> np.ndarray:
    """Mean squared errors on [0, 1] to decibels, at most `PSNR_CAP`."""
    return -10 * np.log10(np.maximum(error, 10 ** (-PSNR_CAP / 10)))


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape or prediction.ndim != 4:
        raise ValueError(
            f"frames: prediction is {prediction.shape} and truth {truth.shape}; "
            "both must be the same [t, h, w, 3]"
        )


def psnr(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """PSNR of each frame, from the mean squared error over its pixels and channels.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1].

    Returns:
        [t] dB, at most 100. A video's PSNR is the mean of these, not that of the mean error.
    """
    _check(prediction, truth)
    return _psnr(((_unit(prediction) - _unit(truth)) ** 2).mean((1, 2, 3)))


def pooled_psnr(prediction: np.ndarray, truth: np.ndarray) -> float:
    """PSNR of all frames together, from their mean error: never above the mean of `psnr`."""
    _check(prediction, truth)
    return float(_psnr(((_unit(prediction) - _unit(truth)) ** 2).mean()))


def ssim(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSIM of each frame: Gaussian window of sigma 1.5, per RGB channel, data range 1.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1], at least 11 pixels a side.

    Returns:
        [t], 1 for equal frames.
    """
    _check(prediction, truth)
    first, second = (
        # In single precision: in double, torch's convolution is some thirty times slower here.
        torch.from_numpy(np.ascontiguousarray(_unit(x).transpose(0, 3, 1, 2), np.float32))
        for x in (prediction, truth)
    )
    value = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert isinstance(value, torch.Tensor)
    return value.reshape(len(prediction)).numpy()


def moving_mask(
    truth: np.ndarray, last_context: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Where the true future moves.

    A pixel moves if, in any channel, it differs by more than 0.08 from the last context frame
    or from the static background; one pixel is added around (a 3 x 3 dilation). So both where
    a thing was and where it now is count, and so does a thing that stands still this moment
    but not always.

    Args:
        truth: [t, h, w, 3] the true future, uint8 or float in [0, 1].
        last_context: [h, w, 3] the last frame that was seen.
        background: [h, w, 3], by default the temporal median of truth and the last context.

    Returns:
        [t, h, w] bool.
    """
    future, last = _unit(truth), _unit(last_context)
    if background is None:
        still = np.median(np.concatenate([last[None], future]), 0)
    else:
        still = _unit(background)
    difference = np.maximum(np.abs(future - last), np.abs(future - still)).max(-1)
    kernel = np.ones((3, 3), np.uint8)
    moving = (difference > MOVING_THRESHOLD).astype(np.uint8)
    return np.stack([cv2.dilate(frame, kernel) for frame in moving]).astype(bool)


def psnr_moving(prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """PSNR of each frame over the pixels of a mask only.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1].
        mask: [t, h, w] bool, as `moving_mask` makes it.

    Returns:
        [t] dB, at most 100; NaN where the mask is empty.
    """
    _check(prediction, truth)
    error = ((_unit(prediction) - _unit(truth)) ** 2).mean(-1)
    count = mask.sum((1, 2))
    mean = (error * mask).sum((1, 2)) / np.maximum(count, 1)
    return np.where(count > 0, _psnr(mean), np.nan)


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
