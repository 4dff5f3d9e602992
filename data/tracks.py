"""The true tracks beside a video file: NAME.tracks.npz for NAME.mp4."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from data.errors import UserError
from data.videos import Truth


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
    """Read tracks in the video's own pixels.

    Raises:
        UserError: damaged, or arrays missing or of the wrong shape.
    """
    remedy = "make it again, or remove it to use the video without its tracks"
    try:
        with np.load(path, allow_pickle=False) as file:
            position = file["position"].astype(np.float32)
            visible = file["visible"].astype(bool)
            radius = file["radius"].astype(np.float32)
            mask = file.get("mask")
    except PermissionError as error:
        raise UserError(f"no permission to read: {path}: allow it with chmod u+r") from error
    except KeyError as error:
        raise UserError(
            f"incomplete tracks: {path}: needs position, visible and radius: {remedy}"
        ) from error
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"damaged tracks: {path}: cannot be read: {remedy}") from error
    if position.ndim != 3 or position.shape[2] != 2:
        raise UserError(
            f"wrong tracks: {path}: position is {list(position.shape)}, expected [t, n, 2]: "
            f"{remedy}"
        )
    shape = position.shape[:2]
    fits = visible.shape == shape and radius.shape == shape
    if mask is not None:
        fits = fits and mask.ndim == 3 and len(mask) == shape[0] and mask.dtype == np.uint8
    if not fits:
        raise UserError(f"wrong tracks: {path}: its arrays do not fit each other: {remedy}")
    if not (np.isfinite(position[visible]).all() and np.isfinite(radius[visible]).all()):
        raise UserError(f"wrong tracks: {path}: a visible object has no finite place: {remedy}")
    return Truth(position, visible, radius, mask)
