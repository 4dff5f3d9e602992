"""`particlecast make-data`: a synthetic world as mp4 files, each with its true tracks beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from data import worlds
from data.errors import UserError, writing
from data.tracks import tracks_path, write_tracks
from data.videos import Truth
from data.write import write_mp4

CRF = 10


def make_data(
    world: str,
    out: Path,
    videos: int,
    frames: int,
    size: int,
    seed: int,
    progress: Callable[[str, float], None] | None = None,
    physics: str = "plain",
) -> list[Path]:
    """Write OUT/WORLD_00000.mp4 and OUT/WORLD_00000.tracks.npz, and so on.

    The tracks hold `position` [t, n, 2] in pixels, (x, y); `visible` [t, n]; `radius` [t, n] in
    pixels; `mask` [t, h, w] labels, 0 the background and i + 1 object i.

    Args:
        world: one of worlds.WORLDS.
        out: a folder that is new or empty; made with its parents.
        videos, frames, size, seed, physics: as for worlds.generate_dataset; one video is enough.
        progress: called with a line of text and the share done, in [0, 1].

    Returns:
        The mp4 files.

    Raises:
        UserError: unknown world or physics, a number out of range, or a folder that cannot be
            used.
    """
    worlds.check(world, videos, frames, size, seed, physics)
    out = Path(out)
    _claim(out)
    written = []
    for index in range(videos):
        video = worlds.simulate(world, frames, size, worlds.seed_of(seed, index), physics)
        path = out / f"{world}_{index:05d}.mp4"
        if video.truth is not None:
            _write_tracks(tracks_path(path), video.truth)
        write_mp4(path, video.frames, video.fps, CRF)
        written.append(path)
        if progress is not None:
            progress(f"making {world} videos", (index + 1) / videos)
    return written


def _claim(out: Path) -> None:
    """Make the folder, or raise UserError if it holds anything."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        used = any(out.iterdir())
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot use folder: {out}: {reason}; choose another") from error
    if used:
        raise UserError(f"folder is not empty: {out}: choose a new one, or empty it first")


def _write_tracks(path: Path, truth: Truth) -> None:
    """Write the tracks aside, then give them their name."""
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with writing(path):
            write_tracks(aside, truth)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
