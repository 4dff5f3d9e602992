"""Which particle each pixel belongs to, and how that agrees with the true masks."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dlp.build import ParticleModel
from dlp.particles import Particles
from dlp.reference import paste

CHUNK = 16
SOLID = 0.5
"""Alpha above which a pixel is covered."""


@torch.no_grad()
def alphas(model: ParticleModel, particles: Particles) -> Tensor:
    """How much of each pixel each particle covers, [t, k, h, w] in [0, 1].

    Args:
        particles: of t frames; each takes k full canvases.
    """
    patches = model.decode(particles).patches[:, :, 3:]
    alpha = patches * particles.transparency[..., None, None, None]
    return paste(alpha, particles.position, particles.scale, model.size)[:, :, 0]


@torch.no_grad()
def segment(model: ParticleModel, particles: Particles) -> np.ndarray:
    """The row of the particle that is drawn most at each pixel, or -1 for the background.

    A pixel is covered if the decoder's mask is above `SOLID`; there the largest alpha exp(depth) is
    drawn most.

    Args:
        particles: of t frames, [t, k, ...].

    Returns:
        [t, h, w] int64.
    """
    found = []
    for start in range(0, len(particles.position), CHUNK):
        some = particles[start : start + CHUNK]
        alpha = alphas(model, some)
        top = (alpha * some.depth.exp()[..., None, None]).argmax(1)  # (t, h, w)
        covered = model.decode(some).mask[:, 0] > SOLID  # what stands in front covers none
        found.append(torch.where(covered, top, -1).numpy())
    return np.concatenate(found)


def foreground_ari(segments: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Adjusted Rand index over the true foreground's pixels (Hubert & Arabie, 1985; FG-ARI).

    What a segmentation says of the true background does not count, and its own background is one
    more segment.

    Args:
        segments: [t, h, w] ints.
        mask: [t, h, w] true labels, 0 the background.

    Returns:
        [t], 1 for the same partition, about 0 for a random one; NaN where fewer than two objects
        are visible: there is nothing to tell apart.
    """
    return np.array([_ari(s[m > 0], m[m > 0]) for s, m in zip(segments, mask, strict=True)])


def _ari(one: np.ndarray, other: np.ndarray) -> float:
    """Of two labellings of the same n pixels, the second with two labels or more."""
    if len(np.unique(other)) < 2:
        return float("nan")
    table = _table(one, other).astype(float)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    every = len(one) * (len(one) - 1) / 2
    chance = rows * columns / max(every, 1)
    most = (rows + columns) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def foreground_miou(segments: np.ndarray, mask: np.ndarray, twice: bool = False) -> np.ndarray:
    """Mean over the true objects of the IoU with the segment assigned to each (FG-mIoU).

    Segments are assigned so that the sum is greatest; an object without one counts 0.

    Args:
        segments: [t, h, w] ints, -1 the background.
        mask: [t, h, w] true labels, 0 the background.
        twice: whether the union counts a pixel of both twice, as some published code does; else
            once.

    Returns:
        [t] in [0, 1], with `twice` in [0, 0.5]; NaN where nothing is visible.
    """
    return np.array([_miou(s, m, twice) for s, m in zip(segments, mask, strict=True)])


def _miou(segments: np.ndarray, mask: np.ndarray, twice: bool) -> float:
    """Of one frame."""
    objects = np.unique(mask[mask > 0])
    if not len(objects):
        return float("nan")
    found = np.unique(segments[segments >= 0])
    ours = segments.ravel() == found[:, None]  # (segments, pixels)
    theirs = mask.ravel() == objects[:, None]  # (objects, pixels)
    common = ours.astype(int) @ theirs.T.astype(int)
    both = ours.sum(1)[:, None] + theirs.sum(1)
    iou = common / (both if twice else both - common)
    rows, columns = linear_sum_assignment(iou, maximize=True)
    return float(iou[rows, columns].sum() / len(objects))


def whole_clip(segments: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """A clip's segments as those of one tall frame, by particle: identity over time counts.

    Args:
        segments: [t, h, w] rows of particles, -1 the background.
        identity: [t, k] which particle is in each row.

    Returns:
        [1, t * h, w].
    """
    frames = np.arange(len(segments))[:, None, None]
    named = np.where(segments >= 0, identity[frames, segments], -1)
    return named.reshape(1, -1, segments.shape[-1])


def _table(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many pixels have each pair of labels."""
    _, first = np.unique(one, return_inverse=True)
    _, second = np.unique(other, return_inverse=True)
    table = np.zeros((first.max() + 1, second.max() + 1), int)
    np.add.at(table, (first, second), 1)
    return table
