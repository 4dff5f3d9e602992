"""How a cartoon face is painted: OpenCV's polygons at four times the size, then shrunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLE = 4
SHIFT = 4  # OpenCV draws at 1/16 pixel
SKINS = np.array([[255, 222, 196], [241, 194, 160], [214, 158, 116], [168, 112, 76], [104, 66, 46]])
HAIRS = np.array(
    [[38, 28, 24], [92, 58, 36], [150, 96, 48], [222, 184, 110], [178, 66, 38], [186, 186, 190]]
)
IRISES = np.array([[84, 54, 34], [52, 104, 168], [70, 128, 74], [120, 120, 126]])

Place = Callable[..., np.ndarray]
"""Points [m, 2] on the head (and their depth [m], else on its skin) to the unit frame, [m, 2]."""


@dataclass(frozen=True)
class Look:
    """A person's colours [3] in 0 to 255, and what is on the head.

    Args:
        long, fringe, bald: of the hair: how far it falls, how low it starts, none on top.
        beard: from 0 to 1; glasses: whether there are any.
        seed: of the background's spots.
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    cloth: np.ndarray
    wall: tuple[np.ndarray, np.ndarray]
    long: float
    fringe: float
    bald: bool
    beard: float
    glasses: bool
    brows: float
    seed: int


def choose_look(rng: np.random.Generator) -> Look:
    """A person's colours, hair and glasses, and what is behind them."""
    skin = mix(SKINS, rng)
    return Look(
        skin=skin,
        hair=mix(HAIRS, rng, 0.25),
        iris=IRISES[rng.integers(len(IRISES))].astype(float),
        lips=skin * np.array([0.86, 0.56, 0.56]) + np.array([16, 6, 10]) * rng.uniform(0, 1),
        cloth=rng.uniform(40, 230, 3),
        wall=(rng.uniform(60, 235, 3), rng.uniform(60, 235, 3)),
        long=rng.uniform(0.2, 1.0) if rng.random() < 0.55 else 0.0,
        fringe=rng.uniform(0.42, 0.72),
        bald=bool(rng.random() < 0.1),
        beard=rng.uniform(0.4, 1.0) if rng.random() < 0.2 else 0.0,
        glasses=bool(rng.random() < 0.2),
        brows=rng.uniform(0.05, 0.1),
        seed=int(rng.integers(2**31)),
    )


def mix(colours: np.ndarray, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """A colour between two neighbours of a list, [3] in 0 to 255."""
    at = rng.integers(len(colours) - 1) + spread * rng.random()
    low = int(at)
    return colours[low] + (at - low) * (colours[low + 1] - colours[low])


class Canvas:
    """A picture being painted.

    Args:
        size: side of the finished frame, in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.side = size * SUPERSAMPLE
        self.image = np.zeros((self.side, self.side, 3), np.uint8)

    def fixed(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit frame in OpenCV's fixed point."""
        return np.round((unit * self.side - 0.5) * 2**SHIFT).astype(np.int32)

    def polygon(self, unit: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> None:
        """Fill a polygon [m, 2] of the unit frame."""
        painted = self.image if opacity == 1 else self.image.copy()
        cv2.fillPoly(painted, [self.fixed(unit)], rgb(colour), cv2.LINE_AA, SHIFT)
        if opacity < 1:
            cv2.addWeighted(painted, opacity, self.image, 1 - opacity, 0, self.image)

    def line(self, unit: np.ndarray, colour: np.ndarray, width: float) -> None:
        """Draw a polyline [m, 2] of a width, both of the unit frame."""
        thick = max(1, round(width * self.side))
        cv2.polylines(self.image, [self.fixed(unit)], False, rgb(colour), thick, cv2.LINE_AA, SHIFT)

    def finish(self) -> np.ndarray:
        """The frame, [size, size, 3] uint8."""
        return cv2.resize(self.image, (self.size, self.size), interpolation=cv2.INTER_AREA)


def rgb(colour: np.ndarray) -> tuple[int, int, int]:
    """A colour as OpenCV takes it."""
    red, green, blue = np.clip(np.round(colour), 0, 255).astype(int).tolist()
    return red, green, blue


def ellipse(
    centre: np.ndarray | tuple[float, float], wide: float, high: float, count: int = 40
) -> np.ndarray:
    """[count, 2] points of an ellipse about `centre` (x, y)."""
    x, y = centre
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + wide * np.cos(angle), y + high * np.sin(angle)], -1)


def outline(height: float, jaw: float, grow: float = 0.0) -> np.ndarray:
    """[m, 2] the face's edge: a round skull that narrows to the chin."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    narrow = 1 - (1 - jaw) * np.clip(y, 0, 1) ** 2 * 0.75
    return np.stack([(1 + grow) * x * narrow, (height + grow) * y], -1)


def draw(
    look: Look,
    place: Place,
    points: np.ndarray,
    shape: tuple[float, float, float],
    scale: float,
    mood: tuple[float, float],
    gaze: np.ndarray,
    light: np.ndarray,
    size: int,
) -> np.ndarray:
    """Paint one frame.

    Args:
        place: from the head to the unit frame.
        points: [n, 3] the landmarks on the head.
        shape: half height of the face, the jaw's width, half the width of an eye.
        scale: half width of the face in the unit frame.
        mood: how far the mouth and the lids are open, from 0 to 1.
        gaze: [2] from -1 to 1.
        light: [2] where it is brighter.
        size: side of the frame in pixels.

    Returns:
        [size, size, 3] uint8.
    """
    height, jaw, eye = shape
    canvas = Canvas(size)
    paint_wall(canvas, look)
    edge = outline(height, jaw)
    flat = np.zeros(len(edge))  # the silhouette lies in the head's middle plane
    if look.long and not look.bald:
        fall = outline(height, 1.0, 0.24)
        fall[:, 1] += np.clip(fall[:, 1], 0, None) * 0.7 * look.long
        canvas.polygon(place(fall, flat - 0.3), look.hair * 0.82)
    neck = np.array([[-0.42, 0.6], [0.42, 0.6], [0.46, 2.1], [-0.46, 2.1]])
    canvas.polygon(place(neck, np.full(4, -0.3)), look.skin * 0.78)
    body = ellipse((0, 2.75), 1.9, 1.05)
    canvas.polygon(place(body, np.full(len(body), -0.3)), look.cloth)
    for ear in points[-2:]:
        ring = ellipse(ear[:2], 0.14, 0.26)
        canvas.polygon(place(ring, np.full(len(ring), ear[2])), look.skin * 0.9)
    if not look.bald:
        skull = outline(height, 1.0, 0.16)
        skull = skull[skull[:, 1] < 0.1]
        canvas.polygon(place(skull, np.zeros(len(skull))), look.hair)
    canvas.polygon(place(edge, flat), look.skin)
    if look.beard:
        paint_beard(canvas, look, place, points, edge)
    for cheek in (-0.52, 0.52):
        blush = look.skin * np.array([1.0, 0.82, 0.82]) + np.array([8, 0, 0])
        canvas.polygon(place(ellipse((cheek, 0.36), 0.2, 0.14)), blush, 0.4)
    paint_eyes(canvas, look, place, points, eye, mood[1], gaze, scale)
    paint_nose(canvas, look, place, points, scale)
    paint_mouth(canvas, look, place, points, mood[0], scale)
    for outer, inner in ((5, 6), (8, 7)):
        arch = (points[outer, :2] + points[inner, :2]) / 2 - np.array([0, 0.07])
        brow = np.stack([points[outer, :2], arch, points[inner, :2]])
        canvas.line(place(brow), look.hair * 0.7, look.brows * scale)
    if not look.bald:
        paint_fringe(canvas, look, place, height)
    if look.glasses:
        paint_glasses(canvas, place, points, eye, scale)
    return lit(canvas.finish(), light)


def paint_wall(canvas: Canvas, look: Look) -> None:
    """A background that fades from one colour to another, with soft spots."""
    steps = np.linspace(0, 1, canvas.side)[:, None, None]
    wall = look.wall[0] * (1 - steps) + look.wall[1] * steps
    canvas.image[:] = np.broadcast_to(wall, canvas.image.shape).astype(np.uint8)
    rng = np.random.default_rng(look.seed)
    for _ in range(4):
        spot = ellipse(rng.uniform(0, 1, 2), rng.uniform(0.06, 0.25), rng.uniform(0.06, 0.25))
        canvas.polygon(spot, rng.uniform(50, 240, 3), 0.35)


def paint_beard(
    canvas: Canvas, look: Look, place: Place, points: np.ndarray, edge: np.ndarray
) -> None:
    """What grows on the jaw."""
    low = edge[edge[:, 1] > 0.35]
    low = low[np.argsort(-low[:, 0])]
    inner = low[::-1] * np.array([0.72, 1.0]) - np.array([0, 0.26])
    canvas.polygon(place(np.concatenate([low, inner])), look.hair * 0.9, look.beard)
    above = points[9, :2]
    canvas.polygon(place(ellipse(above - np.array([0, 0.06]), 0.3, 0.06)), look.hair, look.beard)


def paint_eyes(
    canvas: Canvas,
    look: Look,
    place: Place,
    points: np.ndarray,
    eye: float,
    lids: float,
    gaze: np.ndarray,
    scale: float,
) -> None:
    """White, iris, pupil, glint and lid; the iris stays inside the lids."""
    for x, y, _ in points[:2]:
        high = eye * 0.62 * lids
        canvas.polygon(place(ellipse((x, y), eye * 1.18, eye * 0.8)), look.skin * 0.88, 0.6)
        white = ellipse((x, y), eye, high)
        canvas.polygon(place(white), np.array([248, 246, 242]))
        middle = np.array([x, y]) + gaze * np.array([0.28, 0.12]) * eye
        for share, colour in ((0.56, look.iris), (0.27, np.array([18, 16, 18]))):
            disc = ellipse(middle, eye * share, eye * share)
            disc[:, 1] = np.clip(disc[:, 1], y - high, y + high)
            canvas.polygon(place(disc), colour)
        if lids > 0.4:
            glint = middle + np.array([-0.14, -0.14]) * eye
            canvas.polygon(place(ellipse(glint, eye * 0.13, eye * 0.13)), np.full(3, 250.0))
        canvas.line(place(white[20:]), look.hair * 0.3, 0.045 * scale)


def paint_nose(canvas: Canvas, look: Look, place: Place, points: np.ndarray, scale: float) -> None:
    """A bridge in shade, and a tip that stands out, so that it moves as the head turns."""
    tip = points[2]
    shade = look.skin * 0.72
    bridge = np.array([[0.0, points[0, 1]], tip[:2]])
    depth = np.array([points[0, 2] + 0.1, tip[2]])
    canvas.line(place(bridge, depth), look.skin * 0.86, 0.08 * scale)
    ball = ellipse(tip[:2], 0.16, 0.12)
    canvas.polygon(place(ball, np.full(len(ball), tip[2])), look.skin * 0.9 + 14)
    wings = np.stack([tip[:2] + np.array([x, y]) for x, y in WINGS])
    canvas.line(place(wings, np.full(len(wings), tip[2] - 0.06)), shade, 0.05 * scale)


WINGS = ((-0.17, 0.02), (-0.12, 0.11), (0.0, 0.13), (0.12, 0.11), (0.17, 0.02))


def paint_mouth(
    canvas: Canvas, look: Look, place: Place, points: np.ndarray, opened: float, scale: float
) -> None:
    """Lips through the four landmarks; teeth and dark between them when open."""
    left, right, top, bottom = (points[i, :2] for i in (3, 4, 9, 10))
    upper, lower = curve(left, top, right), curve(left, bottom, right)
    canvas.polygon(place(np.concatenate([upper, lower[::-1]])), look.lips)
    middle = (left + right) / 2
    if opened > 0.08:
        inner = 0.35 + 0.35 * opened
        gap = [middle + inner * (line - middle) for line in (upper, lower)]
        canvas.polygon(place(np.concatenate([gap[0], gap[1][::-1]])), np.array([70, 22, 26]))
        teeth = gap[0] + np.array([0, 0.3]) * (gap[1] - gap[0])
        canvas.polygon(place(np.concatenate([gap[0], teeth[::-1]])), np.full(3, 244.0))
    else:
        seam = (upper + lower) / 2
        canvas.line(place(seam), look.lips * 0.55, 0.035 * scale)


def curve(start: np.ndarray, through: np.ndarray, end: np.ndarray, count: int = 17) -> np.ndarray:
    """[count, 2] of the parabola from one point through a middle one to another."""
    t = np.linspace(0, 1, count)[:, None]
    control = 2 * through - (start + end) / 2
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def paint_fringe(canvas: Canvas, look: Look, place: Place, height: float) -> None:
    """Hair over the forehead."""
    top = outline(height, 1.0, 0.08)
    top = top[top[:, 1] < -0.2]
    top = top[np.argsort(top[:, 0])]
    line = curve(top[-1], np.array([0.15, -height * look.fringe]), top[0])
    line[:, 1] = np.maximum(line[:, 1], -height)
    depth = np.sqrt(np.clip(1 - line[:, 0] ** 2, 0, 1)) * 0.6
    whole = np.concatenate([top, line])
    canvas.polygon(place(whole, np.concatenate([np.zeros(len(top)), depth])), look.hair)


def paint_glasses(
    canvas: Canvas, place: Place, points: np.ndarray, eye: float, scale: float
) -> None:
    """Two rings and a bridge, a little before the skin."""
    frame = np.array([32.0, 30, 34])
    for x, y, z in points[:2]:
        ring = ellipse((x, y), eye * 1.5, eye * 1.35)
        canvas.line(
            place(np.concatenate([ring, ring[:1]]), np.full(41, z + 0.1)), frame, 0.05 * scale
        )
    (x, y, z), (other, _, _) = points[0], points[1]
    bridge = np.array([[x + eye * 1.5, y], [other - eye * 1.5, y]])
    canvas.line(place(bridge, np.full(2, z + 0.12)), frame, 0.05 * scale)


def lit(frame: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A frame that is brighter towards `light` [2]."""
    steps = np.linspace(-1, 1, len(frame), dtype=np.float32)
    gain = 1 + 0.28 * (light[0] * steps + light[1] * steps[:, None])
    return np.clip(frame * gain[..., None] + 0.5, 0, 255).astype(np.uint8)
