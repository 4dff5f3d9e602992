"""Who is who from frame to frame: predict, then associate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dlp.particles import LIVE


@dataclass(frozen=True)
class LinkConfig:
    """How particles are linked; lengths in pixels, of frames of 64 (they grow with the frame)."""

    gate: float = 6.0
    """A particle further than this from where a resting track expects it is not its own."""
    gate_speed: float = 1.0
    """The gate's growth with the track's speed, pixels a pixel per frame."""
    gate_missed: float = 0.5
    """The gate's growth with each frame that the track was not seen, pixels."""
    appearance: float = 1.0
    """Weight of one standard deviation of appearance against one pixel."""
    memory: int = 10
    """Frames that an unseen track is kept for, coasting."""
    inertia: float = 0.5
    """Share of the old velocity in the new one."""


class _Track:
    """One identity while it lives."""

    def __init__(self, identity: int, position: np.ndarray, appearance: np.ndarray) -> None:
        self.identity = identity
        self.position = position
        self.velocity = np.zeros(2, position.dtype)
        self.appearance = appearance
        self.age = 1
        self.missed = 0

    def expected(self) -> np.ndarray:
        """Where a constant velocity takes it next."""
        return self.position + self.velocity

    def see(self, position: np.ndarray, appearance: np.ndarray, inertia: float) -> None:
        """Take a particle as one's own."""
        moved = (position - self.position) / (self.missed + 1 if self.age == 1 else 1)
        if self.missed and self.age > 1:
            # Its position coasted meanwhile: what is off belongs to all the unseen frames.
            moved = self.velocity + (position - self.expected()) / (self.missed + 1)
        keep = inertia if self.age > 1 else 0.0
        self.velocity = keep * self.velocity + (1 - keep) * moved
        self.position = position
        self.appearance = 0.7 * self.appearance + 0.3 * appearance
        self.age += 1
        self.missed = 0

    def coast(self) -> None:
        """Go on unseen."""
        self.position = self.expected()
        self.missed += 1


def link(
    position: np.ndarray,
    appearance: np.ndarray,
    transparency: np.ndarray,
    side: float,
    config: LinkConfig | None = None,
) -> np.ndarray:
    """Give each live particle of a video the identity of its object.

    Each track expects its particle where constant velocity takes it; particles and tracks are
    matched by optimal assignment over position and appearance, gated; what no track claims is
    born, and a track that finds nothing coasts until its memory ends.

    Args:
        position: [t, k, 2], (x, y) in pixels.
        appearance: [t, k, d], standardised: one is a usual difference.
        transparency: [t, k] in [0, 1].
        side: the frame's longer side, pixels.
        config: how.

    Returns:
        [t, k] int64 identities, counted from 0 in the order of birth; -1 for unused particles.
    """
    config = config or LinkConfig()
    unit = side / 64
    identities = np.full(transparency.shape, -1, np.int64)
    tracks: list[_Track] = []
    born = 0
    for t in range(len(position)):
        found = np.flatnonzero(transparency[t] > LIVE)
        pairs = _associate(tracks, position[t, found], appearance[t, found], unit, config)
        seen = set()
        for row, column in pairs:
            tracks[row].see(
                position[t, found[column]], appearance[t, found[column]], config.inertia
            )
            identities[t, found[column]] = tracks[row].identity
            seen.add(row)
        for row, track in enumerate(tracks):
            if row not in seen:
                track.coast()
        # What was seen but once and lost at once was no object.
        tracks = [k for k in tracks if k.missed <= (config.memory if k.age > 1 else 1)]
        for index in found:
            if identities[t, index] < 0:
                tracks.append(_Track(born, position[t, index], appearance[t, index]))
                identities[t, index] = born
                born += 1
    return identities


def _associate(
    tracks: list[_Track],
    position: np.ndarray,
    appearance: np.ndarray,
    unit: float,
    config: LinkConfig,
) -> list[tuple[int, int]]:
    """Optimal gated assignment of particles [n, ...] to tracks: pairs (track, particle)."""
    if not tracks or not len(position):
        return []
    expected = np.stack([track.expected() for track in tracks])
    speed = np.linalg.norm(np.stack([track.velocity for track in tracks]), axis=-1)
    missed = np.array([track.missed for track in tracks])
    young = np.array([track.age == 1 for track in tracks])  # its velocity is not known yet
    distance = np.linalg.norm(expected[:, None] - position[None], axis=-1)
    unlike = np.stack([track.appearance for track in tracks])[:, None] - appearance[None]
    unlike = np.sqrt((unlike**2).mean(-1)) * unit
    gate = config.gate * unit + config.gate_speed * speed + config.gate_missed * missed * unit
    gate = gate + young * config.gate * unit * 0.5
    far = distance > gate[:, None]
    cost = np.where(far, 1e6, distance + config.appearance * unlike)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if not far[r, c]]
