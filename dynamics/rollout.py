"""Step the graph model: the future of a set of particles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from dynamics.model import GraphDynamics
from dynamics.state import State


def advance(state: State, position: Tensor, code: Tensor) -> State:
    """The state one frame on: the history drops its oldest frame.

    What is foreseen counts as seen: a model that is told of its doubt slows everything down.

    Args:
        position: [b, n, 2] of the new frame.
        code: [b, n, d + 3] of the new frame.
    """
    return replace(
        state,
        position=torch.cat([state.position[:, 1:], position[:, None]], 1),
        seen=torch.cat([state.seen[:, 1:], torch.ones_like(state.seen[:, :1])], 1),
        code=code,
    )


def unroll(
    model: GraphDynamics,
    state: State,
    horizon: int,
    chance: Callable[[], Tensor] | None = None,
) -> Iterator[State]:
    """Predict `horizon` frames one by one, the graph rebuilt at each.

    Args:
        chance: gives each step's [b, n, c] for sampled futures, see `Chance`; none: the middle one.

    Yields:
        The State whose last frame is the predicted one; memory does not grow with the horizon.
    """
    for _ in range(horizon):
        position, code = model(state, None if chance is None else chance())
        state = advance(state, position, code)
        yield state
