"""Vehicles before the camera: each face is drawn by its corners' projections."""

from __future__ import annotations

from functools import cache

import numpy as np

from data.worlds.drawing import Layers, fronts, inside_polygon, shrink, soften
from data.worlds.road import SUN, Camera
from data.worlds.vehicle_kinds import Face, Kind

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
        [0.13, 0.14, 0.19],
        [0.55, 0.22, 0.62],
    ]
)
CARGO = np.array([[0.93, 0.92, 0.88], [0.80, 0.84, 0.90], [0.90, 0.80, 0.62]])


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


@cache
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
    hull = np.array([base[0], base[1], base[1] + reach, base[2] + reach, base[3] + reach, base[3]])[
        ::-1
    ]
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
