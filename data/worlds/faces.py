"""Faces: cartoon heads that turn, tilt, talk and blink; each video is another person.

A landmark is a point of the head in three dimensions, in half widths of the face: x to the right of
the picture, y down, z to the camera. What is drawn and what is told as truth come from the same
projected points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.videos import Truth, Video
from data.worlds.drawing import to_pixels
from data.worlds.faces_drawing import Look, choose_look, draw

LANDMARKS = (
    *("left eye", "right eye", "nose", "left mouth corner", "right mouth corner"),
    *("left brow, outer end", "left brow, inner end"),
    *("right brow, inner end", "right brow, outer end"),
    *("upper lip", "lower lip", "chin", "left ear", "right ear"),
)
"""The first five are those of CelebA, in its order; left is left in the picture."""
TURN, NOD, TILT = 0.6, 0.3, 0.3  # radians, the most either way
SIZES = (0.24, 0.33)  # half width of a face, of the frame's side
WANDER = 0.08  # of the centre, of the frame's side
SLOWEST, FASTEST = 60.0, 14.0  # frames of one swing
RADIUS = 0.18  # of a landmark, in half widths of the face


@dataclass(frozen=True)
class Head:
    """A person's shape, in half widths of the face.

    Args:
        height: half height of the skull and jaw.
        jaw: half width of the chin, over the face's.
        eye: (x, y) of the right eye, and half its width.
        nose: y of its tip, and how far it stands out.
        mouth: y, and half its width at rest.
        brow: y above the eye.
    """

    height: float
    jaw: float
    eye: tuple[float, float, float]
    nose: tuple[float, float]
    mouth: tuple[float, float]
    brow: float


@dataclass(frozen=True)
class Motion:
    """How a head is held over t frames.

    Args:
        turn, nod, tilt: [t] radians, about the vertical axis, the horizontal one, in the picture.
        centre: [t, 2] of the frame's side; size: [t] half width of the face, of it too.
        smile: [t] from -1 to 1; open: [t] from 0 to 1, the mouth; lids: [t] from 0 to 1, open.
        raised: [t] from -1 to 1, the brows; gaze: [t, 2] from -1 to 1.
        light: [t, 2] where it is brighter, about unit length.
    """

    turn: np.ndarray
    nod: np.ndarray
    tilt: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    smile: np.ndarray
    open: np.ndarray
    lids: np.ndarray
    raised: np.ndarray
    gaze: np.ndarray
    light: np.ndarray


def simulate(frames: int, size: int, rng: np.random.Generator) -> Video:
    """One person for `frames` frames of `size` x `size` pixels."""
    look, head = choose_look(rng), choose_head(rng)
    motion = move(frames, rng)
    points = landmarks(head, motion)  # (t, n, 3), of the head itself
    turned = turn(points, motion)
    unit = motion.centre[:, None] + motion.size[:, None, None] * turned[..., :2]
    position = to_pixels(unit, size)
    still = [frame(look, head, motion, t, points[t], size) for t in range(frames)]
    inside = ((unit >= 0) & (unit < 1)).all(-1)
    # An ear on the far side of a turned head is behind it.
    behind = turned[..., 2] < -0.25
    radius = np.repeat(RADIUS * motion.size[:, None] * size, len(LANDMARKS), 1)
    truth = Truth(position.astype(np.float32), inside & ~behind, radius.astype(np.float32))
    return Video("faces", np.stack(still), truth=truth)


def choose_head(rng: np.random.Generator) -> Head:
    """A person's shape."""
    return Head(
        height=rng.uniform(1.2, 1.45),
        jaw=rng.uniform(0.42, 0.7),
        eye=(rng.uniform(0.38, 0.48), rng.uniform(-0.22, -0.08), rng.uniform(0.15, 0.21)),
        nose=(rng.uniform(0.24, 0.4), rng.uniform(0.18, 0.34)),
        mouth=(rng.uniform(0.66, 0.78), rng.uniform(0.26, 0.38)),
        brow=rng.uniform(0.27, 0.38),
    )


def move(frames: int, rng: np.random.Generator) -> Motion:
    """A person's motion: slow swings about a pose of their own."""

    def swing(count: int = 1) -> np.ndarray:
        """[t, count] in [-1, 1]."""
        time = np.arange(frames)[:, None]
        period = rng.uniform(FASTEST, SLOWEST, (2, count))
        phase = rng.uniform(0, 2 * np.pi, (2, count))
        waves = np.sin(2 * np.pi * time / period[:, None] + phase[:, None])  # (2, t, count)
        rest = rng.uniform(-0.5, 0.5, count)
        return rest + 0.5 * (0.6 * waves[0] + 0.4 * waves[1])

    lit = swing()[:, 0] * np.pi - np.pi / 2
    return Motion(
        turn=TURN * swing()[:, 0],
        nod=NOD * swing()[:, 0],
        tilt=TILT * swing()[:, 0],
        centre=np.array([0.5, 0.52]) + WANDER * swing(2),
        size=rng.uniform(*SIZES) * (1 + 0.08 * swing()[:, 0]),
        smile=swing()[:, 0],
        open=np.clip(1.5 * swing()[:, 0], 0, 1),
        lids=np.clip(1.2 + 1.4 * swing()[:, 0], 0.1, 1),
        raised=swing()[:, 0],
        gaze=swing(2),
        light=np.stack([np.cos(lit), np.sin(lit)], -1),
    )


def skin(x: np.ndarray, y: np.ndarray, height: float) -> np.ndarray:
    """The depth z of the face's surface at (x, y)."""
    return 0.9 * np.sqrt(np.clip(1 - x**2 - (y / height) ** 2, 0, 1))


def landmarks(head: Head, motion: Motion) -> np.ndarray:
    """The points of LANDMARKS before the head is turned, [t, n, 3]."""
    t = len(motion.turn)
    zero = np.zeros(t)
    x, y, _ = head.eye
    wide = head.mouth[1] * (1 + 0.22 * motion.smile - 0.15 * motion.open)
    corner = head.mouth[0] - 0.1 * motion.smile
    lift = y - head.brow - 0.07 * motion.raised
    slant = 0.05 * motion.raised
    upper = head.mouth[0] - 0.05 - 0.03 * motion.open
    lower = head.mouth[0] + 0.08 + 0.03 * motion.smile + 0.2 * motion.open
    chin = head.height * 0.95 + 0.05 * motion.open
    flat = [
        (zero - x, zero + y),
        (zero + x, zero + y),
        (zero, zero + head.nose[0]),
        (-wide, corner),
        (wide, corner),
        (zero - x - 0.24, lift + 0.06 + slant),
        (zero - x + 0.2, lift),
        (zero + x - 0.2, lift),
        (zero + x + 0.24, lift + 0.06 + slant),
        (zero, upper),
        (zero, lower),
        (zero, chin),
        (zero - 1.0, zero + 0.1),
        (zero + 1.0, zero + 0.1),
    ]
    place = np.stack([np.stack(point, -1) for point in flat], 1)  # (t, n, 2)
    depth = skin(place[..., 0], place[..., 1], head.height)
    depth[:, 2] += head.nose[1]
    depth[:, -2:] = -0.05
    return np.concatenate([place, depth[..., None]], -1)


def turn(points: np.ndarray, motion: Motion) -> np.ndarray:
    """Points [t, n, 3] of the head as it is held; (x, y) are those of the picture."""
    x, y, z = np.moveaxis(points, -1, 0)
    a, b, c = (angle[:, None] for angle in (motion.turn, motion.nod, motion.tilt))
    x, z = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
    y, z = y * np.cos(b) + z * np.sin(b), z * np.cos(b) - y * np.sin(b)
    return np.stack([x * np.cos(c) - y * np.sin(c), x * np.sin(c) + y * np.cos(c), z], -1)


def frame(
    look: Look, head: Head, motion: Motion, t: int, points: np.ndarray, size: int
) -> np.ndarray:
    """Draw one frame, [size, size, 3] uint8; `points` [n, 3] are its landmarks on the head."""
    one = Motion(**{name: value[t : t + 1] for name, value in vars(motion).items()})

    def place(flat: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
        """Points [m, 2] on the head, on its skin unless their depth is given, in the unit frame."""
        z = skin(flat[:, 0], flat[:, 1], head.height) if depth is None else depth
        turned = turn(np.concatenate([flat, z[:, None]], -1)[None], one)[0]
        return motion.centre[t] + motion.size[t] * turned[:, :2]

    return draw(
        look,
        place,
        points,
        shape=(head.height, head.jaw, head.eye[2]),
        scale=float(motion.size[t]),
        mood=(float(motion.open[t]), float(motion.lids[t])),
        gaze=motion.gaze[t],
        light=motion.light[t],
        size=size,
    )
