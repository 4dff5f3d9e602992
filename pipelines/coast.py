"""The baseline that coasts: the model's own particles at constant velocity, drawn."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from dlp.build import ParticleModel
from dynamics.futures import CHUNK, Moved
from dynamics.state import State
from pipelines.forecast import Forecast, draw, join
from pipelines.train_dynamics import coasting


def coast(state: State, horizon: int) -> Iterator[Moved]:
    """The particles of a state that keep their last displacement and their looks, in parts.

    They go on beyond the frame, where nothing of them is drawn: none waits at its border.

    Args:
        state: b sets.
        horizon: steps.
    """
    identity = torch.where(state.alive, torch.arange(state.alive.shape[1]), -1)  # (b, k)
    for position in coasting(state, horizon).split(CHUNK, 1):  # (b, t, k, 2)
        t = position.shape[1]
        code = state.code[:, None].expand(-1, t, -1, -1)
        yield Moved(position, code, identity[:, None].expand(-1, t, -1))


def coasted(dlp: ParticleModel, state: State, horizon: int) -> Forecast:
    """The `horizon` frames after a single state, drawn with the run's own decoder."""
    return join([draw(dlp, part) for part in coast(state, horizon)])[0]
