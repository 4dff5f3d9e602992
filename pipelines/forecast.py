"""A context of frames in, its predicted future out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from dlp.build import ParticleModel
from dlp.particles import to_pixels
from dynamics.chance import Chance
from dynamics.model import GraphDynamics
from dynamics.motion import LearnedMotion
from dynamics.rollout import unroll
from dynamics.state import State
from dynamics.tracks import Tracks, choose_rows, context_state, decode_code, encode_code, track
from pipelines.encode import encode_frames
from pipelines.frames import to_uint8

CHUNK = 32
"""Steps that are handed over at a time."""
DRAWN = 64
"""Frames that are drawn at a time."""
LEAVE = 1.05
"""A particle whose centre is beyond this, in [-1, 1] coordinates, has left the frame."""


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
    still = edge.clamp(-LEAVE, LEAVE)[:, None]
    position = torch.where(gone[:, None, :, None], still, state.position)
    return replace(state, position=position, alive=~gone)


def together(observed: Sequence[Observed]) -> State:
    """The states of several contexts as the sets of one."""
    states = [one.state for one in observed]
    return State(*(torch.cat([getattr(s, f.name) for s in states]) for f in fields(State)))


@torch.no_grad()
def predict(
    dlp: ParticleModel,
    dynamics: GraphDynamics,
    state: State,
    horizon: int,
    generator: torch.Generator | None = None,
) -> Iterator[Forecast]:
    """The frames after `state`, in parts of at most CHUNK steps: memory is constant.

    Args:
        state: b sets.
        generator: draws a sampled future for each set; none: the middle one.

    Yields:
        Forecasts of b sets.
    """
    b, k = state.alive.shape
    chance = None
    if generator is not None:
        chance = Chance((b, k), dynamics.config.chance, generator)
    clock = dynamics.births.start(b)
    identity = torch.where(state.alive, torch.arange(k), -1)
    following = torch.full((b, 1), k)  # the next one's number
    done = 0
    while done < horizon:
        states, identities = [], []
        for _ in range(min(CHUNK, horizon - done)):
            state = leave(next(unroll(dynamics, state, 1, chance)))
            state, clock, born = dynamics.births.step(state, clock, generator)
            identity = torch.where(state.alive, identity, -1)
            identity = torch.where(born, following + born.cumsum(1) - 1, identity)
            following = following + born.sum(1, keepdim=True)
            states.append(state)
            identities.append(identity)
        done += len(states)
        yield _decode(
            dlp,
            torch.stack([state.position[:, -1] for state in states], 1),
            torch.stack([state.code for state in states], 1),
            torch.stack(identities, 1),
        )


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
    dlp: ParticleModel,
    dynamics: GraphDynamics,
    context: np.ndarray,
    horizon: int,
    samples: int = 0,
    seed: int = 0,
) -> Forecast:
    """The `horizon` frames that follow a context [c, h, w, 3] uint8.

    Args:
        samples: S futures drawn at random, as sets; 0: the middle one.
        seed: of what is drawn.
    """
    state = observe(dlp, dynamics, context).state
    if not samples:
        return join(list(predict(dlp, dynamics, state, horizon)))[0]
    drawn = torch.Generator().manual_seed(seed)
    state = state.sets(torch.zeros(samples, dtype=torch.long))
    return join(list(predict(dlp, dynamics, state, horizon, drawn)))


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
    return _decode(dlp, position[None], code[None], identity[None])[0]


def _decode(dlp: ParticleModel, position: Tensor, code: Tensor, identity: Tensor) -> Forecast:
    """Positions [b, t, k, 2], codes [b, t, k, d + 3], identities [b, t, k] to frames."""
    particles = decode_code(position, code, identity >= 0)
    flat = particles.apply(lambda tensor: tensor.flatten(0, 1))
    drawn = [
        to_uint8(dlp.decode(flat[start : start + DRAWN]).image)
        for start in range(0, position.shape[0] * position.shape[1], DRAWN)
    ]
    frames = np.concatenate(drawn)
    return Forecast(
        frames.reshape(*identity.shape[:2], *frames.shape[1:]),
        to_pixels(position, *dlp.size).numpy(),
        particles.transparency.numpy(),
        particles.appearance.numpy(),
        identity.numpy(),
    )
