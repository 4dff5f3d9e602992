"""The true tracks beside a video file: NAME.tracks.npz for NAME.mp4.

It holds position, visible and radius (data.videos.Truth), and mask if it is known; or, where no
tracks are known, box or mask alone, from which they are derived.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from data.errors import UserError
from data.videos import Truth
from data.worlds.drawing import hold

REMEDY = "make it again, or remove it to use the video without its tracks"
TRACKS = ("position", "visible", "radius")
KINDS = {"position": np.float32, "visible": bool, "radius": np.float32, "box": np.float64}


def tracks_path(video: Path) -> Path:
    """Where the tracks of a video file lie."""
    return video.with_name(video.stem + ".tracks.npz")


def tracks_beside(video: Path) -> Path | None:
    """The tracks of a video file; None if it has none."""
    path = tracks_path(video)
    return path if os.path.exists(path) else None  # also where its name would be too long


def write_tracks(path: Path, truth: Truth) -> None:
    """Write tracks in the video's own pixels."""
    arrays = {"position": truth.position, "visible": truth.visible, "radius": truth.radius}
    if truth.mask is not None:
        arrays["mask"] = truth.mask
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_tracks(path: Path) -> Truth:
    """Read tracks in the video's own pixels, or derive them from boxes or masks alone.

    Raises:
        UserError: damaged, or arrays missing or of the wrong shape, type or values.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in (*KINDS, "mask") if name in file}
            names = ", ".join(file) or "nothing"
        for name, kind in KINDS.items():
            if name in found:
                found[name] = found[name].astype(kind)
    except PermissionError as error:
        raise UserError(f"no permission to read: {path}: allow it with chmod u+r") from error
    except (OSError, EOFError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"damaged tracks: {path}: cannot be read: {REMEDY}") from error
    given = [name for name in TRACKS if name in found]
    if not found or 0 < len(given) < len(TRACKS):
        raise UserError(
            f"incomplete tracks: {path}: needs position, visible and radius, or box or mask "
            f"without any of them, found {names}: {REMEDY}"
        )
    mask = found.get("mask")
    try:
        if mask is not None:
            mask = _labels(mask)
        if given:
            truth = Truth(found["position"], found["visible"], found["radius"], mask)
        elif "box" in found:
            truth = from_boxes(found["box"], mask)
        else:
            assert mask is not None
            truth = from_masks(mask)
        _check(truth)
    except ValueError as error:
        raise UserError(f"wrong tracks: {path}: {error}: {REMEDY}") from error
    return truth


def from_boxes(box: np.ndarray, mask: np.ndarray | None = None) -> Truth:
    """Tracks of boxes: their centres, and half the mean of their sides as radius.

    Args:
        box: [t, n, 4] (left, top, right, bottom) in source pixels, as --frames.crop has them: the
            whole frame is (0, 0, width, height). NaN or empty where the object is not visible.
        mask: [t, h, w] uint8 labels, if they are known too.

    Raises:
        ValueError: another shape, an infinite side, or right before left.
    """
    if box.ndim != 3 or box.shape[2] != 4:
        raise ValueError(f"box is {list(box.shape)}, expected [t, n, 4]")
    known = ~np.isnan(box).any(-1)  # (t, n)
    if np.isinf(box).any():
        raise ValueError("box has an infinite side, expected pixels, or NaN where not visible")
    sides = box[..., 2:] - box[..., :2]  # (t, n, 2)
    if (sides[known] < 0).any():
        step, thing = np.argwhere(known & (sides < 0).any(-1))[0]
        raise ValueError(
            f"box of frame {step}, object {thing} is {box[step, thing].tolist()}, expected "
            "(left, top, right, bottom), not a width and a height"
        )
    visible = known & (sides > 0).all(-1)
    # Edges lie half a pixel before the centre of the pixel that they begin with.
    return _held((box[..., :2] + box[..., 2:]) / 2 - 0.5, visible, sides.mean(-1) / 2, mask)


def from_masks(mask: np.ndarray) -> Truth:
    """Tracks of labels: object i is label i + 1, at its pixels' centroid.

    Args:
        mask: [t, h, w] uint8; 0 is the background. A label keeps its object over time.
    """
    t, height, width = mask.shape
    count = int(mask.max(initial=1))  # one that is never seen, if there is none
    rows, columns = (axis.ravel() for axis in np.mgrid[:height, :width])
    area, total = np.zeros((t, count)), np.zeros((t, count, 2))
    for step, labels in enumerate(mask.reshape(t, -1)):
        area[step] = np.bincount(labels, minlength=count + 1)[1:]
        for i, at in enumerate((columns, rows)):
            total[step, :, i] = np.bincount(labels, at, count + 1)[1:]
    centroid = total / np.maximum(area, 1)[..., None]
    return _held(centroid, area > 0, np.sqrt(area / np.pi), mask)


def _held(
    position: np.ndarray, visible: np.ndarray, radius: np.ndarray, mask: np.ndarray | None
) -> Truth:
    """Where an object is not visible, what lies between the times that it is."""
    given = (position[..., 0], position[..., 1], radius)
    x, y, r = (hold(np.where(visible, one, np.nan)).astype(np.float32) for one in given)
    return Truth(np.stack([x, y], -1), visible, r, mask)


def _labels(mask: np.ndarray) -> np.ndarray:
    """Labels as uint8.

    Raises:
        ValueError: of another rank, no whole numbers, or beyond 255.
    """
    if mask.ndim != 3:
        raise ValueError(f"mask is {list(mask.shape)}, expected [t, h, w]")
    if mask.dtype.kind not in "bui":
        raise ValueError(f"mask is of {mask.dtype}, expected whole numbers from 0 to 255")
    if mask.size and not (mask.min() >= 0 and mask.max() <= 255):
        raise ValueError(f"mask holds {mask.min()} to {mask.max()}, expected labels from 0 to 255")
    return mask.astype(np.uint8)


def _check(truth: Truth) -> None:
    """Whether the arrays fit each other.

    Raises:
        ValueError: they do not, or a visible object is nowhere.
    """
    position, visible, radius, mask = truth.position, truth.visible, truth.radius, truth.mask
    if position.ndim != 3 or position.shape[2] != 2:
        raise ValueError(f"position is {list(position.shape)}, expected [t, n, 2]")
    shape = position.shape[:2]
    if visible.shape != shape or radius.shape != shape:
        raise ValueError(
            "its arrays do not fit each other: visible and radius are "
            f"{list(visible.shape)} and {list(radius.shape)}, expected {list(shape)}"
        )
    if mask is not None and len(mask) != shape[0]:
        raise ValueError(
            f"its arrays do not fit each other: mask has {len(mask)} frames, expected {shape[0]}"
        )
    if mask is not None and mask.max(initial=0) > shape[1]:
        raise ValueError(
            f"its arrays do not fit each other: mask has the label {mask.max()}, "
            f"expected at most {shape[1]}, one for each object"
        )
    if not (np.isfinite(position[visible]).all() and np.isfinite(radius[visible]).all()):
        raise ValueError("a visible object has no finite place")
