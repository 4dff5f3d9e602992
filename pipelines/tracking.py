"""How well identity is kept: the tracking field's own figures, and made cases.

Positions are (x, y) in pixels. An object that is not visible in a frame asks for nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import motmetrics
import numpy as np
import torch
from motmetrics import MOTAccumulator
from numpy.lib.stride_tricks import sliding_window_view

from data.videos import Truth
from dlp.particles import Particles, concatenate, to_pixels
from dynamics.tracks import Tracks
from pipelines.probes import owners

FIGURES = {
    "idf1": "idf1",
    "mota": "mota",
    "recall": "recall",
    "precision": "precision",
    "switches": "num_switches",
    "object_frames": "num_objects",
}
"""Our names of motmetrics' figures."""
BEFORE, AFTER = 5, 3
"""Frames in view before a made occlusion, and within which the track must be back after it."""


def follow(
    position: np.ndarray, identity: np.ndarray, truth: Truth, tolerance: float
) -> MOTAccumulator:
    """Match particles to a video's true objects, frame by frame (CLEAR MOT).

    A particle may be matched to a visible object within the tolerance or the object's radius,
    whichever is more; a match is kept as long as it may be.

    Args:
        position: [t, k, 2] pixels.
        identity: [t, k] ints, which particle is in each row; -1: none that is in view.
        truth: of the same t frames.
        tolerance: pixels.
    """
    reach = np.maximum(truth.radius, tolerance)
    found = MOTAccumulator(auto_id=True)
    for t in range(len(position)):
        objects, rows = np.flatnonzero(truth.visible[t]), np.flatnonzero(identity[t] >= 0)
        apart = truth.position[t, objects, None] - position[t, rows]
        distance = np.linalg.norm(apart, axis=-1)
        distance = np.where(distance <= reach[t, objects, None], distance, np.nan)
        found.update(objects.tolist(), identity[t, rows].tolist(), distance)
    return found


def follow_tracks(
    tracks: Tracks, truth: Truth, size: tuple[int, int], tolerance: float
) -> MOTAccumulator:
    """The same for linked tracks: those that the encoder found, of frames of size (h, w)."""
    seen = tracks.seen.numpy()
    identity = np.where(seen, np.arange(seen.shape[1]), -1)
    return follow(to_pixels(tracks.position, *size).numpy(), identity, truth, tolerance)


def summarise(followed: Mapping[str, MOTAccumulator]) -> dict[str, dict[str, float]]:
    """Each video's figures, and under "all" those of all together.

    IDF1 (Ristani et al., 2016), MOTA and switches (Bernardin and Stiefelhagen, 2008), as
    motmetrics computes them; `switches_per_1000` is per 1,000 object-frames.
    """
    table = motmetrics.metrics.create().compute_many(
        list(followed.values()),
        names=list(followed),
        metrics=list(FIGURES.values()),
        generate_overall=True,
    )
    result = {}
    for name, row in table.iterrows():
        figures = {ours: float(row[theirs]) for ours, theirs in FIGURES.items()}
        count = figures["object_frames"]
        figures["switches_per_1000"] = 1000 * figures["switches"] / count if count else np.nan
        result["all" if name == "OVERALL" else str(name)] = figures
    return result


@dataclass(frozen=True)
class Hidden:
    """One made occlusion: all particles on an object are taken away for some frames.

    Args:
        target: the object.
        start, end: frames without it, [start, end).
        particles: what is left, [t, k, ...].
    """

    target: int
    start: int
    end: int
    particles: Particles


def hide(
    particles: Particles, owner: np.ndarray, truth: Truth, frames: int, rng: np.random.Generator
) -> Hidden | None:
    """Hide an object that is in view before and after, with a particle on it.

    Args:
        particles: of t frames, [t, k, ...].
        owner: [t, k] from `owners`.
        truth: of the same frames.
        frames: how long it is hidden.
        rng: chooses the object and the time.

    Returns:
        None if no object is in view for so long.
    """
    on = np.stack([(owner == i).any(1) for i in range(truth.visible.shape[1])], 1)  # (t, n)
    length = BEFORE + frames + AFTER
    if len(on) < length:
        return None
    held = np.asarray(sliding_window_view(on, BEFORE, 0).all(-1))  # (t - 4, n)
    inside = np.asarray(sliding_window_view(truth.visible, length, 0).all(-1))
    back = on[BEFORE + frames : len(inside) + BEFORE + frames]
    starts, objects = np.nonzero(held[: len(inside)] & inside & back)
    if not len(starts):
        return None
    one = int(rng.integers(len(starts)))
    start, target = int(starts[one]) + BEFORE, int(objects[one])
    end = start + frames
    gone = torch.zeros(owner.shape, dtype=torch.bool)
    gone[start:end] = torch.from_numpy(owner[start:end] == target)
    left = replace(particles, transparency=particles.transparency.masked_fill(gone, 0.0))
    return Hidden(target, start, end, left)


def kept(hidden: Hidden, tracks: Tracks, owner: np.ndarray) -> bool:
    """Whether the track that was on the object before it was hidden is on it again after.

    Args:
        tracks: of `hidden.particles`.
        owner: [t, n] the object that each track is on, from `owners`.
    """
    before = np.flatnonzero(owner[hidden.start - 1] == hidden.target)
    after = owner[hidden.end : hidden.end + AFTER]
    return bool(len(before)) and bool((after[:, before] == hidden.target).any())


def track_owners(
    tracks: Tracks, truth: Truth, size: tuple[int, int], tolerance: float | np.ndarray
) -> np.ndarray:
    """The visible object that each track is on, [t, n], -1 for none."""
    position = to_pixels(tracks.position, *size).numpy()
    return owners(position, tracks.seen.numpy(), truth, tolerance)


def crowd(sets: list[Particles], truths: list[Truth]) -> tuple[Particles, Truth]:
    """Several videos' particles and objects as one video's: a crowd, of the shortest length."""
    t = min(len(truth.position) for truth in truths)
    together = concatenate([one[:t] for one in sets], dim=1)
    parts = [truth.at(slice(0, t)) for truth in truths]
    return together, Truth(
        np.concatenate([part.position for part in parts], 1),
        np.concatenate([part.visible for part in parts], 1),
        np.concatenate([part.radius for part in parts], 1),
    )
