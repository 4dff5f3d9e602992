"""What cars, vans and trucks are made of: convex faces in metres (forward, left, up)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Face:
    """A convex face: corners [v, 3] in metres (forward, left, up), seen from outside, and paint."""

    corners: np.ndarray
    paint: str

    @property
    def normal(self) -> np.ndarray:
        """Unit vector [3] out of the face."""
        a, b, c = self.corners[:3]
        out = np.cross(b - a, c - a)
        return out / np.linalg.norm(out)


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of vehicle: its length and width in metres, its share, its faces from back to front.

    `parts` are drawn in order; `split` are two groups of faces side by side along the vehicle
    (rear, front), of which the farther one is drawn first.
    """

    length: float
    width: float
    height: float
    share: float
    parts: tuple[Face, ...]
    split: tuple[tuple[Face, ...], tuple[Face, ...]] = ((), ())


def box(
    x: tuple[float, float],
    z: tuple[float, float],
    width: float,
    paints: tuple[str, str, str, str],
    slope: tuple[float, float, float] = (0, 0, 0),
) -> tuple[Face, ...]:
    """A box without its bottom, or a frustum.

    Args:
        x: from rear to front; z: from bottom to top; width: across, all in metres.
        paints: of top, sides, front and rear.
        slope: how far the top's rear, front and sides lie inside the bottom's.
    """
    half = width / 2
    low = [(x[0], -half), (x[1], -half), (x[1], half), (x[0], half)]
    inner = half - slope[2]
    back, fore = x[0] + slope[0], x[1] - slope[1]
    high = [(back, -inner), (fore, -inner), (fore, inner), (back, inner)]
    p = [np.array([*c, z[0]]) for c in low] + [np.array([*c, z[1]]) for c in high]
    top, sides, front, rear = paints
    quads = [
        ((0, 1, 5, 4), sides),
        ((2, 3, 7, 6), sides),
        ((1, 2, 6, 5), front),
        ((3, 0, 4, 7), rear),
        ((4, 5, 6, 7), top),
    ]
    return tuple(Face(np.stack([p[i] for i in corners]), paint) for corners, paint in quads)


def wheels(places: tuple[float, ...], radius: float, width: float) -> tuple[Face, ...]:
    """An octagon at each place, on both sides."""
    turn = np.arange(8) * np.pi / 4 + np.pi / 8
    faces = []
    for place in places:
        for side in (-1, 1):
            corners = np.stack(
                [
                    place - side * radius * np.cos(turn),
                    np.full(8, side * width / 2),
                    radius + radius * np.sin(turn),
                ],
                -1,
            )
            faces.append(Face(corners, "tyre"))
    return tuple(faces)


def lamps(x: float, z: tuple[float, float], width: float, paint: str) -> tuple[Face, ...]:
    """A pair of lamps on the front (x > 0) or the rear."""
    faces = []
    for side in (-1, 1):
        across = np.array([side * width / 2 * 0.94, side * width / 2 * 0.5])
        low, high = across.min(), across.max()
        quad = np.array([[x, low, z[0]], [x, high, z[0]], [x, high, z[1]], [x, low, z[1]]])
        faces.append(Face(quad if x > 0 else quad[::-1], paint))
    return tuple(faces)


def pane(x: tuple[float, float], z: tuple[float, float], width: float) -> tuple[Face, ...]:
    """A side window on both sides."""
    quad = np.array([[x[0], 0, z[0]], [x[1], 0, z[0]], [x[1], 0, z[1]], [x[0], 0, z[1]]])
    right, left = quad.copy(), quad[::-1].copy()
    right[:, 1], left[:, 1] = -width / 2, width / 2
    return Face(right, "glass"), Face(left, "glass")


def car(length: float, share: float) -> Kind:
    """A saloon (long) or a hatchback (short)."""
    h, w = length / 2, 1.85
    body = box((-h, h), (0.28, 0.88), w, ("body", "body", "body", "body"), (0.08, 0.15, 0.08))
    cabin = box(
        (-0.78 * h, 0.42 * h), (0.88, 1.5), w - 0.2, ("body", "glass", "glass", "glass"),
        (0.4, 0.65, 0.16),
    )  # fmt: skip
    return Kind(
        length, w, 1.4, share,
        body + wheels((-0.6 * h, 0.6 * h), 0.36, w) + lamps(h, (0.5, 0.72), w, "lamp")
        + lamps(-h, (0.52, 0.76), w, "tail") + cabin,
    )  # fmt: skip


def van(length: float, share: float) -> Kind:
    """A delivery van."""
    h, w = length / 2, 2.0
    body = box((-h, h), (0.3, 1.05), w, ("body", "body", "body", "body"), (0, 0.1, 0))
    cabin = box((-h, 0.72 * h), (1.05, 2.2), w, ("body", "body", "glass", "body"), (0.05, 0.7, 0.1))
    return Kind(
        length, w, 2.0, share,
        body + wheels((-0.62 * h, 0.62 * h), 0.38, w) + lamps(h, (0.55, 0.8), w, "lamp")
        + lamps(-h, (0.7, 1.05), w, "tail") + cabin + pane((0.05 * h, 0.5 * h), (1.15, 1.75), w),
    )  # fmt: skip


def truck(length: float, share: float) -> Kind:
    """A box truck: cargo behind, cab before."""
    h, w = length / 2, 2.3
    chassis = box((-h, h), (0.4, 0.75), w - 0.2, ("tyre", "tyre", "tyre", "tyre"))
    cargo = box((-h, 0.38 * h), (0.75, 3.0), w, ("cargo", "cargo", "cargo", "cargo"))
    cab = box((0.45 * h, h), (0.45, 1.3), w - 0.1, ("body", "body", "body", "body"))
    upper = box(
        (0.45 * h, h), (1.3, 2.4), w - 0.1, ("body", "body", "glass", "body"), (0, 0.25, 0.05)
    )
    window = pane((0.6 * h, 0.88 * h), (1.4, 2.0), w - 0.1)
    return Kind(
        length, w, 2.7, share,
        chassis + wheels((-0.62 * h, 0.66 * h), 0.45, w) + lamps(-h, (0.5, 0.75), w, "tail"),
        (cargo, cab + upper + window + lamps(h, (0.6, 0.85), w, "lamp")),
    )  # fmt: skip


KINDS = (car(4.5, 0.42), car(3.7, 0.26), van(5.0, 0.18), truck(6.6, 0.14))
