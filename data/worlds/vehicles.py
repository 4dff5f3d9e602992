"""Cars, vans and trucks as convex faces in space, drawn by their corners' projections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.worlds.drawing import Layers, fronts, inside_polygon, shrink, soften
from data.worlds.road import SUN, Camera

SUPERSAMPLE = 3
SHADOW = 0.45
GLASS = np.array([0.13, 0.18, 0.24])
TYRE = np.array([0.07, 0.07, 0.08])
LAMP = np.array([1.0, 0.97, 0.80])
TAIL = np.array([0.55, 0.05, 0.05])
BRAKE = np.array([1.0, 0.16, 0.10])
PAINTS = np.array(
    [
        [0.85, 0.12, 0.12],
        [0.15, 0.35, 0.85],
        [0.95, 0.95, 0.93],
        [0.98, 0.76, 0.10],
        [0.10, 0.62, 0.58],
        [0.92, 0.46, 0.12],
        [0.30, 0.32, 0.38],
        [0.55, 0.22, 0.62],
    ]
)
CARGO = np.array([[0.93, 0.92, 0.88], [0.80, 0.84, 0.90], [0.90, 0.80, 0.62]])


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
    cabin = box(
        (-h, 0.72 * h), (1.05, 2.2), w, ("body", "body", "glass", "body"), (0.05, 0.7, 0.1)
    )
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


def paints(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Colours [2, 3] of a vehicle's body and cargo."""
    return np.stack([PAINTS[rng.integers(len(PAINTS))], CARGO[rng.integers(len(CARGO))]])


def draw_vehicle(
    layers: Layers,
    camera: Camera,
    index: int,
    kind: Kind,
    colours: np.ndarray,
    ground: np.ndarray,
    heading: int,
    brakes: np.ndarray,
) -> None:
    """Add a vehicle and its shadow to the layers, at the frames where it is near the picture.

    Args:
        index: its row in the truth.
        colours: [2, 3] of body and cargo.
        ground: [t, 3] metres, the middle of the vehicle on the road.
        heading: 1 along the road's x axis, -1 against it.
        brakes: [t] bool, brake lights on.
    """
    turn = np.array([heading, heading, 1])
    rear, front = kind.split
    nearer_front = camera.faces(np.array([heading, 0, 0]))
    faces = kind.parts + ((rear + front) if nearer_front else (front + rear))
    shape = np.concatenate([face.corners for face in faces]) * turn
    points = camera.project(ground[:, None] + shape)
    low, high = points.min(1), points.max(1)
    times = np.flatnonzero(((high > -1) & (low < camera.size)).all(1))
    if not len(times):
        return
    points, low, high = points[times], low[times], high[times]
    corner = np.floor(low).astype(int)
    width, height = np.ceil((high - corner).max(0)).astype(int) + 2
    x, y = grid(corner, width, height)

    paint = {"body": colours[0], "cargo": colours[1], "glass": GLASS, "tyre": TYRE, "lamp": LAMP}
    palette = np.zeros((len(times), len(faces) + 1, 3), np.float32)
    painted = np.zeros((len(times), len(y[0]), len(x[0])), np.uint8)
    first = 0
    for number, face in enumerate(faces, 1):
        polygon = points[:, first : first + len(face.corners)]
        first += len(face.corners)
        if not fronts(polygon).any():
            continue
        painted[inside_polygon(polygon, x, y)] = number
        if face.paint == "tail":
            palette[:, number] = np.where(brakes[times, None], BRAKE, TAIL)
        else:
            palette[:, number] = paint[face.paint] * tone(face, heading)
    colour = palette[np.arange(len(times))[:, None, None], painted]
    covered = (painted > 0)[..., None].astype(np.float32)
    alpha = shrink(covered, SUPERSAMPLE)
    colour = shrink(colour, SUPERSAMPLE) / np.maximum(alpha, 1e-3)
    layers.add(index, times, corner, colour, alpha[..., 0])
    draw_shadow(layers, camera, kind, ground[times], times)


@lru_cache(maxsize=None)
def tone(face: Face, heading: int) -> float:
    """Brightness of a face in the sun."""
    turn = np.array([heading, heading, 1])
    if face.paint == "lamp":
        return 1.0
    return float(0.58 + 0.55 * max(0.0, float((face.normal * turn) @ SUN)))


def draw_shadow(
    layers: Layers, camera: Camera, kind: Kind, ground: np.ndarray, times: np.ndarray
) -> None:
    """Darken the road where the vehicle's box keeps the sun away, with a soft edge."""
    h, w = kind.length / 2, kind.width / 2
    reach = -SUN[:2] / SUN[2] * kind.height * 0.6
    # The hull of a rectangle and its shifted copy, for a shift to the right and to the near side.
    base = np.array([[-h, w], [h, w], [h, -w], [-h, -w]])
    hull = np.array(
        [base[0], base[1], base[1] + reach, base[2] + reach, base[3] + reach, base[3]]
    )[::-1]
    points = camera.project(ground[:, None] + np.pad(hull, ((0, 0), (0, 1))))
    corner = np.floor(points.min(1)).astype(int) - 2
    width, height = np.ceil((points.max(1) - corner).max(0)).astype(int) + 3
    x, y = grid(corner, width, height)
    shadow = shrink(inside_polygon(points, x, y)[..., None], SUPERSAMPLE)[..., 0]
    layers.shade(times, corner, SHADOW * soften(shadow))


def grid(corner: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Supersampled x [m, width * s] and y [m, height * s] of windows in pixels."""
    x = (np.arange(width * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - 0.5
    y = (np.arange(height * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - 0.5
    return corner[:, :1] + x, corner[:, 1:] + y
