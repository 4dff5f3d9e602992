"""A context of frames in, its predicted future out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from dlp.build import ParticleModel
from dlp.particles import Particles, to_pixels
from dynamics.config import DynamicsConfig
from dynamics.futures import Moved, Watch, leave, move
from dynamics.identity import Motion, constant_velocity
from dynamics.model import GraphDynamics
from dynamics.motion import LearnedMotion
from dynamics.state import State
from dynamics.tracks import Tracks, choose_rows, context_state, decode_code, encode_code, track
from pipelines.encode import encode_frames
from pipelines.frames import to_uint8

DRAWN = 64
"""Frames that are drawn at a time."""


@dataclass(frozen=True)
class Forecast:
    """t frames and the k particles they are made of; `...` is nothing, or b sets.

    Args:
        frames: [..., t, h, w, 3] uint8.
        position: [..., t, k, 2], (x, y) in pixels of these frames.
        transparency: [..., t, k] in [0, 1]; 0 for a row without a particle.
        appearance: [..., t, k, d].
        identity: [..., t, k] int64, which particle is in row k; -1: none. A row whose particle has
            left may be given to one that comes in later, with a number of its own.
    """

    frames: np.ndarray
    position: np.ndarray
    transparency: np.ndarray
    appearance: np.ndarray
    identity: np.ndarray

    def __getitem__(self, index: int | slice) -> Forecast:
        """One of the b sets; of a single forecast, a stretch of its frames."""
        return Forecast(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        return self.frames.shape[-4]


@dataclass(frozen=True)
class Observed:
    """What a context holds.

    Args:
        tracks: of its frames.
        rows: the identity in each of the state's first rows.
        state: at its last frame, K rows.
        deviation: [1, K, 2] standard deviation of the rows' positions, in [-1, 1] units.
    """

    tracks: Tracks
    rows: list[int]
    state: State
    deviation: Tensor


def observe(dlp: ParticleModel, dynamics: GraphDynamics | None, context: np.ndarray) -> Observed:
    """Encode and link a context [c, h, w, 3] uint8; nothing else of the video is looked at.

    Args:
        dynamics: a run without stage 2 has none: particles are expected at their velocity.
    """
    k = dlp.config.particles
    particles = encode_frames(dlp, context)
    motion: Motion = constant_velocity
    if dynamics is not None:
        motion = LearnedMotion(dynamics, encode_code(particles))
    tracks = track(particles, dlp.size, motion=motion)
    rows = choose_rows(tracks, k)
    config = DynamicsConfig() if dynamics is None else dynamics.config
    state = context_state(tracks, rows, config.history, k)
    deviation = torch.zeros(1, k, 2)
    deviation[0, : len(rows)] = tracks.deviation[-1, rows]
    return Observed(tracks, rows, leave(state), deviation)


def predict(
    dlp: ParticleModel,
    dynamics: GraphDynamics,
    state: State,
    horizon: int,
    watch: Watch | None = None,
) -> Iterator[Forecast]:
    """The frames after `state`, b sets at a time, in the parts that `move` gives."""
    for moved in move(dynamics, state, horizon, watch=watch):
        yield draw(dlp, moved)


def join(parts: list[Forecast]) -> Forecast:
    """Parts of a forecast as one."""
    time = parts[0].frames.ndim - 4
    return Forecast(
        **{
            f.name: np.concatenate([getattr(p, f.name) for p in parts], time)
            for f in fields(Forecast)
        }
    )


def forecast(
    dlp: ParticleModel, dynamics: GraphDynamics, context: np.ndarray, horizon: int
) -> Forecast:
    """The `horizon` frames that follow a context [c, h, w, 3] uint8."""
    state = observe(dlp, dynamics, context).state
    return join(list(predict(dlp, dynamics, state, horizon)))[0]


@torch.no_grad()
def reconstruct(dlp: ParticleModel, observed: Observed) -> Forecast:
    """The context's own frames, drawn from the particles of its rows."""
    tracks, rows = observed.tracks, observed.rows
    k, m = observed.state.alive.shape[1], len(rows)
    position = observed.state.position[:, -1].repeat(len(tracks), 1, 1)  # (t, k, 2)
    code = observed.state.code.repeat(len(tracks), 1, 1)
    identity = torch.full((len(tracks), k), -1)
    position[:, :m], code[:, :m] = tracks.position[:, rows], tracks.code[:, rows]
    identity[:, :m] = torch.where(tracks.seen[:, rows], torch.arange(m), -1)
    return draw(dlp, Moved(position[None], code[None], identity[None]))[0]


def particles_of(moved: Moved) -> Particles:
    """What is drawn: the particles [b, t, k, ...], empty rows wholly transparent."""
    return decode_code(moved.position, moved.code, moved.identity >= 0)


@torch.no_grad()
def draw(dlp: ParticleModel, moved: Moved) -> Forecast:
    """The frames of moved particles."""
    flat = particles_of(moved).apply(lambda tensor: tensor.flatten(0, 1))
    frames = np.concatenate(
        [
            to_uint8(dlp.decode(flat[start : start + DRAWN]).image)
            for start in range(0, len(flat.position), DRAWN)
        ]
    )
    return as_forecast(dlp, moved, frames.reshape(*moved.identity.shape[:2], *frames.shape[1:]))


def as_forecast(dlp: ParticleModel, moved: Moved, frames: np.ndarray | None = None) -> Forecast:
    """Moved particles as a forecast, its frames of no size unless some are given."""
    particles = particles_of(moved)
    if frames is None:
        frames = np.zeros((*moved.identity.shape[:2], 0, 0, 3), np.uint8)
    return Forecast(
        frames,
        to_pixels(moved.position, *dlp.size).numpy(),
        particles.transparency.numpy(),
        particles.appearance.numpy(),
        moved.identity.numpy(),
    )
