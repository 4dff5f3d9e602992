"""Shapes: coloured squares, triangles and circles on black, static (the paper's first images)."""

from __future__ import annotations

import numpy as np

from data.videos import Video
from data.worlds.drawing import Layers, inside_polygon, make_truth, shrink, to_pixels

FEWEST, MOST = 6, 9
SMALLEST, LARGEST = 4.5 / 64, 6.5 / 64  # half extent, of the frame's side
APART = 8.0 / 64  # centres at least: shapes overlap in part, but none hides another
SUPERSAMPLE = 4
# Corners on a circle of radius 1, counter-clockwise on the screen; a circle has none.
KINDS = {
    "square": np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * 0.85,
    "triangle": np.array([[0, -1.05], [-1.05, 0.85], [1.05, 0.85]]),
    "circle": np.zeros((0, 2)),
}
COLOURS = np.array(
    [
        [0.93, 0.20, 0.22],
        [0.20, 0.75, 0.30],
        [0.22, 0.42, 0.98],
        [0.98, 0.84, 0.16],
        [0.82, 0.26, 0.88],
        [0.16, 0.84, 0.88],
    ]
)


def simulate(frames: int, size: int, rng: np.random.Generator) -> Video:
    """6 to 9 shapes, the same in every frame; later ones lie over earlier ones."""
    count = int(rng.integers(FEWEST, MOST + 1))
    extent = rng.uniform(SMALLEST, LARGEST, count)
    centre = to_pixels(place(count, rng), size)
    kinds = rng.choice(list(KINDS), count)
    colours = COLOURS[rng.integers(0, len(COLOURS), count)]
    side = int(np.ceil(2.2 * LARGEST * size)) + 2
    layers = Layers(np.zeros((size, size, 3)), 1, count, margin=side)
    fine = (np.arange(side * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - 0.5
    for shape in reversed(range(count)):
        corner = np.round(centre[shape] - (side - 1) / 2).astype(int)
        x, y = (corner[:, None] + fine - centre[shape][:, None]) / (extent[shape] * size)
        corners = KINDS[kinds[shape]]
        if len(corners):
            inside = inside_polygon(corners[None], x[None], y[None])
        else:
            inside = (x[None, :] ** 2 + y[:, None] ** 2 < 1)[None]
        alpha = shrink(inside[..., None], SUPERSAMPLE)[..., 0]
        layers.add(shape, np.zeros(1, int), corner[None], colours[shape], alpha)
    still, mask = (np.repeat(part, frames, 0) for part in layers.finish())
    seen = (layers.area, layers.seen, layers.centroid)
    area, visible, centroid = (np.repeat(part, frames, 0) for part in seen)
    truth = make_truth(np.repeat(centre[None], frames, 0), area, visible, centroid, mask)
    return Video("shapes", still, truth=truth)


def place(count: int, rng: np.random.Generator) -> np.ndarray:
    """Centres [n, 2] in unit coordinates, at least APART from one another."""
    centres = np.empty((0, 2))
    while len(centres) < count:
        new = rng.uniform(LARGEST, 1 - LARGEST, 2)
        if np.all(np.linalg.norm(centres - new, axis=1) > APART):
            centres = np.vstack([centres, new])
    return centres
