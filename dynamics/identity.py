"""Who is who from frame to frame: predict, then associate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dlp.particles import LIVE


@dataclass(frozen=True)
class LinkConfig:
    """How particles are linked; lengths in pixels, of frames of 64 (they grow with the frame)."""

    gate: float = 3.0
    """A particle further than this from where a resting track expects it is not its own, if nothing
    else moves."""
    gate_speed: float = 1.0
    """The gate's growth with the track's speed, pixels a pixel per frame."""
    gate_others: float = 0.5
    """And with the fastest track's: what is struck may go as fast as what strikes it."""
    gate_young: float = 6.0
    """The gate's growth for a track that was seen once, whose velocity is not known, pixels."""
    gate_missed: float = 0.5
    """The gate's growth with each frame that the track was not seen, pixels."""
    gate_unsure: float = 0.5
    """The gate's growth with the particle's own standard deviation, pixels a pixel."""
    appearance: float = 1.0
    """Weight of one standard deviation of appearance and scale against one pixel."""
    faint: float = 1.0
    """What a particle of no transparency at all costs more than one in full use, pixels."""
    memory: int = 10
    """Frames that an unseen track is kept for, coasting."""
    inertia: float = 0.5
    """Share of the old velocity in the new one."""


class Track:
    """One identity while it lives.

    Attributes:
        path: its positions since birth, [2] each, pixels; where it was not seen, the expected ones.
        seen: for each of these, whether it was.
        last: (frame, slot) of its last sighting.
        age: sightings.
        missed: frames since the last one.
    """

    def __init__(
        self, identity: int, position: np.ndarray, looks: np.ndarray, last: tuple[int, int]
    ) -> None:
        self.identity = identity
        self.path = [position]
        self.seen = [True]
        self.last = last
        self.velocity = np.zeros(2, position.dtype)
        self.looks = looks
        self.age = 1
        self.missed = 0

    def see(
        self, position: np.ndarray, looks: np.ndarray, last: tuple[int, int], inertia: float
    ) -> None:
        """Take a particle as one's own."""
        moved = (position - self.path[-1]) / (self.missed + 1 if self.age == 1 else 1)
        if self.missed and self.age > 1:
            # Its position coasted meanwhile: what is off belongs to all the unseen frames.
            moved = self.velocity + (position - self.path[-1] - self.velocity) / (self.missed + 1)
        keep = inertia if self.age > 1 else 0.0
        self.velocity = keep * self.velocity + (1 - keep) * moved
        self.path.append(position)
        self.seen.append(True)
        self.last = last
        self.looks = 0.7 * self.looks + 0.3 * looks
        self.age += 1
        self.missed = 0

    def coast(self, expected: np.ndarray) -> None:
        """Go on unseen."""
        self.path.append(expected)
        self.seen.append(False)
        self.missed += 1


Motion = Callable[[Sequence[Track]], np.ndarray]
"""Where each of n tracks is expected in the next frame: [n, 2], pixels."""


def constant_velocity(tracks: Sequence[Track]) -> np.ndarray:
    """The motion that is guessed before there is a model of it."""
    return np.stack([track.path[-1] + track.velocity for track in tracks])


def link(
    position: np.ndarray,
    looks: np.ndarray,
    transparency: np.ndarray,
    side: float,
    config: LinkConfig | None = None,
    sigma: np.ndarray | None = None,
    motion: Motion = constant_velocity,
) -> np.ndarray:
    """Give each live particle of a video the identity of its object.

    Each track expects its particle where `motion` takes it; particles and tracks are matched by
    optimal assignment over position, looks and transparency, gated; what no track claims is born,
    and a track that finds nothing goes on as expected until its memory ends.

    Args:
        position: [t, k, 2], (x, y) in pixels.
        looks: [t, k, d] appearance and scale, standardised: one is a usual difference.
        transparency: [t, k] in [0, 1].
        side: the frame's longer side, pixels.
        config: how.
        sigma: [t, k] standard deviation of the positions, pixels; None: they are exact.
        motion: where tracks are expected.

    Returns:
        [t, k] int64 identities, counted from 0 in the order of birth; -1 for unused particles.
    """
    config = config or LinkConfig()
    unit = side / 64
    unsure = np.zeros_like(transparency) if sigma is None else sigma
    # What a match costs beyond where it is, and how much further off it may be.
    dearer = config.faint * unit * (1 - transparency)
    wider = config.gate_unsure * unsure
    identities = np.full(transparency.shape, -1, np.int64)
    tracks: list[Track] = []
    born = 0
    for t in range(len(position)):
        found = np.flatnonzero(transparency[t] > LIVE)
        expected = motion(tracks) if tracks else np.zeros((0, 2))
        pairs = _associate(
            tracks,
            expected,
            position[t, found],
            looks[t, found],
            dearer[t, found],
            wider[t, found],
            unit,
            config,
        )
        seen = set()
        for row, column in pairs:
            slot = int(found[column])
            tracks[row].see(position[t, slot], looks[t, slot], (t, slot), config.inertia)
            identities[t, slot] = tracks[row].identity
            seen.add(row)
        for row, track in enumerate(tracks):
            if row not in seen:
                track.coast(expected[row])
        # What was seen but once and lost at once was no object.
        tracks = [k for k in tracks if k.missed <= (config.memory if k.age > 1 else 1)]
        for slot in map(int, found):
            if identities[t, slot] < 0:
                tracks.append(Track(born, position[t, slot], looks[t, slot], (t, slot)))
                identities[t, slot] = born
                born += 1
    return identities


def _associate(
    tracks: Sequence[Track],
    expected: np.ndarray,
    position: np.ndarray,
    looks: np.ndarray,
    dearer: np.ndarray,
    wider: np.ndarray,
    unit: float,
    config: LinkConfig,
) -> list[tuple[int, int]]:
    """Optimal gated assignment of particles [m, ...] to tracks [n, ...]: (track, particle)."""
    if not tracks or not len(position):
        return []
    speed = np.linalg.norm(np.stack([track.velocity for track in tracks]), axis=-1)
    missed = np.array([track.missed for track in tracks])
    young = np.array([track.age == 1 for track in tracks])  # its velocity is not known yet
    distance = np.linalg.norm(expected[:, None] - position[None], axis=-1)  # (n, m)
    unlike = np.stack([track.looks for track in tracks])[:, None] - looks[None]
    unlike = np.sqrt((unlike**2).mean(-1)) * unit
    fastest = speed[~young].max(initial=0.0)
    gate = config.gate_speed * speed + config.gate_others * fastest
    gate = gate + unit * (config.gate + config.gate_missed * missed + config.gate_young * young)
    far = distance > gate[:, None] + wider
    cost = np.where(far, 1e6, distance + config.appearance * unlike + dearer)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if not far[r, c]]
