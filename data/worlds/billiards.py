"""Billiards: equal elastic balls in a box, moved exactly from collision to collision."""

from __future__ import annotations

import numpy as np

from data.videos import Video
from data.worlds.drawing import Layers, render, to_pixels

RADIUS = 5.0 / 64  # of the frame's side, as everything below
BORDER = 2.5 / 64
SLOWEST, FASTEST = 1.15 / 64, 1.95 / 64  # a frame
MOST = 18  # balls that find room
TRIES = 2000  # to place them, before all are taken off the table again
FELT = np.array([0.11, 0.42, 0.34])
WOOD = np.array([0.42, 0.25, 0.14])
COLOURS = np.array(
    [
        [0.90, 0.13, 0.15],
        [0.98, 0.80, 0.12],
        [0.16, 0.38, 0.95],
        [0.98, 0.50, 0.10],
        [0.62, 0.22, 0.85],
        [0.96, 0.95, 0.90],
        [0.10, 0.80, 0.92],
        [0.98, 0.42, 0.68],
    ]
)
LIGHT = np.array([-0.42, -0.55, 0.72])


def simulate(frames: int, size: int, rng: np.random.Generator, count: int = 0) -> Video:
    """Balls for `frames` frames of `size` x `size` pixels: 3 to 6, or `count`, at most MOST.

    With more balls than COLOURS, some are alike.
    """
    count = count or int(rng.integers(3, 7))
    colours = COLOURS[rng.permutation(len(COLOURS))[np.arange(count) % len(COLOURS)]]
    position, _ = move(frames, *place(count, rng))
    return draw(position, colours, size)


def place(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Start positions and velocities [n, 2] of balls that do not touch, in unit coordinates."""
    low, high = BORDER + RADIUS, 1 - BORDER - RADIUS
    position = np.empty((0, 2))
    tries = 0
    while len(position) < count:
        new = rng.uniform(low, high, 2)
        tries += 1
        if np.all(np.linalg.norm(position - new, axis=1) >= 2.1 * RADIUS):
            position = np.vstack([position, new])
        elif tries > TRIES:  # no room is left: begin again
            position, tries = np.empty((0, 2)), 0
    angle, speed = rng.uniform(0, 2 * np.pi, count), rng.uniform(SLOWEST, FASTEST, count)
    return position, speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def move(frames: int, position: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities [t, n, 2] at each frame, a unit of time apart."""
    position, velocity = position.copy(), velocity.copy()
    positions, velocities, now = [position.copy()], [velocity.copy()], 0.0
    while len(positions) < frames:
        wait, first, second = next_collision(position, velocity)
        if now + wait >= len(positions):  # the frame comes before the collision
            position += velocity * (len(positions) - now)
            now = float(len(positions))
            positions.append(position.copy())
            velocities.append(velocity.copy())
            continue
        position += velocity * wait
        now += wait
        if second < 0:  # a wall: `second` is -1 for one that stops x, -2 for y
            velocity[first, -1 - second] *= -1
        else:  # equal masses exchange their velocities along the line of centres
            normal = position[first] - position[second]
            normal /= np.linalg.norm(normal)
            exchange = ((velocity[first] - velocity[second]) @ normal) * normal
            velocity[first] -= exchange
            velocity[second] += exchange
    return np.stack(positions[:frames]), np.stack(velocities[:frames])


def next_collision(position: np.ndarray, velocity: np.ndarray) -> tuple[float, int, int]:
    """Time until the first collision, the ball, and the other ball (or -1 - axis, a wall)."""
    low, high = BORDER + RADIUS, 1 - BORDER - RADIUS
    target = np.where(velocity > 0, high, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        wall = np.where(velocity != 0, (target - position) / velocity, np.inf).clip(0)
    ball, axis = np.unravel_index(np.argmin(wall), wall.shape)
    # |d + v t| = 2 r for each pair that approaches.
    i, j = np.triu_indices(len(position), 1)
    apart, speed = position[i] - position[j], velocity[i] - velocity[j]
    b = (apart * speed).sum(-1)
    a = (speed**2).sum(-1)
    root = b**2 - a * ((apart**2).sum(-1) - 4 * RADIUS**2)
    meets = (b < 0) & (root > 0)
    pair = np.full(len(i), np.inf)
    pair[meets] = ((-b[meets] - np.sqrt(root[meets])) / a[meets]).clip(0)
    first = int(np.argmin(pair)) if len(pair) else 0
    if len(pair) and pair[first] < wall[ball, axis]:
        return float(pair[first]), int(i[first]), int(j[first])
    return float(wall[ball, axis]), int(ball), -1 - int(axis)


def table(size: int) -> np.ndarray:
    """The empty table, [h, w, 3] in [0, 1]: felt, lit from above, and a wooden border."""
    scale = 4
    axis = (np.arange(size * scale) + 0.5) / (size * scale)
    x, y = axis[None, :], axis[:, None]
    glow = 1.12 - 0.5 * ((x - 0.45) ** 2 + (y - 0.42) ** 2)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    # The cushion throws a soft shadow on the felt at its upper and left sides.
    shadow = 1 - 0.35 * np.exp(-np.clip(np.minimum(x, y) - BORDER, 0, None) * 60)
    felt = FELT * (glow * shadow)[..., None]
    bevel = 1.15 - 0.45 * np.clip(edge / BORDER, 0, 1)
    image = np.where((edge < BORDER)[..., None], WOOD * bevel[..., None], felt)
    return image.reshape(size, scale, size, scale, 3).mean((1, 3))


def draw(position: np.ndarray, colours: np.ndarray, size: int) -> Video:
    """The balls [t, n, 2] as shaded spheres on the table."""
    centre = to_pixels(position, size)
    background = table(size)
    frames, truth = render(
        centre, lambda part: balls(centre[part], colours, RADIUS * size, background)
    )
    return Video("billiards", frames, truth=truth)


def balls(
    centre: np.ndarray,
    colours: np.ndarray,
    radii: float | np.ndarray,
    background: np.ndarray,
    order: np.ndarray | None = None,
) -> Layers:
    """Shaded spheres and their shadows.

    Args:
        centre: [t, n, 2] pixels.
        colours: [n, 3] in [0, 1].
        radii: pixels, one for all or [n].
        background: [h, w, 3] in [0, 1].
        order: [n] rows from the nearest to the farthest; None: as they come.
    """
    t, n = centre.shape[:2]
    radii = np.broadcast_to(radii, n)
    sides = np.ceil(2.8 * radii).astype(int) + 2  # the shadow reaches beyond the ball
    times = np.arange(t)
    layers = Layers(background, t, n, margin=int(sides.max()))
    for ball in range(n) if order is None else order:
        radius, side = radii[ball], sides[ball]
        corner = np.round(centre[:, ball] - (side - 1) / 2).astype(int)
        offset = corner - centre[:, ball]
        dx = ((offset[:, :1] + np.arange(side)) / radius)[:, None, :]  # [t, 1, s]
        dy = ((offset[:, 1:] + np.arange(side)) / radius)[:, :, None]
        distance = np.sqrt(dx**2 + dy**2)
        alpha = np.clip((1 - distance) * radius + 0.5, 0, 1)
        height = np.sqrt(np.clip(1 - distance**2, 0, 1))
        facing = dx * LIGHT[0] + dy * LIGHT[1] + height * LIGHT[2]
        shine = np.clip(2 * facing * height - LIGHT[2], 0, 1) ** 14
        tone = 0.42 + 0.68 * np.clip(facing, 0, 1)
        colour = tone[..., None] * colours[ball] + 0.75 * shine[..., None]
        layers.add(ball, times, corner, np.clip(colour, 0, 1), alpha)
        away = np.sqrt((dx - 0.22) ** 2 + (dy - 0.28) ** 2)
        layers.shade(times, corner, 0.5 * np.clip((1.12 - away) / 0.35, 0, 1))
    return layers
