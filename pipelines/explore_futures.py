"""Two futures of one scene, as it was found and as it was edited: foreseen and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.nn.functional import pad

from dlp.build import ParticleModel
from dynamics.edit import edit_state
from dynamics.futures import sample
from dynamics.model import GraphDynamics
from dynamics.state import State
from pipelines.edit_file import Written
from pipelines.explore_json import Refused
from pipelines.forecast import Forecast, Observed, as_forecast, join, predict, reconstruct

COLUMNS = 8
"""Frames side by side in a sprite."""


@dataclass(frozen=True)
class Future:
    """One of the two.

    Args:
        forecast: its frames and particles, with the page's ids for identities.
        edges: of each step, [from row, to row, weight or None] of the graph that the dynamics
            build of its particles.
    """

    forecast: Forecast
    edges: list[list[list[Any]]]


@dataclass(frozen=True)
class Futures:
    """What a rollout comes to.

    Args:
        seen: the context, drawn from the particles that were found.
        original, changed: without and with the edit.
        samples: [s, t, ...] of the edited scene, without frames; None: none were asked for.
        fps: frames a second.
        name: of the clip, for files.
    """

    seen: Forecast
    original: Future
    changed: Future
    samples: Forecast | None
    fps: float
    name: str


def foresee(
    model: ParticleModel,
    dynamics: GraphDynamics,
    observed: Observed,
    written: Written,
    horizon: int,
    samples: int,
    seed: int,
    fps: float,
    name: str,
    step: Callable[[], None],
) -> Futures:
    """Roll both scenes out.

    Args:
        observed: the scene as it was found.
        written: the edit.
        horizon: steps.
        samples: futures of the edited scene that are drawn at random.
        seed: of these.
        step: called after each of `steps` steps; what it raises ends the work.

    Raises:
        Refused: the edit is of another scene.
    """
    state, rows = observed.state, observed.state.alive.shape[1]
    edited = edited_state(model, state, written)
    original = _future(model, dynamics, state, horizon, step)
    changed = _future(model, dynamics, edited, horizon, step)
    several = None
    if samples:
        more = len(written.ids)
        deviation = pad(observed.deviation, (0, 0, 0, more))
        drawn = sample(dynamics, edited, deviation, horizon, samples, seed, watch=lambda _: step())
        several = join([as_forecast(model, part) for part in drawn])
        several = _named(several, rows, written.ids)
    changed = replace(changed, forecast=_named(changed.forecast, rows, written.ids))
    return Futures(reconstruct(model, observed), original, changed, several, fps, name)


def edited_state(model: ParticleModel, state: State, written: Written) -> State:
    """The scene after the edit.

    Raises:
        Refused: the edit names a particle that the scene does not have.
    """
    try:
        return edit_state(state, written.edit, model.size)
    except ValueError as error:
        raise Refused(f"the edit does not fit this scene: {error}", 409) from error


def steps(horizon: int, samples: int) -> int:
    """How often `foresee` calls `step`."""
    return horizon * (3 if samples else 2)


def _future(
    model: ParticleModel,
    dynamics: GraphDynamics,
    state: State,
    horizon: int,
    step: Callable[[], None],
) -> Future:
    edges: list[list[list[Any]]] = []

    def watch(state: State) -> None:
        step()
        found = dynamics.edges(state)
        pairs = found.index.T.tolist()
        weights = [None] * len(pairs) if found.weight is None else found.weight.tolist()
        told = zip(pairs, weights, strict=True)
        edges.append([[*pair, w if w is None else round(w, 4)] for pair, w in told])

    parts = list(predict(model, dynamics, state, horizon, watch))
    return Future(join(parts)[0], edges)


def _named(forecast: Forecast, rows: int, added: Sequence[int]) -> Forecast:
    """The identities as the page knows them: those added by their ids, later ones as without."""
    identity, more = forecast.identity, len(added)
    told = np.where(identity >= rows + more, identity - more, identity)
    for index, name in enumerate(added):
        told = np.where(identity == rows + index, name, told)
    return replace(forecast, identity=told)


def told(futures: Futures, address: str) -> dict[str, Any]:
    """The JSON of a rollout that is done.

    Args:
        address: of the rollout, for its pictures.
    """
    h, w = futures.seen.frames.shape[1:3]
    several = futures.samples
    both = {"original": futures.original, "changed": futures.changed}
    return {
        "size": [h, w],
        "context": len(futures.seen),
        "horizon": len(futures.original.forecast),
        "fps": futures.fps,
        **{
            name: {
                "sprite": f"{address}/{name}.png",
                "columns": COLUMNS,
                "positions": _places(future.forecast),
                "ids": future.forecast.identity.tolist(),
                "transparency": future.forecast.transparency.round(4).tolist(),
                "edges": future.edges,
            }
            for name, future in both.items()
        },
        "past": _places(futures.seen),
        "samples": [] if several is None else _places(several),
        "sample_ids": [] if several is None else several.identity.tolist(),
    }


def _places(forecast: Forecast) -> list[Any]:
    """Positions [..., k] as [x, y], or None where no particle is."""

    def level(position: np.ndarray, identity: np.ndarray) -> list[Any]:
        if identity.ndim > 1:
            return [level(p, i) for p, i in zip(position, identity, strict=True)]
        pairs = zip(position.tolist(), identity.tolist(), strict=True)
        return [place if who >= 0 else None for place, who in pairs]

    return level(forecast.position.astype(float).round(3), forecast.identity)


def sprite(frames: np.ndarray) -> np.ndarray:
    """Frames [t, h, w, 3], COLUMNS side by side and then below, as one picture."""
    t, h, w, _ = frames.shape
    rows = -(-t // COLUMNS)
    grid = np.zeros((rows * COLUMNS, h, w, 3), np.uint8)
    grid[:t] = frames
    lines = grid.reshape(rows, COLUMNS, h, w, 3).swapaxes(1, 2)
    return lines.reshape(rows * h, COLUMNS * w, 3)
