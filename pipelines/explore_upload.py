"""A file dropped on the page, as a clip of frames that the model knows."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO

import av
import numpy as np
from PIL import Image

from data.containers import known_container
from data.decode import (
    IMAGE_FORMATS,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    read_frame_files,
    read_video,
)
from data.errors import UserError
from data.frames import Fit, FrameConfig, fit
from data.videos import Video
from pipelines.explore_json import Refused

HEAD = 4096
AT_ONCE = 4
"""Files that arrive or wait to be decoded at the same time: each lies on the disk meanwhile."""


@dataclass(frozen=True)
class Dropped:
    """A clip that was read.

    Args:
        video: its frames, of the model's size.
        note: what was left out of it; empty: nothing.
    """

    video: Video
    note: str


@contextmanager
def one_of(places: threading.Semaphore) -> Iterator[None]:
    """Hold a place for a file while the block runs.

    Raises:
        Refused: all are taken; nobody waits for one.
    """
    if not places.acquire(blocking=False):
        raise Refused("too many files are arriving: wait until one is here, and try again", 503)
    try:
        yield
    finally:
        places.release()


def read_dropped(
    body: IO[bytes],
    name: str,
    size: tuple[int, int],
    config: FrameConfig,
    most_pixels: int,
    most_frames: int,
    turn: AbstractContextManager[object],
) -> Dropped:
    """Decode a file; it lies on the disk only meanwhile, under a name of the server's own.

    Args:
        body: its bytes.
        name: what the user calls it: the kind of file is told by its end, and a message names it.
        size: (h, w) of the model's frames.
        config: how the run's own frames were cut; a file of another shape is cut to the model's
            in its middle.
        most_pixels: of a frame of the file.
        most_frames: of the clip; the rest is left out.
        turn: held while decoding, not while the bytes arrive: a slow client holds nobody up.

    Raises:
        Refused: not a picture or video, damaged, or its frames are too large.
    """
    suffix = "." + name.rpartition(".")[2].lower()
    if suffix not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        known = " ".join((*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))
        raise Refused(f"unknown kind of file: {name}: drop one of {known}", 415)
    with tempfile.TemporaryDirectory(prefix="particlecast-") as folder:
        path = Path(folder) / f"dropped{suffix}"
        with path.open("wb") as file:
            shutil.copyfileobj(body, file)
        try:
            with turn:
                return _read(path, name, size, config, most_pixels, most_frames)
        except Refused:
            raise
        except UserError as error:  # its own words, with the user's name for the file
            raise Refused(str(error).replace(str(path), name)) from error


def _read(
    path: Path,
    name: str,
    size: tuple[int, int],
    config: FrameConfig,
    most_pixels: int,
    most_frames: int,
) -> Dropped:
    still = path.suffix in IMAGE_SUFFIXES
    _check(path, name, still, most_pixels)
    plain = FrameConfig(skip=config.skip, limit=most_frames + 1)
    reading = read_frame_files([path], plain) if still else read_video(path, plain)
    first = next(reading.frames, None)
    if first is None:
        raise Refused(f"no frames: {name}: it holds no picture: drop another file")
    geometry, cut = _geometry(first, size, config, name)
    frames = [geometry.frame(f) for f in islice(chain([first], reading.frames), most_frames + 1)]
    notes = ["its middle, in the model's shape"] if cut else []
    if config.skip > 1 and not still:
        notes.append(f"one of {config.skip} frames, as in training")
    if len(frames) > most_frames:
        notes.append(f"its first {most_frames} frames")
        del frames[most_frames:]
    note = f"of {name} is used: {' and '.join(notes)}" if notes else ""
    fps = reading.fps if still else reading.fps / config.skip
    return Dropped(Video(name, np.stack(frames), fps), note)


def _check(path: Path, name: str, still: bool, most: int) -> None:
    """Refuse what is not of its kind or too large, before it is decoded.

    A file of another kind could be a list of other files, which decoders would open.
    """
    unreadable = Refused(f"not a readable {'picture' if still else 'video'}: {name}: drop another")
    try:
        if still:
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                width, height = image.size
        else:
            with path.open("rb") as file:
                if not known_container(file.read(HEAD)):
                    raise unreadable
            with av.open(str(path)) as container:
                sides = [
                    (v.codec_context.width, v.codec_context.height) for v in container.streams.video
                ]
                width, height = sides[0] if sides else (0, 0)
    except (OSError, ValueError, av.error.FFmpegError, Image.DecompressionBombError) as error:
        raise unreadable from error
    if width * height > most:
        raise Refused(f"too large: {name}: {width}x{height} pixels: at most {most}: shrink it", 413)


def _geometry(
    frame: np.ndarray, size: tuple[int, int], config: FrameConfig, name: str
) -> tuple[Fit, bool]:
    """How frames become the model's, and whether a part of them is lost that the run's kept."""
    height, width = frame.shape[:2]
    try:
        own = fit(height, width, config, name)
        if (own.height, own.width) == size:
            return own, False
    except UserError:  # the run's crop is for other frames
        pass
    scale = min(height / size[0], width / size[1])
    inner_h, inner_w = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    whole = (inner_h, inner_w) == (height, width)
    return Fit((left, top, left + inner_w, top + inner_h), *size), not whole
