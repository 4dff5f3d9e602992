"""Take hold of particles: move, push, change, remove and add them, before the future is told.

    observed = observe(dlp, dynamics, frames)
    edit = Edit(changes=(Change(row=3, position=(20, 31), push=(1.5, 0)),), removed=(2,))
    changed = edit_state(observed.state, edit, dlp.size)

What `rollout` foresees from `observed.state` and from `changed` are two futures of one scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from dlp.model import DEPTH_BOUND
from dlp.particles import Particles, from_pixels
from dynamics.births import enter
from dynamics.state import State
from dynamics.tracks import encode_code

Pair = tuple[float, float]


@dataclass(frozen=True)
class Change:
    """What becomes of one particle; None leaves a property as it is.

    Args:
        row: the particle's row in the state.
        position: (x, y) in pixels; its history moves with it, so it keeps its velocity.
        push: (x, y) in pixels a frame, added to its velocity.
        appearance: D features.
        transparency: in [0, 1].
        scale: side of its patch over the glimpse's side, positive.
        depth: larger is nearer, within DEPTH_BOUND of 0.
    """

    row: int
    position: Pair | None = None
    push: Pair | None = None
    appearance: Sequence[float] | None = None
    transparency: float | None = None
    scale: float | None = None
    depth: float | None = None


@dataclass(frozen=True)
class Added:
    """A new particle, which comes as if it had been seen on its way.

    Args:
        position: (x, y) in pixels.
        appearance: D features.
        velocity: (x, y) in pixels a frame.
        transparency, scale, depth: as in `Change`.
    """

    position: Pair
    appearance: Sequence[float]
    velocity: Pair = (0.0, 0.0)
    transparency: float = 1.0
    scale: float = 1.0
    depth: float = 0.0


@dataclass(frozen=True)
class Edit:
    """Everything that is done to a scene; nothing by default.

    Args:
        changes: at most one a row.
        removed: rows that are emptied.
        added: each gets a row of its own behind those that are there.
    """

    changes: tuple[Change, ...] = ()
    removed: tuple[int, ...] = ()
    added: tuple[Added, ...] = ()


def edit_state(state: State, edit: Edit, size: tuple[int, int]) -> State:
    """The state after an edit; the one that was given stays as it is.

    Args:
        state: one set, such as `observe` gives.
        edit: what to do.
        size: (h, w) of the frames, in whose pixels the edit is.

    Returns:
        A State with a row more for each particle added, in their order; with an empty edit, the
        same tensors.

    Raises:
        ValueError: a row that holds no particle or is named twice, a wrong number of features, a
            transparency outside [0, 1], a scale that is not positive, a depth beyond DEPTH_BOUND,
            or anything that is not finite.
    """
    rows = [change.row for change in edit.changes] + list(edit.removed)
    for row in rows:
        if not 0 <= row < state.alive.shape[1] or not state.alive[0, row]:
            raise ValueError(f"row {row} holds no particle: the scene's are {_alive(state)}")
        if rows.count(row) > 1:
            raise ValueError(f"row {row} is named twice: change it once, or remove it")
    for change in edit.changes:
        state = _change(state, change, size)
    if edit.removed:
        alive = state.alive.clone()
        alive[:, list(edit.removed)] = False
        state = replace(state, alive=alive)
    for one in edit.added:
        state = _add(state, one, size)
    return state


def velocity(state: State) -> Tensor:
    """What the dynamics take for the particles' velocity, [b, n, 2] in [-1, 1] units a frame."""
    return state.position.diff(dim=1)[:, -2:].mean(1)


def _change(state: State, change: Change, size: tuple[int, int]) -> State:
    position, code, row = state.position.clone(), state.code.clone(), change.row
    if change.position is not None:
        place = from_pixels(_finite("position", change.position), *size)
        position[:, :, row] += place - position[:, -1:, row]
        position[:, -1, row] = place  # exactly
    if change.push is not None:
        ago = torch.arange(position.shape[1] - 1, -1, -1)[:, None]  # (h, 1) frames
        position[:, :, row] -= ago * _in_units(_finite("push", change.push), size)
    looks = (change.appearance, change.transparency, change.scale, change.depth)
    wanted = _code(code.shape[-1] - 3, *looks)
    given = torch.tensor(
        [change.appearance is not None] * (code.shape[-1] - 3)
        + [value is not None for value in (change.scale, change.depth, change.transparency)]
    )
    code[:, row] = torch.where(given, wanted, code[:, row])
    return replace(state, position=position, code=code)


def _add(state: State, one: Added, size: tuple[int, int]) -> State:
    """The state with one more row, in which the particle has come in."""
    b, n = state.alive.shape
    looks = (one.appearance, one.transparency, one.scale, one.depth)
    code = _code(state.code.shape[-1] - 3, *looks)
    wider = State(
        pad(state.position, (0, 0, 0, 1)),
        pad(state.seen, (0, 1)),
        pad(state.code, (0, 0, 0, 1)),
        pad(state.alive, (0, 1)),
    )
    new = (torch.arange(n + 1) == n).expand(b, -1)
    place = from_pixels(_finite("position", one.position), *size)
    speed = _in_units(_finite("velocity", one.velocity), size)
    return enter(
        wider, new, place.expand(b, -1), speed.expand(b, -1), code.expand(b, -1).to(state.code)
    )


def _code(
    features: int,
    appearance: Sequence[float] | None,
    transparency: float | None,
    scale: float | None,
    depth: float | None,
) -> Tensor:
    """A particle's code, [d + 3]; where nothing is given, that of no account."""
    looks = torch.zeros(features) if appearance is None else _finite("appearance", appearance)
    if len(looks) != features:
        raise ValueError(f"appearance has {len(looks)} features: the model's has {features}")
    if transparency is not None and not 0 <= transparency <= 1:
        raise ValueError(f"transparency must be in [0, 1], found {transparency}")
    if scale is not None and not (scale > 0 and torch.tensor(float(scale)).log().isfinite()):
        raise ValueError(f"scale must be positive and finite, found {scale}")
    if depth is not None and not abs(depth) <= DEPTH_BOUND:
        raise ValueError(f"depth must be from {-DEPTH_BOUND:g} to {DEPTH_BOUND:g}, found {depth}")

    def scalar(value: float | None, otherwise: float) -> Tensor:
        return torch.tensor(otherwise if value is None else float(value))

    particle = Particles(
        position=torch.zeros(2),
        log_variance=torch.zeros(2),
        appearance=looks,
        transparency=scalar(transparency, 1.0),
        scale=scalar(scale, 1.0),
        depth=scalar(depth, 0.0),
    )
    return encode_code(particle)


def _finite(name: str, values: Sequence[float]) -> Tensor:
    """The values as a tensor, none of which may be infinite or NaN."""
    tensor = torch.tensor([*map(float, values)])
    if not tensor.isfinite().all():
        raise ValueError(f"{name} must be finite, found {(*values,)}")
    return tensor


def _in_units(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """A displacement in pixels, [2] (x, y), in [-1, 1] units."""
    return pixels * 2 / torch.tensor([size[1], size[0]])


def _alive(state: State) -> str:
    return ", ".join(map(str, state.alive[0].nonzero()[:, 0].tolist())) or "none"
