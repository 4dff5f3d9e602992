"""Step a set of particles into its future, with those that leave and those that come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dynamics.chance import Chance
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.state import State

CHUNK = 32
"""Steps that are handed over at a time."""
LEAVE = 1.05
"""A particle whose centre is beyond this, in [-1, 1] coordinates, has left the frame."""
FADED = -3.0
"""So has one whose transparency's logit is below this."""
HOMING = 0.04
"""Of what a particle's looks have changed, so much is taken back at each step: they drift no
further than 25 steps' changes, however long the forecast."""


def leave(state: State) -> State:
    """Empty the rows of the particles that have left or faded; they stay where they did."""
    edge = state.position[:, -1]
    gone = ~state.alive | (edge.abs() > LEAVE).any(-1) | (state.code[..., -1] < FADED)
    still = edge.clamp(-LEAVE, LEAVE)[:, None]
    position = torch.where(gone[:, None, :, None], still, state.position)
    return replace(state, position=position, alive=~gone)


def confine(state: State, bounds: Tensor) -> State:
    """Keep the last positions where the things of a closed world can be.

    Args:
        bounds: [2, 2] least and greatest (x, y); infinite for a world that things leave.
    """
    inside = state.position[:, -1].clamp(bounds[0], bounds[1])
    return replace(state, position=torch.cat([state.position[:, :-1], inside[:, None]], 1))


@dataclass(frozen=True)
class Moved:
    """What the dynamics foresee for b sets of k particles over t steps, not yet drawn.

    Args:
        position: [b, t, k, 2] in [-1, 1].
        code: [b, t, k, d + 3].
        identity: [b, t, k] int64, as in a Forecast.
    """

    position: Tensor
    code: Tensor
    identity: Tensor

    def sets(self, index: slice) -> Moved:
        """Some of the b sets."""
        return Moved(self.position[index], self.code[index], self.identity[index])


Watch = Callable[[State], None]
"""Called with the state after each step; what it raises ends the future there."""


@torch.no_grad()
def move(
    dynamics: GraphDynamics,
    state: State,
    horizon: int,
    generator: torch.Generator | None = None,
    watch: Watch | None = None,
) -> Iterator[Moved]:
    """The steps after `state`, in parts of at most CHUNK: memory is constant.

    Args:
        state: b sets.
        horizon: steps.
        generator: draws a sampled future for each set; none: the middle one.
        watch: looks on.
    """
    b, k = state.alive.shape
    chance = None
    if generator is not None:
        chance = Chance((b, k), dynamics.config.chance, generator)
    clock, home = dynamics.births.start(b), state.code
    identity = torch.where(state.alive, torch.arange(k), -1)
    following = torch.full((b, 1), k)  # the next one's number
    done = 0
    while done < horizon:
        states, identities = [], []
        for _ in range(min(CHUNK, horizon - done)):
            state = confine(next(unroll(dynamics, state, 1, chance)), dynamics.bounds)
            state = leave(replace(state, code=state.code + HOMING * (home - state.code)))
            state, clock, born = dynamics.births.step(state, clock, generator)
            home = torch.where(born[..., None], state.code, home)
            if chance is not None:
                chance.renew(born)
            identity = torch.where(state.alive, identity, -1)
            identity = torch.where(born, following + born.cumsum(1) - 1, identity)
            following = following + born.sum(1, keepdim=True)
            states.append(state)
            identities.append(identity)
            if watch is not None:
                watch(state)
        done += len(states)
        yield Moved(
            torch.stack([state.position[:, -1] for state in states], 1),
            torch.stack([state.code for state in states], 1),
            torch.stack(identities, 1),
        )


def sample(
    dynamics: GraphDynamics,
    state: State,
    deviation: Tensor,
    horizon: int,
    samples: int,
    seed: int = 0,
    watch: Watch | None = None,
) -> Iterator[Moved]:
    """Futures drawn at random, each consistent in itself, as b = samples sets.

    Where a particle begins is drawn too, from the uncertainty of its position: its past is moved
    with it.

    Args:
        state: one set.
        deviation: [1, n, 2] of its positions, in [-1, 1] units.
        seed: of what is drawn.
        watch: looks on.
    """
    generator = torch.Generator().manual_seed(seed)
    several = state.sets(torch.zeros(samples, dtype=torch.long))
    away = torch.randn(samples, *deviation.shape[1:], generator=generator) * deviation
    several = replace(several, position=several.position + away[:, None])
    return move(dynamics, several, horizon, generator, watch)
