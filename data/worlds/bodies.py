"""Cubes, spheres and cylinders on a plane, as rays meet them; lengths in the scene's units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Body:
    """A cube, sphere or upright cylinder that stands on the plane.

    Args:
        kind: "cube", "sphere" or "cylinder".
        radius: of a sphere or cylinder; half the side of a cube.
        colour: [3] linear, in [0, 1].
        metal: metal mirrors, rubber does not.
        place: [2], x and y of its middle.
        yaw: radians about z.
    """

    kind: str
    radius: float
    colour: np.ndarray
    metal: bool
    place: np.ndarray
    yaw: float = 0.0

    @property
    def height(self) -> float:
        """How far it reaches above the plane."""
        return (1.8 if self.kind == "cylinder" else 2.0) * self.radius

    @property
    def centre(self) -> np.ndarray:
        """Its middle [3]."""
        return np.array([*self.place, self.height / 2])

    @property
    def corners(self) -> np.ndarray:
        """The corners [8, 3] of an upright box around it."""
        reach = self.radius * (np.sqrt(2) if self.kind == "cube" else 1)
        signs = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)])
        flat = self.place + reach * signs
        return np.concatenate([np.c_[flat, np.full(4, z)] for z in (0.0, self.height)])

    def local(self, vectors: np.ndarray) -> np.ndarray:
        """Directions [3, ...] turned into the body's own axes."""
        if self.kind != "cube":
            return vectors
        c, s = np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))
        x, y, z = vectors
        return np.stack([c * x + s * y, c * y - s * x, z])

    def span(self, start: np.ndarray, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rays enter and leave the body; they miss it where entry exceeds exit.

        Args:
            start: [3, ...], broadcast to the rays.
            ray: [3, ...], any length.
        """
        centre = self.centre.astype(np.float32).reshape(3, *[1] * (start.ndim - 1))
        o, d = self.local(start - centre), self.local(ray)
        if self.kind == "cube":
            return slabs(o, d, np.full(3, self.radius, np.float32))
        if self.kind == "sphere":
            return quadric(o, d, self.radius)
        side = quadric(o[:2], d[:2], self.radius)
        caps = slabs(o[2:], d[2:], np.array([self.height / 2], np.float32))
        return np.maximum(side[0], caps[0]), np.minimum(side[1], caps[1])

    def normal(self, points: np.ndarray) -> np.ndarray:
        """Unit normals [3, m] at points [3, m] of its surface."""
        offset = points - self.centre.astype(np.float32)[:, None]
        if self.kind == "sphere":
            return offset / np.float32(self.radius)
        if self.kind == "cylinder":
            top = offset[2] > 0.4999 * self.height
            out = np.where(top, 0, offset / np.float32(self.radius))
            out[2] = top
            return out
        own = self.local(offset)
        axis = np.abs(own).argmax(0)
        flat = np.zeros_like(own)
        columns = np.arange(own.shape[1])
        flat[axis, columns] = np.sign(own[axis, columns])
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack([c * flat[0] - s * flat[1], s * flat[0] + c * flat[1], flat[2]])


def slabs(o: np.ndarray, d: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit of a box about the origin with the given half sides."""
    inverse = 1 / np.where(np.abs(d) < 1e-7, np.float32(1e-7), d)
    middle = -o * inverse
    reach = np.abs(inverse) * half.reshape(-1, *[1] * (d.ndim - 1))
    return (middle - reach).max(0), (middle + reach).min(0)


def quadric(o: np.ndarray, d: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit of a sphere (three axes) or of an endless cylinder (two)."""
    a = (d * d).sum(0) + np.float32(1e-12)
    b = (o * d).sum(0)
    root = b * b - a * ((o * o).sum(0) - np.float32(radius**2))
    reach = np.sqrt(np.maximum(root, 0))
    entry = np.where(root > 0, (-b - reach) / a, np.inf)
    return entry, np.where(root > 0, (-b + reach) / a, -np.inf)
