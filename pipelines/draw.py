"""Drawing on uint8 frames: particles with their tracks, boxes, captions and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dlp.particles import LIVE, Particles, to_pixels

# Each next colour is the one farthest from those before it in CIE Lab, among the bright and
# saturated ones, so that a scene of few particles gets the clearest colours.
PALETTE = np.array(
    [
        *[(255, 90, 60), (0, 255, 0), (180, 0, 255), (0, 210, 255), (120, 135, 30)],
        *[(165, 90, 150), (45, 255, 180), (0, 120, 255), (255, 225, 0), (255, 15, 195)],
        *[(0, 135, 105), (255, 195, 135), (165, 240, 90), (225, 30, 105), (255, 150, 0)],
        *[(210, 120, 255), (165, 180, 255), (255, 150, 165), (0, 150, 30), (195, 225, 150)],
        *[(165, 105, 30), (90, 240, 225), (0, 240, 105), (30, 120, 180)],
    ],
    dtype=np.uint8,
)

_SHIFT = 4  # OpenCV draws at 1/16 pixel
Colour = tuple[int, int, int]


def colour_of(identity: int) -> Colour:
    """The colour of particle row `identity`; rows 24 apart share one."""
    red, green, blue = PALETTE[identity % len(PALETTE)].tolist()
    return red, green, blue


def in_pixels(
    particles: Particles, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is drawn of a set of particles, as arrays in pixels.

    Returns:
        position [..., k, 2] (x, y) in pixels, transparency [..., k] in [0, 1],
        deviation [..., k, 2], the position's standard deviation in pixels.
    """
    half_side = particles.position.new_tensor([width, height]) / 2
    deviation = (particles.log_variance / 2).exp() * half_side
    position = to_pixels(particles.position, height, width)
    return _array(position), _array(particles.transparency), _array(deviation)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def enlarge(frame: np.ndarray, factor: int) -> np.ndarray:
    """Upscale a uint8 frame [h, w, 3] by a whole factor >= 1, smoothly."""
    if factor == 1:
        return frame.copy()
    return cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def dim(frame: np.ndarray, strength: float = 0.35) -> np.ndarray:
    """Darken a uint8 frame by `strength` in [0, 1], so that what is drawn on it stands out."""
    return cv2.convertScaleAbs(frame, alpha=1 - strength)


def draw_particles(
    frame: np.ndarray,
    position: np.ndarray,
    transparency: np.ndarray,
    *,
    factor: int = 1,
    identity: np.ndarray | None = None,
    deviation: np.ndarray | None = None,
    trail: np.ndarray | None = None,
    radius: float = 2.0,
) -> np.ndarray:
    """Rings at the live particles, in the colour of their identity, as opaque as they are.

    Args:
        frame: [h * factor, w * factor, 3] uint8, already enlarged; left as it is.
        position: [k, 2] (x, y) in pixels of the frame before it was enlarged. Rows that are not
            finite are passed over.
        transparency: [k] in [0, 1]; below `LIVE` a particle is not drawn.
        factor: how much the frame was enlarged.
        identity: [k] ints that choose the colours, by default the row; below 0 there is none,
            and nothing is drawn.
        deviation: [k, 2] standard deviations in pixels; a thin white ellipse shows two of them.
        trail: [t, k, 2] positions up to and with now, oldest first; drawn as a fading tail,
            interrupted where not finite.
        radius: of the ring, in pixels before enlargement.

    Returns:
        [h * factor, w * factor, 3] uint8, a new frame.
    """
    canvas = np.ascontiguousarray(frame).copy()
    identity = np.arange(len(position)) if identity is None else identity
    rows = _drawable(position, transparency, identity)
    weight = max(1, round(factor / 3))
    if trail is not None:
        for row in rows:
            _tail(canvas, (trail[:, row] + 0.5) * factor - 0.5, colour_of(identity[row]), weight)
    for row in rows:
        colour, opacity = colour_of(identity[row]), float(np.clip(transparency[row], 0, 1))
        centre = (position[row] + 0.5) * factor - 0.5
        ring = radius * factor
        if deviation is not None:
            axes = np.clip(2 * deviation[row] * factor, 1, 4 * max(canvas.shape[:2]))
            _blend(canvas, centre, axes.max() + 3, 0.5 * opacity, _ellipse(axes))
        _blend(
            canvas, centre, ring + weight + 3, 0.45 * opacity, _disc(ring, (0, 0, 0), weight + 2)
        )
        _blend(canvas, centre, ring + weight + 3, opacity, _disc(ring, colour, weight))
        _blend(canvas, centre, weight + 3, opacity, _disc(0.6 * weight, colour, cv2.FILLED))
    return canvas


def draw_tracks(
    frame: np.ndarray,
    trail: np.ndarray,
    transparency: np.ndarray,
    identity: np.ndarray,
    *,
    factor: int = 1,
    opacity: float = 1.0,
) -> np.ndarray:
    """Thin tracks that end in dots, all equally opaque: quick enough to draw very many.

    Args:
        frame: [h * factor, w * factor, 3] uint8, already enlarged; left as it is.
        trail: [t, k, 2] (x, y) in pixels before enlargement, up to and with now, oldest first;
            drawn from behind the last that is not finite. A particle whose place now is not
            finite is passed over.
        transparency: [k] in [0, 1]; below `LIVE` a particle is not drawn.
        identity: [k] ints that choose the colours; below 0 there is none, and nothing is drawn.
        factor: how much the frame was enlarged.
        opacity: of all that is drawn, in [0, 1].

    Returns:
        [h * factor, w * factor, 3] uint8, a new frame.
    """
    layer = np.ascontiguousarray(frame).copy()
    far = 4 * max(frame.shape[:2])  # OpenCV counts in 32 bits
    for row in _drawable(trail[-1], transparency, identity):
        colour, gaps = colour_of(identity[row]), np.flatnonzero(~np.isfinite(trail[:, row]).all(-1))
        points = trail[gaps[-1] + 1 if len(gaps) else 0 :, row]
        points = np.clip((points + 0.5) * factor - 0.5, -far, far)
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(layer, [fixed], False, colour, 1, cv2.LINE_AA, _SHIFT)
        _disc(max(1.5, 0.75 * factor), colour, cv2.FILLED)(layer, _fixed(points[-1]))
    return cv2.addWeighted(layer, opacity, frame, 1 - opacity, 0)


def _drawable(position: np.ndarray, transparency: np.ndarray, identity: np.ndarray) -> list[int]:
    """The rows that hold a live particle at a known place."""
    live = (transparency > LIVE) & (identity >= 0) & np.isfinite(position).all(-1)
    return [int(row) for row in np.flatnonzero(live)]


Paint = Callable[[np.ndarray, tuple[int, int]], object]


def _blend(
    canvas: np.ndarray, centre: np.ndarray, reach: float, opacity: float, paint: Paint
) -> None:
    """Paint on a copy of the square around the centre and mix it back in, in place."""
    height, width = canvas.shape[:2]
    x0, y0 = np.clip(np.floor(centre - reach), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(centre + reach) + 1, 0, (width, height)).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    region = canvas[y0:y1, x0:x1]
    layer = region.copy()
    paint(layer, _fixed(centre - (x0, y0)))
    canvas[y0:y1, x0:x1] = cv2.addWeighted(layer, opacity, region.copy(), 1 - opacity, 0)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.round(np.asarray(point, float) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _disc(radius: float, colour: Colour, weight: int) -> Paint:
    size = round(radius * (1 << _SHIFT))
    return lambda layer, at: cv2.circle(layer, at, size, colour, weight, cv2.LINE_AA, _SHIFT)


def _ellipse(axes: np.ndarray) -> Paint:
    size, colour = _fixed(axes), (255, 255, 255)
    return lambda layer, at: cv2.ellipse(layer, at, size, 0, 0, 360, colour, 1, cv2.LINE_AA, _SHIFT)


def _tail(canvas: np.ndarray, points: np.ndarray, colour: Colour, weight: int) -> None:
    """Segments from old and faint to new and bright, in place."""
    for age, (start, end) in enumerate(pairwise(points), start=1):
        if not np.isfinite([start, end]).all():
            continue
        middle, reach = (start + end) / 2, np.abs(end - start).max() / 2 + weight + 2
        step = _fixed((end - start) / 2)

        def segment(layer: np.ndarray, at: tuple[int, int], step: tuple[int, int] = step) -> None:
            ends = (at[0] - step[0], at[1] - step[1]), (at[0] + step[0], at[1] + step[1])
            cv2.line(layer, *ends, colour, weight + 1, cv2.LINE_AA, _SHIFT)

        _blend(canvas, middle, reach, 0.15 + 0.7 * age / len(points), segment)


def draw_boxes(
    frame: np.ndarray,
    boxes: np.ndarray,
    transparency: np.ndarray,
    *,
    factor: int = 1,
    identity: np.ndarray | None = None,
) -> np.ndarray:
    """Boxes of the live particles in the colour of their identity.

    Args:
        frame: [h * factor, w * factor, 3] uint8, already enlarged; left as it is.
        boxes: [k, 4] (x0, y0, x1, y1) of the outermost pixels' centres, in pixels before
            enlargement. Rows that are not finite are passed over.
        transparency: [k] in [0, 1]; below `LIVE` a box is not drawn.

    Returns:
        [h * factor, w * factor, 3] uint8, a new frame.
    """
    canvas = np.ascontiguousarray(frame).copy()
    identity = np.arange(len(boxes)) if identity is None else identity
    for row in np.flatnonzero((transparency > LIVE) & np.isfinite(boxes).all(-1)):
        x0, y0 = np.floor(boxes[row, :2] * factor).astype(int).tolist()
        x1, y1 = np.ceil((boxes[row, 2:] + 1) * factor - 1).astype(int).tolist()
        cv2.rectangle(canvas, (x0 - 1, y0 - 1), (x1 + 1, y1 + 1), (0, 0, 0), 1)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour_of(int(identity[row])), 1)
    return canvas


def mask_boxes(masks: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The box of each mask's pixels above the threshold: [k, h, w] to [k, 4], NaN if none."""
    inside = np.asarray(masks > threshold)
    sides = []
    for axis in (1, 2):  # over rows it leaves x, over columns y
        line: np.ndarray = np.any(inside, axis=axis)
        sides.append((line.argmax(-1), line.shape[-1] - 1 - line[:, ::-1].argmax(-1)))
    (x0, x1), (y0, y1) = sides
    boxes = np.stack([x0, y0, x1, y1], -1).astype(float)
    boxes[~inside.any(axis=(1, 2))] = np.nan
    return boxes


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def label(
    frame: np.ndarray, text: str, *, height: int = 22, colour: Colour = (235, 235, 235)
) -> np.ndarray:
    """The frame under a small dark caption bar: [h, w, 3] to [h + height, w, 3]."""
    bar = Image.new("RGB", (frame.shape[1], height), (24, 26, 30))
    ImageDraw.Draw(bar).text(
        (6, height / 2), text, fill=colour, font=_font(round(0.6 * height)), anchor="lm"
    )
    return np.concatenate([np.asarray(bar), frame])


def number(frame: np.ndarray, position: np.ndarray, shown: np.ndarray, factor: int) -> np.ndarray:
    """The frame [h, w, 3] with each shown object's number at its place.

    Args:
        position: [n, 2] (x, y) in pixels before the enlargement by `factor`.
        shown: [n] bool.
    """
    picture = Image.fromarray(frame)
    pen, font = ImageDraw.Draw(picture), _font(max(10, frame.shape[0] // 16))
    for i in np.flatnonzero(shown).tolist():
        x, y = (float(v) for v in (position[i] + 0.5) * factor)
        pen.text((x, y), str(i), "white", font, "mm", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)


def plot_curves(
    curves: Mapping[str, np.ndarray],
    *,
    title: str,
    unit: str,
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    along: str = "forecast step",
    at: Sequence[float] | None = None,
) -> np.ndarray:
    """Values against forecast step, one line a method, the first one emphasised.

    Args:
        curves: name to [h] values; NaN leaves a gap.
        bands: name to (low, high) [h] each, shaded.
        along: what is on the other axis.
        at: [h] places there; None: steps 1 to h.

    Returns:
        [height, width, 3] uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.8), dpi=110, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    for index, (name, values) in enumerate(curves.items()):
        colour, steps = f"C{index}", np.arange(1, len(values) + 1) if at is None else np.array(at)
        style = "-" if index == 0 else "--"
        dot = "o" if len(values) == 1 else None
        width = 2.4 if index == 0 else 1.4
        axes.plot(steps, values, style, color=colour, lw=width, marker=dot, label=name)
        if bands and name in bands:
            axes.fill_between(steps, *bands[name], color=colour, alpha=0.15, lw=0)
    axes.set(title=title, xlabel=along, ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
