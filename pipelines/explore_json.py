"""What a page says, checked: every number finite and within its range, or one line why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from data.errors import UserError
from dlp.build import ParticleModel
from dlp.model import DEPTH_BOUND
from dlp.particles import Particles, from_pixels, to_pixels

MOST = 64
"""Particles of a scene."""
FAR = 4.0
"""Positions, velocities and pushes: at most so many frames' longer sides."""
LARGEST = 1e3
"""Of an appearance feature's size: a trained model's are a few units."""
SLACK = 1e-3
"""What a number may lose on its way through a page's decimals."""


class Refused(UserError):
    """A request that is turned down.

    Args:
        message: one line.
        status: of HTTP.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Ranges:
    """What a particle's numbers may be.

    Args:
        size: (h, w) of the frames.
        features: D.
        scale, depth: least and greatest; None if the model has none.
    """

    size: tuple[int, int]
    features: int
    scale: tuple[float, float] | None
    depth: tuple[float, float] | None

    @property
    def reach(self) -> float:
        """The farthest that a position may be from the frame's corner, pixels."""
        return FAR * max(self.size)


def ranges_of(model: ParticleModel) -> Ranges:
    """The ranges of a stage 1; only ours has scale and depth."""
    config, most = model.config, model.config.max_scale
    own = config.model == "dlp"
    depth = (-DEPTH_BOUND, DEPTH_BOUND) if own else None
    return Ranges(model.size, config.features, (1 / most, most) if own else None, depth)


def mapping(value: Any, where: str, known: Sequence[str]) -> dict[str, Any]:
    """A JSON object that has no other names than these.

    Raises:
        Refused: it is none, or it has.
    """
    if not isinstance(value, dict):
        raise Refused(f"{where}: expected an object, found {_kind(value)}")
    for name in value:
        if name not in known:
            raise Refused(f"{where}: unknown name {name[:40]!r}: it has {', '.join(known)}")
    return value


def sequence(value: Any, where: str, most: int = MOST) -> list[Any]:
    """A JSON array of at most so many items."""
    if not isinstance(value, list):
        raise Refused(f"{where}: expected an array, found {_kind(value)}")
    if len(value) > most:
        raise Refused(f"{where}: {len(value)} items: at most {most}")
    return value


def whole(value: Any, where: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"{where}: expected a whole number, found {_kind(value)}")
    if not low <= value <= high:
        raise Refused(f"{where}: must be from {low} to {high}")
    return value


def number(value: Any, where: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`; decimals lost on the way are made up for."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{where}: expected a number, found {_kind(value)}")
    # Compared before it becomes a float, which a huge whole number cannot.
    if not (low - SLACK <= value <= high + SLACK) or not math.isfinite(value):
        raise Refused(f"{where}: must be a number from {low:g} to {high:g}")
    return min(max(float(value), low), high)


def pair(value: Any, where: str, reach: float) -> tuple[float, float]:
    """(x, y), each within `reach` of 0."""
    if len(sequence(value, where, 2)) != 2:
        raise Refused(f"{where}: expected two numbers, [x, y]")
    x, y = (number(item, where, -reach, reach) for item in value)
    return x, y


def appearance(value: Any, where: str, features: int) -> tuple[float, ...]:
    """The D features."""
    if len(sequence(value, where, max(features, MOST))) != features:
        raise Refused(f"{where}: expected {features} numbers, found {len(value)}")
    return tuple(number(item, where, -LARGEST, LARGEST) for item in value)


@dataclass(frozen=True)
class Looks:
    """What is drawn of a particle besides where it is; None: not given."""

    appearance: tuple[float, ...] | None
    transparency: float | None
    scale: float | None
    depth: float | None


def looks(value: dict[str, Any], where: str, ranges: Ranges) -> Looks:
    """Appearance, transparency, scale and depth, of those that an object has."""

    def given(name: str, low: float, high: float) -> float | None:
        known = value.get(name)
        return None if known is None else number(known, f"{where}.{name}", low, high)

    found = value.get("appearance")
    if found is not None:
        found = appearance(found, f"{where}.appearance", ranges.features)
    return Looks(
        found,
        given("transparency", 0, 1),
        given("scale", *(ranges.scale or (1, 1))),
        given("depth", *(ranges.depth or (0, 0))),
    )


DRAWN = ("position", "appearance", "transparency", "scale", "depth")
SHOWN = ("id", "deviation", "side", "velocity", "seen")
"""What the server itself told of a particle may come back with it."""


def read_particles(value: Any, ranges: Ranges) -> Particles:
    """One frame's particles, [1, k, ...] with k at least 1, from a page's array.

    Raises:
        Refused: naming what is wrong with which.
    """
    sets: list[tuple[tuple[float, float], Looks]] = []
    for index, one in enumerate(sequence(value, "particles")):
        where = f"particles[{index}]"
        mapping(one, where, (*DRAWN, *SHOWN))
        for name in ("position", "appearance", "transparency"):
            if one.get(name) is None:
                raise Refused(f"{where}: {name} is missing")
        place = pair(one["position"], f"{where}.position", ranges.reach)
        sets.append((place, looks(one, where, ranges)))
    if not sets:  # a network draws no empty batch: one that is wholly transparent
        sets = [((0.0, 0.0), Looks((0.0,) * ranges.features, 0.0, 1.0, 0.0))]
    position = torch.tensor([[place for place, _ in sets]])

    def row(values: list[Any]) -> Tensor:
        return torch.tensor([values], dtype=torch.float32)

    every = [look for _, look in sets]
    return Particles(
        position=from_pixels(position, *ranges.size),
        log_variance=torch.full_like(position, -14.0),
        appearance=row([look.appearance for look in every]),
        transparency=row([look.transparency for look in every]),
        scale=row([1.0 if look.scale is None else look.scale for look in every]),
        depth=row([look.depth or 0.0 for look in every]),
    )


def write_particles(
    particles: Particles,
    deviation: Tensor,
    velocity: Tensor,
    seen: Tensor,
    rows: Sequence[int],
    model: ParticleModel,
) -> list[dict[str, Any]]:
    """Some rows of a set of k particles, as a page gets them.

    Args:
        particles: [k, ...].
        deviation, velocity: [k, 2] in [-1, 1] units, a frame's.
        seen: [k] bool.
        rows: which.
    """
    h, w = model.size
    half = torch.tensor([w, h]) / 2
    place = to_pixels(particles.position, h, w)
    return [
        {
            "id": row,
            "position": place[row].tolist(),
            "deviation": (deviation[row] * half).tolist(),
            "transparency": float(particles.transparency[row]),
            "scale": float(particles.scale[row]),
            "side": float(particles.scale[row]) * model.config.glimpse,
            "depth": float(particles.depth[row]),
            "appearance": particles.appearance[row].tolist(),
            "velocity": (velocity[row] * half).tolist(),
            "seen": bool(seen[row]),
        }
        for row in rows
    ]


def _kind(value: Any) -> str:
    """What JSON calls a value's kind."""
    names = {bool: "true or false", str: "text", dict: "an object", list: "an array"}
    return "nothing" if value is None else names.get(type(value), "a number")
