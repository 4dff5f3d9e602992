"""New particles at the frame's border: where, how often and with what looks they come in.

Neither DLP nor GNS has births: this is this project's own bookkeeping, with nothing trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dynamics.entries import WAIT, WINDOW, Entry, find_entries, group_entries, typical
from dynamics.state import State
from dynamics.tracks import Tracks

GATES, ENTRIES = 16, 128
"""Places of entry, and entries remembered in all: buffers of fixed sizes, whatever was seen."""
TIGHT = 0.1
"""A gate's room is this quantile of its entries' distances to the nearest particle."""
ENOUGH = 4000
"""Entries after which no more videos are looked at: grouping takes their number's square."""
ROOMIEST = 0.3
"""The most room of a gate, of the longer half side: few entries overstate it."""
QUEUE = 2.0
"""The most that a clock accumulates, so that a gate long blocked does not burst."""


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
        groups = group_entries(found, GATES)
        used = 0
        for gate, group in enumerate(groups):
            distance = torch.tensor([entry.distance for entry in group])
            tight = float(distance.quantile(TIGHT, interpolation="lower"))
            self.rate[gate] = len(group) / frames
            self.room[gate] = min(tight, ROOMIEST * float(side.max()))
            keep = min(ENTRIES // len(groups), len(group))
            kept = typical([group[i * len(group) // keep] for i in range(keep)])
            rows = slice(used, used + keep)
            self.position[rows] = torch.stack([entry.position for entry in kept])
            self.velocity[rows] = torch.stack([entry.velocity for entry in kept])
            self.code[rows] = torch.stack([entry.code for entry in kept])
            self.gate[rows] = gate
            used += keep

    def start(self, b: int) -> Clock:
        """The clock of b sets: gate g of n begins at (g + 1/2) / n.

        So rounding favours neither side, and gates alike do not all open in the same frame.
        """
        gates = max(int((self.rate > 0).sum()), 1)
        due = (torch.arange(GATES, device=self.rate.device) + 0.5) / gates % 1
        due = due.to(self.rate).repeat(b, 1)
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
    """The state with particles in the rows `new`, as if they had been seen on their way in.

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
        seen=torch.where(new[:, None], 1.0, state.seen),
        code=torch.where(new[..., None], code[:, None], state.code),
        alive=state.alive | new,
    )
