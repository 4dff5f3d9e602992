"""Video files and folders of numbered frames, one source frame at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from data.containers import cut_short
from data.errors import UserError
from data.frames import FrameConfig
from data.tracks import read_tracks, tracks_beside
from data.videos import Truth

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
IMAGE_FORMATS = ("PNG", "JPEG", "BMP")
"""What Pillow may take a file for, whatever its name: some formats are programs, that it runs."""
DEFAULT_FPS = 10.0


class BadFile(UserError):
    """One file of a set is unusable; it can be left out."""


@dataclass(frozen=True)
class Reading:
    """An opened clip.

    Args:
        frames: yields the [h, w, 3] uint8 RGB source frames that the settings pick.
        fps: source frames a second.
        expected: about how many frames there will be, for a progress bar; 0 unknown.
        truth: in source pixels, for every source frame, or None.
    """

    frames: Iterator[np.ndarray]
    fps: float = DEFAULT_FPS
    expected: int = 0
    truth: Truth | None = None


@dataclass(frozen=True)
class Clip:
    """One undecoded video of a source.

    Args:
        name: unique in its set, safe as a file name.
        where: what an error calls it.
        read: opens it. Raises BadFile, also while the frames are drawn.
        split: "train", "val", "test", or "" for the tool to decide.
    """

    name: str
    where: str
    read: Callable[[FrameConfig], Reading]
    split: str = ""


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which frame 2 comes before frame 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if i % 2 else (1, 0, p) for i, p in enumerate(parts)]


def read_video(path: Path, config: FrameConfig) -> Reading:
    """Open a video file, with the tracks beside it if there are any.

    Raises:
        BadFile: empty, cut short, not a video, damaged, or not permitted.
    """
    try:
        if path.stat().st_size == 0:
            raise BadFile(f"empty file: {path}: copy or download it again")
        if cut_short(path):
            raise BadFile(
                f"video cut short: {path}: the file ends before its own header says: "
                "copy or download it again"
            )
        container = av.open(str(path))
    except PermissionError as error:
        raise BadFile(f"no permission to read: {path}: allow it with chmod u+r") from error
    except (OSError, av.error.FFmpegError) as error:
        raise BadFile(
            f"not a readable video: {path}: {_reason(error)}: check that it plays, or remove it"
        ) from error
    if not container.streams.video:
        container.close()
        raise BadFile(f"no picture in the file: {path}: it holds no video stream: remove it")
    try:
        tracks = tracks_beside(path)
        truth = read_tracks(tracks) if tracks else None
    except UserError as error:
        container.close()
        raise BadFile(str(error)) from error
    stream = container.streams.video[0]
    fps = float(stream.average_rate or DEFAULT_FPS)
    expected = stream.frames or int((container.duration or 0) / av.time_base * fps)
    picked = len(config.picks(expected)) if expected > 0 else 0
    return Reading(_video_frames(container, path, config.picks()), fps, picked, truth)


def _video_frames(
    container: av.container.InputContainer, path: Path, picks: range
) -> Iterator[np.ndarray]:
    number = 0
    with container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            for number, frame in enumerate(container.decode(stream)):
                if number >= picks.stop:
                    return
                if number in picks:
                    image = frame.to_ndarray(format="rgb24")
                    # Phones store portrait films lying down, with a note of how to turn them.
                    yield np.rot90(image, round(frame.rotation / 90))
        except (OSError, av.error.FFmpegError, ValueError) as error:
            raise BadFile(
                f"damaged video: {path}: {_reason(error)} after frame {number}: "
                "copy or download it again"
            ) from error


def _reason(error: Exception) -> str:
    """The first line of a library's complaint, without paths and numbers around it."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0].strip().lower()


def frame_files(folder: Path) -> list[Path]:
    """The numbered frames in a folder, in the order of their numbers."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and re.search(r"\d", path.stem)
    ]
    return sorted(found, key=lambda path: natural(path.name))


def read_frame_files(files: Sequence[Path], config: FrameConfig) -> Reading:
    """Open a folder's numbered frames as one video.

    Raises:
        BadFile: while drawing frames: an image that is damaged, not permitted or of another size.
    """
    picks = config.picks(len(files))
    return Reading(_image_frames([files[i] for i in picks]), expected=len(picks))


def _image_frames(files: list[Path]) -> Iterator[np.ndarray]:
    first: tuple[int, ...] | None = None
    for path in files:
        try:
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                frame = _eight_bits(ImageOps.exif_transpose(image))
        except PermissionError as error:
            raise BadFile(f"no permission to read: {path}: allow it with chmod u+r") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadFile(
                f"damaged image: {path}: cannot be decoded: copy it again or remove it"
            ) from error
        first = first or frame.shape
        if frame.shape != first:
            raise BadFile(
                f"frames of different sizes: {path}: {frame.shape[1]}x{frame.shape[0]}, but the "
                f"first frame is {first[1]}x{first[0]}: put each video's frames in its own folder"
            )
        yield frame


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Any image as [h, w, 3] uint8 RGB; 16-bit grey is scaled, which Pillow would clip."""
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.uint32) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
