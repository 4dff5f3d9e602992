"""The objects that came into the frame over its border, found in tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import fclusterdata
from torch import Tensor

from dynamics.tracks import Tracks

WAIT, WINDOW, OFTEN = 2, 5, 3
"""An entry begins WAIT frames into its video or later, and is seen in OFTEN of WINDOW frames."""
EDGE, BACK = 0.3, 15
"""It begins at most this far (in [-1, 1]) and this many frames from where it crossed the border."""
SIGHTINGS = 8
"""Sightings that its velocity and looks are taken from: the border cuts the first ones."""
SAME, HIDDEN = 0.1, 20
"""It is no new one this near (in [-1, 1]) to where one last seen so few frames ago must be."""
SPREAD, TURN = 0.15, 0.2
"""The mean distance (in [-1, 1]) between gates, and what a turn by one radian adds to it."""
LEAST = 3
"""Fewer entries make no gate: what came once or twice may be a mistake of linking."""


@dataclass(frozen=True)
class Entry:
    """One object that came in.

    Args:
        position: [2] where its path crosses the border, in [-1, 1].
        velocity: [2] per frame.
        code: [d + 3] from its sighting furthest inside.
        distance: to the nearest other particle when it crossed the border, pixels.
    """

    position: Tensor
    velocity: Tensor
    code: Tensor
    distance: float


def find_entries(tracks: Tracks, side: Tensor) -> list[Entry]:
    """The objects that came in over the border of one video; `side` [2] is pixels a unit."""
    t, n = tracks.seen.shape
    first = tracks.seen.int().argmax(0)  # (n,)
    last = t - 1 - tracks.seen.flip(0).int().argmax(0)
    objects = tracks.seen.sum(0) >= OFTEN
    rows = torch.arange(n)
    found = []
    for row, start in enumerate(first.tolist()):
        seen = tracks.seen[:, row]
        if not WAIT <= start <= t - WINDOW or seen[start : start + WINDOW].sum() < OFTEN:
            continue
        frames = seen.nonzero()[:SIGHTINGS, 0]
        path = tracks.position[frames, row]  # (s, 2)
        velocity = median_velocity(frames, path)
        steps, distance = to_border(path[0], velocity)
        if steps > BACK or distance > EDGE:
            continue
        older = objects & ((first < start) | ((first == start) & (rows < row)))
        older &= (last >= start - HIDDEN) & ~tracks.left[start]
        apart = (tracks.position[start] - path[0]).norm(dim=-1)
        if (older & (apart < SAME)).any():
            continue
        inside = int((1 - path.abs()).amin(-1).argmax())
        steps, _ = to_border(path[inside], velocity)
        place = path[inside] - steps * velocity
        frame = max(int(frames[inside]) - round(steps), 0)
        there = objects & (first <= frame) & (frame <= last) & (rows != row)
        away = ((tracks.position[frame] - place) * side).norm(dim=-1)[there]
        nearest = float(away.min()) if len(away) else math.inf
        found.append(Entry(place, velocity, tracks.code[frames[inside], row], nearest))
    return found


def median_velocity(frames: Tensor, path: Tensor) -> Tensor:
    """The median of the slopes of all pairs (Theil-Sen): [2] of a path [s, 2] at frames [s]."""
    i, j = torch.combinations(torch.arange(len(frames))).T
    return ((path[j] - path[i]) / (frames[j] - frames[i])[:, None]).quantile(0.5, dim=0)


def to_border(position: Tensor, velocity: Tensor) -> tuple[float, float]:
    """How far back a path crosses the border: frames, and [-1, 1] units along that axis."""
    distance = (1 + position * velocity.sign()).clamp(min=0)  # to the side that it comes from
    steps = torch.where(velocity == 0, math.inf, distance / velocity.abs())
    axis = int(steps.argmin())
    return float(steps[axis]), float(distance[axis])


def group_entries(found: list[Entry], most: int) -> list[list[Entry]]:
    """Entries by place and direction, the most frequent first."""
    if len(found) < LEAST:
        return []
    position = np.stack([entry.position.numpy() for entry in found])
    velocity = np.stack([entry.velocity.numpy() for entry in found])
    heading = velocity / np.linalg.norm(velocity, axis=-1, keepdims=True)
    points = np.concatenate([position, TURN * heading], -1)
    label = fclusterdata(points, SPREAD, criterion="distance", method="average")
    groups = [[found[i] for i in np.flatnonzero(label == one)] for one in np.unique(label)]
    groups = [group for group in groups if len(group) >= LEAST]
    return sorted(groups, key=len, reverse=True)[:most]


def typical(found: list[Entry]) -> list[Entry]:
    """Entries, those first that look most like the others: not two things in one glimpse."""
    codes = torch.stack([entry.code for entry in found])
    middle, spread = codes.median(0).values, codes.std(0, correction=0).clamp(min=1e-3)
    odd = ((codes - middle) / spread).square().sum(1)
    return [found[i] for i in odd.argsort(stable=True).tolist()]
