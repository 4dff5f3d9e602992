"""A context of frames in, its predicted future out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from dlp.build import ParticleModel
from dlp.particles import to_pixels
from dynamics.model import GraphDynamics
from dynamics.motion import LearnedMotion
from dynamics.rollout import unroll
from dynamics.state import State
from dynamics.tracks import Tracks, choose_rows, context_state, decode_code, encode_code, track
from pipelines.encode import encode_frames
from pipelines.frames import to_uint8

CHUNK = 32
LEAVE = 1.05
"""A particle whose centre is beyond this, in [-1, 1] coordinates, has left the frame."""
GONE = -9.0
"""Logit of the transparency of a row without a particle."""


@dataclass(frozen=True)
class Forecast:
    """t frames and the k particles they are made of; row k is one particle at every step.

    Args:
        frames: [t, h, w, 3] uint8.
        position: [t, k, 2], (x, y) in pixels of these frames.
        transparency: [t, k] in [0, 1]; 0 for a row without a particle.
        appearance: [t, k, d].
    """

    frames: np.ndarray
    position: np.ndarray
    transparency: np.ndarray
    appearance: np.ndarray


@dataclass(frozen=True)
class Observed:
    """What a context holds.

    Args:
        tracks: of its frames.
        rows: the identity in each of the state's first rows.
        state: at its last frame, K rows.
    """

    tracks: Tracks
    rows: list[int]
    state: State


def observe(dlp: ParticleModel, dynamics: GraphDynamics, context: np.ndarray) -> Observed:
    """Encode and link a context [c, h, w, 3] uint8; nothing else of the video is looked at."""
    k = dlp.config.particles
    particles = encode_frames(dlp, context)
    motion = LearnedMotion(dynamics, encode_code(particles))
    tracks = track(particles, dlp.size, motion=motion)
    rows = choose_rows(tracks, k)
    state = context_state(tracks, rows, dynamics.config.history, k)
    return Observed(tracks, rows, leave(state))


def leave(state: State) -> State:
    """Empty the rows of the particles that have left the frame; they stay where they left."""
    edge = state.position[:, -1]
    gone = ~state.alive | (edge.abs() > LEAVE).any(-1)
    code = state.code.clone()
    code[..., -1] = torch.where(gone, GONE, code[..., -1])
    still = edge.clamp(-LEAVE, LEAVE)[:, None]
    position = torch.where(gone[:, None, :, None], still, state.position)
    return replace(state, code=code, position=position, alive=~gone)


@torch.no_grad()
def predict(
    dlp: ParticleModel, dynamics: GraphDynamics, state: State, horizon: int
) -> Iterator[Forecast]:
    """The frames after `state`, in parts of at most CHUNK steps: memory is constant."""
    done = 0
    while done < horizon:
        states = []
        for _ in range(min(CHUNK, horizon - done)):
            state = leave(next(unroll(dynamics, state, 1)))
            states.append(state)
        done += len(states)
        position = torch.cat([state.position[:, -1] for state in states])
        yield _decode(dlp, position, torch.cat([state.code for state in states]))


def join(parts: list[Forecast]) -> Forecast:
    """Parts of a forecast as one."""
    return Forecast(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Forecast)}
    )


def forecast(
    dlp: ParticleModel, dynamics: GraphDynamics, context: np.ndarray, horizon: int
) -> Forecast:
    """The `horizon` frames that follow a context [c, h, w, 3] uint8."""
    state = observe(dlp, dynamics, context).state
    return join(list(predict(dlp, dynamics, state, horizon)))


@torch.no_grad()
def reconstruct(dlp: ParticleModel, observed: Observed) -> Forecast:
    """The context's own frames, drawn from the particles of its rows."""
    tracks, rows = observed.tracks, observed.rows
    position = observed.state.position[:, -1].repeat(len(tracks), 1, 1)  # (t, k, 2)
    code = observed.state.code.repeat(len(tracks), 1, 1)
    code[..., -1] = GONE
    m = len(rows)
    position[:, :m], code[:, :m] = tracks.position[:, rows], tracks.code[:, rows]
    code[:, :m, -1] = torch.where(tracks.seen[:, rows], code[:, :m, -1], GONE)
    return _decode(dlp, position, code)


def _decode(dlp: ParticleModel, position: Tensor, code: Tensor) -> Forecast:
    """Positions [t, k, 2] and codes [t, k, d + 3] to frames."""
    particles = decode_code(position, code)
    return Forecast(
        to_uint8(dlp.decode(particles).image),
        to_pixels(position, *dlp.size).numpy(),
        particles.transparency.numpy(),
        particles.appearance.numpy(),
    )
