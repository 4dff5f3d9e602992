"""Marbles: of many sizes, rolling straight on, the nearer ones over the farther ones."""

from __future__ import annotations

import numpy as np

from data.videos import Video
from data.worlds.billiards import COLOURS, balls
from data.worlds.drawing import render, to_pixels

FEWEST, MOST = 3, 7
SMALLEST, LARGEST = 2.5 / 64, 10.0 / 64  # radii, of the frame's side, as everything below
SLOWEST, FASTEST = 0.7 / 64, 1.6 / 64  # a frame
TILES = 4  # of the floor, along a side
STONE = np.array([0.36, 0.37, 0.40])
GROUT = 0.5 / 64  # half the width of a joint


def simulate(frames: int, size: int, rng: np.random.Generator) -> Video:
    """3 to 7 marbles for `frames` frames of `size` x `size` pixels.

    They turn back at the frame's edges and pass before one another; nothing collides. The first
    row of the truth is the nearest, the last the farthest.
    """
    count = int(rng.integers(FEWEST, MOST + 1))
    radii, colours = choose(count, rng)
    position = move(frames, *place(radii, rng), radii)
    return draw(position, radii, colours, size)


def crossing(
    frames: int,
    size: int,
    rng: np.random.Generator,
    radii: np.ndarray | None = None,
    colours: np.ndarray | None = None,
    nearer: int | None = None,
) -> tuple[Video, np.ndarray]:
    """Two marbles that come from apart, pass one before the other midway, and part again.

    Args:
        frames: of 40 frames, the marbles move as fast as those of `simulate`.
        radii: [2] of the frame's side, at most LARGEST; None: random.
        colours: [2, 3] in [0, 1]; None: random, two of COLOURS.
        nearer: row of the nearer marble, 0 or 1; None: random. The motion does not depend on it.

    Returns:
        The video, and the rows of its truth from the nearer to the farther, [2].
    """
    some = choose(2, rng)
    radii = some[0] if radii is None else np.asarray(radii)
    colours = some[1] if colours is None else np.asarray(colours)
    first = int(rng.integers(2))
    order = np.array([0, 1]) if (first if nearer is None else nearer) == 0 else np.array([1, 0])
    # Midway the centres are less than the smaller radius apart, near the middle of the frame.
    midway = 0.5 + rng.uniform(-0.04, 0.04, 2) + rng.uniform(-0.5, 0.5, (2, 2)) * radii.min() / 2
    # At a right angle or more the marbles are apart at both ends, even the largest.
    angle = rng.uniform(0, 2 * np.pi) + np.array([0, rng.uniform(np.pi / 2, 3 * np.pi / 2)])
    way = (0.42 - radii)[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    position = midway + np.linspace(-1, 1, frames)[:, None, None] * way
    return draw(position, radii, colours, size, order), order


def choose(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Radii [n], log-uniform, and colours [n, 3], no two the same."""
    radii = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), count))
    return radii, COLOURS[rng.permutation(len(COLOURS))[:count]]


def place(radii: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Start positions and velocities [n, 2] of marbles that cover at most half of one another."""
    count = len(radii)
    # A circle whose centre lies outside another, larger one is covered by less than a half.
    least = np.maximum(radii[:, None], radii) * ~np.eye(count, dtype=bool)
    while True:
        position = rng.uniform(radii[:, None], 1 - radii[:, None], (count, 2))
        if np.all(np.linalg.norm(position[:, None] - position, axis=-1) >= least):
            break
    angle, speed = rng.uniform(0, 2 * np.pi, count), rng.uniform(SLOWEST, FASTEST, count)
    return position, speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def move(frames: int, position: np.ndarray, velocity: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Positions [t, n, 2] at each frame, reflected at the frame's edges."""
    low, span = radii[:, None], 1 - 2 * radii[:, None]
    # Between mirrors a straight way is a zigzag: fold it at every whole number of spans.
    straight = position - low + velocity * np.arange(frames)[:, None, None]
    return low + span - np.abs(straight % (2 * span) - span)


def floor(size: int) -> np.ndarray:
    """The empty floor, [h, w, 3] in [0, 1]: stone tiles, each of its own shade, with veins."""
    scale = 4
    axis = (np.arange(size * scale) + 0.5) / (size * scale)
    x, y = np.meshgrid(axis, axis)
    own = np.random.default_rng(7)  # one floor for all videos
    tile = own.uniform(-1, 1, (TILES, TILES, 2))[(y * TILES).astype(int), (x * TILES).astype(int)]
    # Veins: waves across the tiles, bent by longer waves, in another place on each tile.
    u, v = x + 3 * tile[..., 0], y + 3 * tile[..., 1]
    bend = 0.12 * np.sin(11 * u + 7 * v) + 0.07 * np.sin(19 * v - 13 * u)
    vein = np.exp(-12 * np.abs(np.sin(np.pi * (2.2 * u + 1.4 * v + 2 * bend))))
    cloud = np.sin(23 * u + 9 * np.sin(8 * v)) * np.sin(17 * v + 5 * np.sin(11 * u))
    glow = 1.08 - 0.4 * ((x - 0.4) ** 2 + (y - 0.38) ** 2)
    tone = glow * (1 + 0.09 * tile[..., 0] + 0.05 * cloud + 0.28 * vein)
    joint = np.minimum(*(0.5 - np.abs(part * TILES % 1 - 0.5) for part in (x, y))) / TILES
    tone = np.where(joint < GROUT, 0.55 * glow, tone)
    image = STONE * tone[..., None]
    return image.reshape(size, scale, size, scale, 3).mean((1, 3))


def draw(
    position: np.ndarray,
    radii: np.ndarray,
    colours: np.ndarray,
    size: int,
    order: np.ndarray | None = None,
) -> Video:
    """Marbles at [t, n, 2] as shaded spheres; `order` as for `balls`."""
    centre = to_pixels(position, size)
    background = floor(size)
    frames, truth = render(
        centre, lambda part: balls(centre[part], colours, radii * size, background, order)
    )
    return Video("marbles", frames, truth=truth)
