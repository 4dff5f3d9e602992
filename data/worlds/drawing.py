"""Drawing for the synthetic worlds: layers of moving objects, composited front to back.

Front to back, because what is left of an object after all that lies before it is then known at
once: its visible share, the centroid of what is seen, and its label mask come from the same pass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.videos import Truth

# An object counts as visible while at least this share of its area is seen in the frame.
VISIBLE_SHARE = 0.25
CHUNK = 32  # frames drawn at once


def to_pixels(unit: np.ndarray, size: int) -> np.ndarray:
    """Unit coordinates, 0 to 1 from one edge of the frame to the other, to pixels."""
    return unit * size - 0.5


class Layers:
    """One clip in the making: a fixed background and n objects that are added front to back.

    Args:
        background: [h, w, 3] float in [0, 1].
        frames: number of frames t.
        objects: number of objects n.
        margin: pixels around the frame; at least the side of the largest window drawn.
        front: [h, w, 4] float in [0, 1], a fixed layer before all objects (straight alpha).
    """

    def __init__(
        self,
        background: np.ndarray,
        frames: int,
        objects: int,
        margin: int,
        front: np.ndarray | None = None,
    ):
        height, width = background.shape[:2]
        self.background, self.margin = background.astype(np.float32), margin
        padded = (frames, height + 2 * margin, width + 2 * margin)
        self.inside = (slice(None), slice(margin, margin + height), slice(margin, margin + width))
        # What still shines through; zero in the margin, so that nothing is ever seen there.
        self.clear = np.zeros(padded, np.float32)
        self.clear[self.inside] = 1 if front is None else 1 - front[..., 3]
        self.unhidden = self.clear[self.inside].copy()
        self.light = np.ones(padded, np.float32)
        self.colour = np.zeros((*padded, 3), np.float32)
        if front is not None:
            self.colour[self.inside] = front[..., :3] * front[..., 3:]
        self.most = np.zeros(padded, np.float32)
        self.label = np.zeros(padded, np.uint8)
        self.area = np.full((frames, objects), np.nan, np.float32)
        self.seen = np.zeros((frames, objects), np.float32)
        self.centroid = np.zeros((frames, objects, 2), np.float32)

    def _window(self, times: np.ndarray, corner: np.ndarray, shape: tuple[int, ...]) -> tuple:
        """Index of one window a time, moved into the margin if it lies farther outside."""
        start = corner + self.margin
        limit = np.array([self.clear.shape[2] - shape[2], self.clear.shape[1] - shape[1]])
        start = np.clip(start, 0, limit)
        rows = start[:, 1, None, None] + np.arange(shape[1])[:, None]
        columns = start[:, 0, None, None] + np.arange(shape[2])
        return times[:, None, None], rows, columns

    def add(
        self,
        index: int,
        times: np.ndarray,
        corner: np.ndarray,
        colour: np.ndarray,
        alpha: np.ndarray,
    ) -> None:
        """Put object `index` behind all that was added before.

        Args:
            index: row of the object, 0 to n - 1.
            times: [m] frames at which it is drawn.
            corner: [m, 2] int (x, y), the first pixel of its window at each of them.
            colour: [m, s, r, 3] in [0, 1], not multiplied by alpha.
            alpha: [m, s, r] coverage in [0, 1].
        """
        window = self._window(times, corner, alpha.shape)
        clear = self.clear[window]
        seen = alpha * clear
        self.clear[window] = clear - seen
        self.colour[window] += seen[..., None] * colour
        closest = seen > self.most[window]
        self.most[window] = np.where(closest, seen, self.most[window])
        self.label[window] = np.where(closest, index + 1, self.label[window])
        self.area[times, index] = alpha.sum((1, 2))
        total = seen.sum((1, 2))
        self.seen[times, index] = total
        share = 1 / np.maximum(total, 1e-6)
        x = corner[:, 0] + (seen.sum(1) @ np.arange(alpha.shape[2])) * share
        y = corner[:, 1] + (seen.sum(2) @ np.arange(alpha.shape[1])) * share
        self.centroid[times, index] = np.stack([x, y], -1)

    def shade(self, times: np.ndarray, corner: np.ndarray, amount: np.ndarray) -> None:
        """Darken the background by `amount` [m, s, r] in [0, 1], a shadow."""
        self.light[self._window(times, corner, amount.shape)] *= 1 - amount

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Frames [t, h, w, 3] uint8 and labels [t, h, w] uint8 (0 the background)."""
        clear = self.clear[self.inside]
        behind = (clear * self.light[self.inside])[..., None] * self.background
        frames = to_uint8(self.colour[self.inside] + behind)
        covered = self.unhidden - clear >= 0.5
        return frames, np.where(covered, self.label[self.inside], 0).astype(np.uint8)


def render(centre: np.ndarray, compose: Callable[[slice], Layers]) -> tuple[np.ndarray, Truth]:
    """Frames [t, h, w, 3] uint8 and their truth, some frames at a time to bound the memory.

    Args:
        centre: [t, n, 2] true centres in pixels.
        compose: gives the layers, all objects added, of a slice of the frames.
    """
    parts = []
    for start in range(0, len(centre), CHUNK):
        layers = compose(slice(start, min(start + CHUNK, len(centre))))
        parts.append((*layers.finish(), layers.area, layers.seen, layers.centroid))
    frames, mask, area, seen, centroid = map(np.concatenate, zip(*parts, strict=True))
    return frames, make_truth(centre, area, seen, centroid, mask)


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """[0, 1] floats to the nearest of 256 levels."""
    return (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8)


def make_truth(
    centre: np.ndarray, area: np.ndarray, seen: np.ndarray, centroid: np.ndarray, mask: np.ndarray
) -> Truth:
    """True tracks from what was drawn.

    Args:
        centre: [t, n, 2] true centres in pixels, used where an object is hidden.
        area: [t, n] pixels, the whole object; NaN where it was not drawn.
        seen: [t, n] pixels, what is visible of it.
        centroid: [t, n, 2] of what is visible.
        mask: [t, h, w] uint8 labels.
    """
    area = hold(area)
    visible = (seen >= VISIBLE_SHARE * area) & (seen > 1)
    return Truth(
        position=np.where(visible[..., None], centroid, centre).astype(np.float32),
        visible=visible,
        radius=np.sqrt(area / np.pi).astype(np.float32),
        mask=mask,
    )


def hold(values: np.ndarray) -> np.ndarray:
    """[t, n] with each NaN replaced by its column's interpolation in time (0 without any)."""
    times, filled = np.arange(len(values)), np.zeros_like(values)
    for column in range(values.shape[1]):
        known = np.isfinite(values[:, column])
        if known.any():
            filled[:, column] = np.interp(times, times[known], values[known, column])
    return filled


def inside_polygon(vertices: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of a grid lie in a convex polygon; none if it is seen from behind.

    Args:
        vertices: [m, v, 2], counter-clockwise as seen on the screen.
        x: [m, r] and y: [m, s], the grid's coordinates.

    Returns:
        [m, s, r] bool.
    """
    vertices, x, y = (part.astype(np.float32) for part in (vertices, x, y))
    inside = np.ones((len(x), y.shape[1], x.shape[1]), bool)
    following = np.roll(vertices, -1, axis=1)
    for start, end in zip(vertices.swapaxes(0, 1), following.swapaxes(0, 1), strict=True):
        edge = end - start
        across = edge[:, :1] * (y - start[:, 1:])  # [m, s]
        along = edge[:, 1:] * (x - start[:, :1])  # [m, r]
        inside &= across[:, :, None] < along[:, None, :]
    return inside


def fronts(vertices: np.ndarray) -> np.ndarray:
    """Whether polygons [..., v, 2] are seen from their front, counter-clockwise: [...] bool."""
    a, b, c = vertices[..., 0, :], vertices[..., 1, :], vertices[..., 2, :]
    one, two = b - a, c - a
    return one[..., 0] * two[..., 1] < one[..., 1] * two[..., 0]


def soften(image: np.ndarray) -> np.ndarray:
    """[m, s, r] blurred a little; its outermost pixels must be zero and stay so."""
    for axis in (1, 2):
        image = image.swapaxes(1, axis)
        blurred = np.zeros_like(image)
        blurred[:, 1:-1] = 0.5 * image[:, 1:-1] + 0.25 * (image[:, :-2] + image[:, 2:])
        image = blurred.swapaxes(1, axis)
    return image


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks: [m, s * factor, r * factor, c] to [m, s, r, c]."""
    m, height, width, c = image.shape
    rows = image.reshape(m, height // factor, factor, width * c).sum(2, dtype=np.float32)
    blocks = rows.reshape(m, height // factor, width // factor, factor, c).sum(3)
    return blocks / factor**2
