"""How good particles are, against the truth, against a shifted copy, against their own sigma.

Positions are (x, y) in pixels. A figure that nothing was there to measure is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr

from data.videos import Truth
from dlp.build import ParticleModel
from dlp.glimpse import crop
from dlp.particles import LIVE, Particles, from_pixels, to_pixels
from pipelines.encode import CHUNK
from pipelines.metrics import share
from pipelines.pixel_metrics import psnr_moving
from pipelines.segments import SOLID, alphas

WINDOW = 5
"""Frames of the running median that takes a track's slow offset away."""
SHRINK = 0.94172
"""What is left of white noise's deviation after that: sqrt(1 + v - 2/5), where v = 0.28683 is the
variance of the median of five normal numbers and 1/5 its covariance with each of them."""
WHOLE = 0.9
"""Share of an object's area that must be seen for it to count as fully visible: its label loses
a part of the soft edge."""
EVEN = 0.005
"""Of the longer side: a true path that bends more than this in a frame is no even motion."""


def nearest(
    point: np.ndarray, other: np.ndarray, usable: np.ndarray, tolerance: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest usable other point of each point, if it is within tolerance.

    Args:
        point: [t, m, 2].
        other: [t, n, 2].
        usable: [t, n] bool.
        tolerance: of each other point, [t, n], or of all.

    Returns:
        index [t, m], -1 for none, and distance [t, m], NaN for none.
    """
    if not other.shape[1]:
        return np.full(point.shape[:2], -1), np.full(point.shape[:2], np.nan)
    distance = np.linalg.norm(point[:, :, None] - other[:, None], axis=-1)  # (t, m, n)
    reached = usable[:, None] & (distance <= np.broadcast_to(tolerance, usable.shape)[:, None])
    distance = np.where(reached, distance, np.inf)
    index, least = distance.argmin(2), distance.min(2)
    near = least < np.inf
    return np.where(near, index, -1), np.where(near, least, np.nan)


def object_errors(
    position: np.ndarray, transparency: np.ndarray, truth: Truth, tolerance: float
) -> np.ndarray:
    """Distance of each covered object to its nearest live particle, over all frames: [m].

    Args:
        position: [t, k, 2].
        transparency: [t, k] in [0, 1].
        truth: of the same t frames; where visible, its position is the visible mask's centroid.
        tolerance: an object with no live particle within this is not covered, and left out.
    """
    _, distance = nearest(truth.position, position, transparency > LIVE, tolerance)
    return distance[truth.visible & ~np.isnan(distance)]


def owners(
    position: np.ndarray, used: np.ndarray, truth: Truth, tolerance: float | np.ndarray
) -> np.ndarray:
    """The visible object that each used particle is on, the nearest: [t, m], -1 for none."""
    index, _ = nearest(position, truth.position, truth.visible, tolerance)
    return np.where(used, index, -1)


def identity(owner: np.ndarray, seen: np.ndarray, visible: np.ndarray) -> tuple[float, float]:
    """How well tracks keep to their objects from one frame to the next.

    A pair is a track on an object in one frame, where the object is visible in the next, too.

    Args:
        owner: [t, m] from `owners`, a column a track.
        seen: [t, m] bool, where the track has a particle.
        visible: [t, n] bool, the objects.

    Returns:
        The share of pairs where the track is on the same object again, of those where it has a
        particle in both frames, and of all: there a track that breaks off is a loss, too.
    """
    if not visible.size:
        return float("nan"), float("nan")
    now, after = owner[:-1], owner[1:]
    still = np.take_along_axis(visible[1:], np.maximum(now, 0), 1)
    pairs = (now >= 0) & still
    same = (after == now) & seen[1:]
    return share(same, pairs & seen[1:]), share(same, pairs)


def steady(truth: Truth, size: tuple[int, int]) -> np.ndarray:
    """Where an object is fully visible and moves evenly, [t, n] bool.

    Fully visible: nearly its whole area is in the mask; without masks, that it is visible,
    further from the frame's edge than its radius, and touches no other visible object.
    """
    position, visible, radius = truth.position, truth.visible, truth.radius
    t, n = visible.shape
    if truth.mask is not None:
        labels = np.arange(1, n + 1)
        area = np.stack([(truth.mask == label).sum((1, 2)) for label in labels], 1)
        whole = visible & (area >= WHOLE * np.pi * radius**2)
    else:
        height, width = size
        inside = (position >= radius[..., None] - 0.5).all(-1)
        inside &= (position <= np.array([width, height]) - 0.5 - radius[..., None]).all(-1)
        gap = np.linalg.norm(position[:, :, None] - position[:, None], axis=-1)
        touch = (gap < radius[:, :, None] + radius[:, None]) & visible[:, None]
        whole = visible & inside & ~(touch & ~np.eye(n, dtype=bool)).any(2)
    bend = np.linalg.norm(np.diff(position, n=2, axis=0), axis=-1)  # (t - 2, n)
    even = np.ones((t, n), bool)
    even[1:-1] = bend <= EVEN * max(size)
    return whole & even


def true_jitter(position: np.ndarray, owner: np.ndarray, truth: Truth, fit: np.ndarray) -> float:
    """The noise of tracks about the true path: standard deviation per coordinate, in pixels.

    Of the offsets track - object a running median over 5 frames, centred, is taken away: what
    stays for long, such as a point off the centroid, is no jitter. The rest's deviation is
    divided by what the median takes of white noise.

    Args:
        position: [t, m, 2] of tracks.
        owner: [t, m] from `owners`; five frames on end with the same object count.
        fit: [t, n] bool, such as `steady`: the object must be so in all five.
    """
    if len(position) < WINDOW or not owner.size or not fit.size:
        return float("nan")
    on = np.maximum(owner, 0)
    offset = position - np.take_along_axis(truth.position, on[..., None], 1)  # (t, m, 2)
    held = np.where((owner >= 0) & np.take_along_axis(fit, on, 1), owner, -1)
    offsets = np.lib.stride_tricks.sliding_window_view(offset, WINDOW, 0)  # (t - 4, m, 2, 5)
    holds = np.lib.stride_tricks.sliding_window_view(held, WINDOW, 0)
    good = (holds[..., 0] >= 0) & (holds == holds[..., :1]).all(-1)
    rest = (offsets[..., WINDOW // 2] - np.median(offsets, -1))[good]
    return float(rest.std() / SHRINK) if rest.size else float("nan")


def shift_frames(frames: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Frames [n, h, w, 3] with their content moved by whole pixels (x, y), the edge repeated."""
    height, width = frames.shape[1:3]
    rows = np.arange(height) - shift[1]
    columns = np.arange(width) - shift[0]
    return frames[:, rows.clip(0, height - 1)][:, :, columns.clip(0, width - 1)]


def shift_errors(
    before: np.ndarray,
    live_before: np.ndarray,
    after: np.ndarray,
    live_after: np.ndarray,
    shift: tuple[int, int],
    size: tuple[int, int],
    margin: float,
    tolerance: float,
) -> tuple[np.ndarray, float]:
    """How far particles are from where a shift of the picture should take them.

    Args:
        before, after: [n, k, 2] particles of the frames and of the shifted ones.
        live_before, live_after: [n, k] bool.
        size: (h, w).
        margin: pixels; particles nearer than this to the border, before or after, are left out.
        tolerance: pixels; where no particle is as near as this, it was lost.

    Returns:
        Errors [m] in pixels of those that were found again, and the share that was lost.
    """
    target = before + np.array(shift)
    height, width = size
    low, high = margin - 0.5, np.array([width, height]) - 0.5 - margin
    inner = ((np.minimum(before, target) >= low) & (np.maximum(before, target) <= high)).all(-1)
    _, distance = nearest(target, after, live_after, tolerance)
    error = distance[inner & live_before]
    return error[~np.isnan(error)], float(np.isnan(error).mean()) if error.size else float("nan")


def calibration(sigma: np.ndarray, miss: np.ndarray) -> dict[str, float]:
    """Whether the predicted uncertainty tells the true error.

    Args:
        sigma: [m, 2] predicted standard deviations, pixels.
        miss: [m, 2] particle - truth, pixels.

    Returns:
        Spearman's rank correlation of the two lengths, and the shares of the coordinates within
        one and two sigma (0.683 and 0.954 for a Gaussian that knows itself).
    """
    if not len(sigma):
        return dict.fromkeys(("spearman", "within_1_sigma", "within_2_sigma"), float("nan"))
    length, error = np.linalg.norm(sigma, axis=1), np.linalg.norm(miss, axis=1)
    varies = np.ptp(length) > 0 and np.ptp(error) > 0  # else ranks mean nothing
    return {
        "spearman": float(spearmanr(length, error).statistic) if varies else float("nan"),
        "within_1_sigma": float((np.abs(miss) <= sigma).mean()),
        "within_2_sigma": float((np.abs(miss) <= 2 * sigma).mean()),
    }


@torch.no_grad()
def nearer_on_top(
    model: ParticleModel, particles: Particles, owner: np.ndarray, mask: np.ndarray
) -> float:
    """Where the particles of several objects cover a pixel: how often the right one is drawn.

    A pixel counts if its true object's particle covers it, and so does another object's, both with
    an alpha above `SOLID`. Drawn most is the particle with the largest alpha exp(depth).

    Args:
        particles: of t frames, [t, k, ...].
        owner: [t, k] from `owners`.
        mask: [t, h, w] true labels, i + 1 for object i.

    Returns:
        The share of these pixels; NaN where there are none.
    """
    hits = total = 0
    for start in range(0, len(owner), CHUNK):
        some = particles[start : start + CHUNK]
        alpha = alphas(model, some)  # (t, k, h, w)
        drawn = (alpha * some.depth.exp()[..., None, None]).argmax(1).numpy()  # (t, h, w)
        label = mask[start : start + CHUNK].astype(int) - 1
        whose = owner[start : start + CHUNK, :, None, None]
        covers = (alpha.numpy() > SOLID) & (whose >= 0)
        own = whose == label[:, None]
        contested = (covers & own).any(1) & (covers & ~own).any(1) & (label >= 0)
        on_top = np.take_along_axis(owner[start : start + CHUNK], drawn.reshape(len(drawn), -1), 1)
        hits += int((contested & (on_top.reshape(drawn.shape) == label)).sum())
        total += int(contested.sum())
    return hits / total if total else float("nan")


@dataclass(frozen=True)
class Moved:
    """What moving one particle by hand did to the picture.

    Args:
        outside: largest change of any pixel outside the old and the new patch, of the range 1.
        psnr: dB between the object at its new place and at its old one.
    """

    outside: float
    psnr: float


@torch.no_grad()
def move_by_hand(model: ParticleModel, particles: Particles, pixels: int = 8) -> Moved | None:
    """Move one live particle of a frame, draw again, and compare the two pictures.

    Of the live particles and the four directions that pair is taken which lies furthest from all
    other live particles, with both patches inside the frame.

    Args:
        particles: of one frame, [1, k, ...].
        pixels: how far.

    Returns:
        None where no such move is possible.
    """
    height, width = model.size
    place = to_pixels(particles.position[0], height, width)  # (k, 2)
    live = particles.transparency[0] > LIVE
    # A bilinear patch reaches half a cell beyond its outermost pixels' centres.
    reach = particles.scale[0] * (model.config.glimpse + 1) / 2
    steps = pixels * place.new_tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])
    target = place[:, None] + steps  # (k, 4, 2)
    side = place.new_tensor([width, height])
    both = torch.stack([place[:, None].expand_as(target), target])  # (2, k, 4, 2)
    edge = reach[:, None, None]
    fits = ((both >= edge - 0.5) & (both <= side - 0.5 - edge)).all(-1).all(0) & live[:, None]
    if not fits.any():
        return None
    others = live & ~torch.eye(len(live), dtype=torch.bool)  # (k, k)
    away = (both[:, :, :, None] - place).norm(dim=-1)  # (2, k, 4, k)
    room = away.masked_fill(~others[:, None], torch.inf).amin((0, -1))  # (k, 4)
    slot, way = divmod(int(room.masked_fill(~fits, -1).argmax()), 4)
    position = particles.position.clone()
    position[0, slot] = from_pixels(target[slot, way], height, width)
    old, new = model.decode(particles), model.decode(replace(particles, position=position))

    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixel = torch.stack([x, y], -1).to(place)
    outside = torch.ones(height, width, dtype=torch.bool)
    for centre in (place[slot], target[slot, way]):
        outside &= ((pixel - centre).abs() > reach[slot]).any(-1)
    change = (new.image - old.image).abs()[0][:, outside]

    glimpse, scale = model.config.glimpse, particles.scale[:, slot : slot + 1]
    seen = [
        crop(image, where[:, slot : slot + 1], scale, glimpse)[0].permute(0, 2, 3, 1).numpy()
        for image, where in ((old.image, particles.position), (new.image, position))
    ]
    solid = (old.patches[0, slot, 3] * particles.transparency[0, slot] > SOLID).numpy()
    score = psnr_moving(seen[1], seen[0], solid[None])
    return Moved(float(change.max()) if change.numel() else 0.0, float(score[0]))
