"""The traffic world's place: its camera, road, verges, trees and a lamp post, always the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Lane:
    """A lane: its middle's y in metres, and 1 if traffic runs along x, else -1."""

    y: float
    heading: int


LANES = (Lane(-5.3, 1), Lane(-1.8, 1), Lane(1.8, -1), Lane(5.3, -1))
EDGE = 7.3  # half the road's width
REACH = 26.0  # metres from the middle at which a vehicle is out of sight for certain
SUN = np.array([-0.35, 0.42, 0.84])  # unit vector towards it, so shadows fall right and near
SUPERSAMPLE = 4

TARGET = np.array([0.0, 0.6, 0.0])
DISTANCE, PITCH, YAW = 38.0, np.radians(40), np.radians(-22)
VIEW = 25.0  # metres across the picture at the target

# (x, y, height of the crown's middle, radius) in metres.
TREES = (
    (-13.5, 11.2, 2.4, 2.3), (-8.0, 13.0, 2.6, 2.7), (-2.4, 12.0, 2.0, 1.9), (3.5, 14.4, 2.6, 2.6),
    (15.5, 10.6, 2.2, 2.1), (-7.5, 18.0, 2.6, 2.8), (-1.5, 18.5, 2.6, 2.9), (-14.0, 17.0, 2.6, 2.6),
    (10.5, -11.6, 0.6, 1.0), (5.6, -10.4, 0.5, 0.8),
)  # fmt: skip
NEAR_TREES = ((-5.6, -9.2, 3.3, 1.8),)
POST = (5.4, -8.3, 7.0)  # x, y and height of the lamp post; its arm reaches over the road
ARM = 4.2


class Camera:
    """A pinhole camera over the road, for square pictures of `size` pixels."""

    def __init__(self, size: int):
        self.size = size
        forward = np.array(
            [np.sin(YAW) * np.cos(PITCH), np.cos(YAW) * np.cos(PITCH), -np.sin(PITCH)]
        )
        right = np.array([np.cos(YAW), -np.sin(YAW), 0])
        self.axes = np.stack([right, np.cross(forward, right), forward])  # right, down, forward
        self.place = TARGET - DISTANCE * forward
        self.focal = DISTANCE / VIEW * size

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Metres before the camera of points [..., 3]."""
        return (points - self.place) @ self.axes[2]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] in metres to pixels [..., 2]."""
        seen = (points - self.place) @ self.axes.T
        return seen[..., :2] / seen[..., 2:] * self.focal + (self.size - 1) / 2

    def faces(self, direction: np.ndarray) -> bool:
        """Whether a step in this direction brings one nearer to the camera."""
        return bool(direction @ self.axes[2] < 0)

    def ground(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each supersampled pixel meets the road's plane: x and y [h * s, w * s]."""
        x, y = pixel_grid(self.size)
        centre = (self.size - 1) / 2
        ray = (
            ((x - centre) / self.focal)[..., None] * self.axes[0]
            + ((y - centre) / self.focal)[..., None] * self.axes[1]
            + self.axes[2]
        )
        far = -self.place[2] / ray[..., 2]
        return self.place[0] + far * ray[..., 0], self.place[1] + far * ray[..., 1]


def pixel_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Supersampled pixel coordinates x and y, [size * s, size * s]."""
    axis = (np.arange(size * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - 0.5
    x, y = np.meshgrid(axis, axis)
    return x, y


def average(image: np.ndarray) -> np.ndarray:
    """Supersampled [h * s, w * s, c] to [h, w, c]."""
    s = SUPERSAMPLE
    return image.reshape(len(image) // s, s, -1, s, image.shape[-1]).mean((1, 3))


def texture(x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """A smooth, fixed, irregular pattern in about [-1, 1]; features of `scale` metres."""
    total = np.zeros_like(x)
    for i in range(1, 6):
        angle, rate = 2.4 * i, (0.7 + 0.31 * i) / scale
        total += np.sin((x * np.cos(angle) + y * np.sin(angle)) * rate * 2 + 1.7 * i)
    return total / 3


@lru_cache(maxsize=4)
def paint_background(size: int) -> np.ndarray:
    """The empty place, [h, w, 3] in [0, 1]."""
    camera = Camera(size)
    x, y = camera.ground()
    grass = np.array([0.36, 0.54, 0.24]) * (1 + 0.10 * texture(x, y, 1.4))[..., None]
    asphalt = np.array([0.40, 0.41, 0.43]) * (1 + 0.035 * texture(x, y, 2.2))[..., None]
    # Tyres polish two tracks in each lane.
    for lane in LANES:
        for side in (-0.85, 0.85):
            asphalt -= 0.02 * np.exp(-(((y - lane.y - side) / 0.35) ** 2))[..., None]
    image = np.where((np.abs(y) < EDGE)[..., None], asphalt, grass)
    kerb = np.abs(np.abs(y) - EDGE - 0.25) < 0.25
    path = (y > EDGE + 0.5) & (y < EDGE + 2.2)
    image[path] = (
        np.array([0.70, 0.66, 0.60]) - 0.05 * (np.abs((x[path] % 1.6) - 0.8) > 0.72)[:, None]
    )
    image[kerb] = [0.74, 0.73, 0.71]
    white = np.array([0.88, 0.88, 0.86])
    dashes = (np.abs(np.abs(y) - 3.55) < 0.09) & (x % 5.0 < 2.4)
    image[dashes | (np.abs(np.abs(y) - 6.95) < 0.08)] = white
    image[np.abs(np.abs(y) - 0.17) < 0.09] = [0.92, 0.74, 0.22]

    for tree in TREES + NEAR_TREES:
        reach = -SUN[:2] / SUN[2] * tree[2]
        away = np.hypot(x - tree[0] - reach[0], y - tree[1] - reach[1]) / tree[3]
        image *= 1 - 0.42 * np.clip((1.1 - away) / 0.25, 0, 1)[..., None]
    for tree in sorted(TREES, key=lambda tree: -tree[1]):
        colour, alpha = crown(camera, tree)
        image = image * (1 - alpha[..., None]) + colour * alpha[..., None]
    return average(image)


def crown(camera: Camera, tree: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A tree's or bush's crown, lit from the sun: colour [h, w, 3] and alpha [h, w]."""
    px, py = pixel_grid(camera.size)
    middle = np.array(tree[:3])
    centre = camera.project(middle)
    radius = tree[3] * camera.focal / camera.depth(middle)
    dx, dy = (px - centre[0]) / radius, (py - centre[1]) / radius
    angle = np.arctan2(dy, dx)
    edge = 1 + 0.07 * np.sin(7 * angle + tree[0]) + 0.05 * np.sin(11 * angle + 2 * tree[1])
    away = np.hypot(dx, dy) / edge
    height = np.sqrt(np.clip(1 - away**2, 0, 1))
    sun = camera.axes @ SUN
    facing = np.clip(dx * sun[0] + dy * sun[1] - height * sun[2], 0, 1)
    leaves = 1 + 0.16 * texture(dx * 3 + tree[0], dy * 3 + tree[1], 1.1)
    colour = np.array([0.17, 0.40, 0.14]) * ((0.55 + 0.85 * facing) * leaves)[..., None]
    return colour, (away < 1).astype(float)


@lru_cache(maxsize=4)
def paint_front(size: int) -> np.ndarray:
    """What stands before the traffic: a tree and a lamp post, [h, w, 4] in [0, 1]."""
    camera = Camera(size)
    px, py = pixel_grid(camera.size)
    image = np.zeros((*px.shape, 4))
    thick = camera.focal / camera.depth(np.array([POST[0], POST[1], 3.0]))
    foot, top = np.array([*POST[:2], 0.0]), np.array(POST)
    tip = top + np.array([0, ARM, 0.4])
    for start, end, width in (
        (foot, top, 0.16),
        (top, tip, 0.13),
        (tip - np.array([0, 0.9, 0]), tip, 0.3),
    ):
        a, b = camera.project(start), camera.project(end)
        share = ((px - a[0]) * (b - a)[0] + (py - a[1]) * (b - a)[1]) / ((b - a) ** 2).sum()
        share = np.clip(share, 0, 1)
        away = np.hypot(px - a[0] - share * (b - a)[0], py - a[1] - share * (b - a)[1])
        image[away < width * thick] = [0.55, 0.57, 0.60, 1]
    for tree in NEAR_TREES:
        colour, alpha = crown(camera, tree)
        image[alpha > 0] = np.dstack([colour, alpha])[alpha > 0]
    image[..., :3] *= image[..., 3:]
    small = average(image)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return small
