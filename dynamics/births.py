"""New particles at the frame's border: where, how often and with what looks they come in.

Neither DLP nor GNS has births: this is this project's own bookkeeping, with nothing trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import fclusterdata
from torch import Tensor, nn

from dynamics.state import State
from dynamics.tracks import Tracks

GATES, ENTRIES = 16, 128
"""Places of entry, and entries remembered in all: buffers of fixed sizes, whatever was seen."""
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
TIGHT = 0.1
"""A gate's room is this quantile of its entries' distances to the nearest particle."""
ENOUGH = 4000
"""Entries after which no more videos are looked at: grouping takes their number's square."""
QUEUE = 2.0
"""The most that a clock accumulates, so that a gate long blocked does not burst."""


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


@dataclass(frozen=True)
class Clock:
    """How far each gate of b sets is.

    Args:
        due: [b, GATES] births expected and not yet made; at 1 one is due.
        count: [b, GATES] int64 births so far.
    """

    due: Tensor
    count: Tensor


class Births(nn.Module):
    """The entries of the training videos, by gate; an empty one gives no births.

    Args:
        features: D of the appearance.
    """

    side: Tensor
    position: Tensor
    velocity: Tensor
    code: Tensor
    gate: Tensor
    rate: Tensor
    room: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("side", torch.ones(2))  # pixels a unit of x and of y
        self.register_buffer("position", torch.zeros(ENTRIES, 2))
        self.register_buffer("velocity", torch.zeros(ENTRIES, 2))
        self.register_buffer("code", torch.zeros(ENTRIES, features + 3))
        self.register_buffer("gate", torch.full((ENTRIES,), -1))  # in order; -1, empty, at the end
        self.register_buffer("rate", torch.zeros(GATES))  # births a frame; 0 for an unused gate
        self.register_buffer("room", torch.zeros(GATES))  # pixels to the nearest live particle

    def fit(self, tracks: Sequence[Tracks], side: Tensor) -> None:
        """Take the entries from the training tracks; what was known before is forgotten.

        Args:
            tracks: of the training videos.
            side: [2], pixels a unit of x and of y.
        """
        found: list[Entry] = []
        frames = 0  # in which a birth would have been noticed
        for track in tracks:
            frames += max(len(track) - WAIT - WINDOW + 1, 0)
            found += find_entries(track, side)
            if len(found) >= ENOUGH:
                break
        for buffer in (self.position, self.velocity, self.code, self.rate, self.room):
            buffer.zero_()
        self.gate.fill_(-1)
        self.side.copy_(side)
        groups = group_entries(found)
        used = 0
        for gate, group in enumerate(groups):
            distance = torch.tensor([entry.distance for entry in group])
            tight = float(distance.quantile(TIGHT, interpolation="lower"))
            self.rate[gate] = len(group) / frames
            self.room[gate] = min(tight, EDGE * float(side.max()))  # few births overstate it
            keep = min(ENTRIES // len(groups), len(group))
            kept = [group[i * len(group) // keep] for i in range(keep)]
            rows = slice(used, used + keep)
            self.position[rows] = torch.stack([entry.position for entry in kept])
            self.velocity[rows] = torch.stack([entry.velocity for entry in kept])
            self.code[rows] = torch.stack([entry.code for entry in kept])
            self.gate[rows] = gate
            used += keep

    def start(self, b: int) -> Clock:
        """The clock of b sets. It begins halfway, so that rounding favours neither side."""
        due = self.rate.new_full((b, GATES), 0.5)
        return Clock(due, torch.zeros_like(due, dtype=torch.long))

    def step(
        self, state: State, clock: Clock, generator: torch.Generator | None = None
    ) -> tuple[State, Clock, Tensor]:
        """Bring in the particles that are due; one frame's worth, after the others have moved.

        A birth waits while no row is empty or a live particle is closer than the gate's room.

        Args:
            state: b sets.
            clock: from `start` or the step before.
            generator: None: births come at even intervals, a gate's entries in turn; else at
                random with the same mean, and the entries at random.

        Returns:
            The state, the clock, and born [b, n] bool: the rows that are new.
        """
        born = torch.zeros_like(state.alive)
        if not self.rate.any():
            return state, clock, born
        sizes = (self.gate[:, None] == torch.arange(GATES, device=self.gate.device)).sum(0)
        if generator is None:
            arrivals, turn = self.rate, clock.count % sizes.clamp(min=1)
        else:
            draws = torch.rand(2, len(born), GATES, generator=generator, device=generator.device)
            chance, pick = draws.to(self.rate)
            arrivals, turn = (chance < self.rate).float(), (pick * sizes).long().minimum(sizes - 1)
        entry = sizes.cumsum(0) - sizes + turn  # (b, GATES)
        due = (clock.due + arrivals).clamp(max=QUEUE)
        count = clock.count.clone()
        for gate in (due >= 1).any(0).nonzero()[:, 0].tolist():
            chosen = entry[:, gate]  # (b,)
            place = self.position[chosen]
            away = ((state.position[:, -1] - place[:, None]) * self.side).norm(dim=-1)  # (b, n)
            crowded = (state.alive & (away < self.room[gate])).any(-1)
            empty = ~state.alive
            comes = (due[:, gate] >= 1) & empty.any(-1) & ~crowded  # (b,)
            new = comes[:, None] & empty & (empty.cumsum(-1) == 1)  # the first empty row
            state = enter(state, new, place, self.velocity[chosen], self.code[chosen])
            born = born | new
            due[:, gate] -= comes.float()
            count[:, gate] += comes
        return state, Clock(due, count), born


def enter(state: State, new: Tensor, place: Tensor, velocity: Tensor, code: Tensor) -> State:
    """The state with particles in the rows `new`, seen for the first time in the last frame.

    Args:
        new: [b, n] bool.
        place: [b, 2] in [-1, 1].
        velocity: [b, 2] per frame.
        code: [b, d + 3].
    """
    h = state.position.shape[1]
    back = torch.arange(h - 1, -1, -1, device=place.device)[:, None]  # (h, 1) frames ago
    path = place[:, None] - back * velocity[:, None]  # (b, h, 2)
    return State(
        position=torch.where(new[:, None, :, None], path[:, :, None], state.position),
        seen=torch.where(new[:, None], (back == 0).to(state.seen), state.seen),
        code=torch.where(new[..., None], code[:, None], state.code),
        alive=state.alive | new,
    )


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


def group_entries(found: list[Entry]) -> list[list[Entry]]:
    """Entries by place and direction, at most GATES groups, the most frequent first."""
    if len(found) < LEAST:
        return []
    position = np.stack([entry.position.numpy() for entry in found])
    velocity = np.stack([entry.velocity.numpy() for entry in found])
    heading = velocity / np.linalg.norm(velocity, axis=-1, keepdims=True)
    points = np.concatenate([position, TURN * heading], -1)
    label = fclusterdata(points, SPREAD, criterion="distance", method="average")
    groups = [[found[i] for i in np.flatnonzero(label == one)] for one in np.unique(label)]
    groups = [group for group in groups if len(group) >= LEAST]
    return sorted(groups, key=len, reverse=True)[:GATES]
