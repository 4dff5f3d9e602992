"""Decode a source once: built aside, moved into place whole, by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from data.decode import BadFile, Clip
from data.errors import UserError
from data.frames import FrameConfig, automatic_size, fit
from data.layouts import Layout
from data.storage import StorageWriter, Stored, read_storage
from data.videos import Truth

Progress = Callable[[str, float], None]
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def default_root() -> Path:
    """$PARTICLECAST_CACHE, or ~/.cache/particlecast."""
    given = os.environ.get("PARTICLECAST_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "particlecast"


def cached(
    root: Path, key: str, layout: Layout, config: FrameConfig, progress: Progress | None = None
) -> Stored:
    """The decoded videos of a layout, from the cache or newly built.

    Args:
        root: the folder of all caches.
        key: hex digest of content and settings.
        progress: called with a line of text and the share done, in [0, 1].

    Raises:
        UserError: nothing usable in the source, mixed sizes, a full disk, no right to write;
            then no cache is left behind.
    """
    report = progress or (lambda text, share: None)
    place = root / key[:24]
    stored = read_storage(place, key)
    if stored is not None:
        return stored
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{key[:24]}.lock", report):
            # Another process may have built it while this one waited.
            stored = read_storage(place, key)
            if stored is None:
                _build(place, key, layout, config, report)
                stored = read_storage(place, key)
    except OSError as error:
        raise UserError(_mishap(root, error)) from error
    if stored is None:
        raise UserError(f"cache damaged as it was written: {place}: check the disk and try again")
    return stored


def _mishap(root: Path, error: OSError) -> str:
    remedy = "set PARTICLECAST_CACHE to a folder"
    if error.errno in FULL:
        return (
            f"disk full while decoding: {root}: nothing was kept, the source is untouched: "
            f"free some space, or {remedy} on a larger disk"
        )
    reason = (error.strerror or str(error)).lower()
    return f"cannot write the cache: {root}: {reason}: {remedy} that can be written"


@contextmanager
def _locked(path: Path, report: Progress) -> Iterator[None]:
    """Hold a lock that the system releases even if this process is killed."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that decodes the same source", 0.0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(place: Path, key: str, layout: Layout, config: FrameConfig, report: Progress) -> None:
    """Write beside `place`, then rename. The lock is held, so what lies around is rubbish."""
    for leftover in place.parent.glob(f"{place.name}.*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    if place.exists():
        shutil.rmtree(place)
    part = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=".part", dir=place.parent))
    builder = _Builder(part, config)
    try:
        for index, clip in enumerate(layout.clips()):
            builder.add(clip, partial(_overall, report, index, layout.count))
        builder.finish(key)
        part.rename(place)
    except BaseException:
        builder.abandon()
        shutil.rmtree(part, ignore_errors=True)
        raise
    report("decoded", 1.0)


def _overall(report: Progress, index: int, count: int, text: str, done: float) -> None:
    """Progress within clip `index` as progress within all."""
    report(text, (index + done) / count)


class _Builder:
    """Adds clips to a folder; the first good one decides the size of all."""

    def __init__(self, folder: Path, config: FrameConfig) -> None:
        self.folder = folder
        self.config = config
        self.fitted = config
        self.writer: StorageWriter | None = None
        self.first = ""
        self.left_out: list[str] = []

    def add(self, clip: Clip, report: Progress) -> None:
        """Decode a clip, or note why it is left out."""
        try:
            self._add(clip, report)
        except BadFile as error:
            if self.config.strict:
                raise
            self.left_out.append(str(error))
            if self.writer and self.writer.entries:
                self.writer.drop_video()
            else:
                self.abandon()  # a bad file must not decide the size

    def _add(self, clip: Clip, report: Progress) -> None:
        reading = clip.read(self.config)
        text = f"decoding {clip.name}"
        report(text, 0.0)
        source = next(reading.frames, None)
        if source is None:
            raise BadFile(
                f"no frames: {clip.where}: none from frame {self.config.start} on: "
                "lower --frames.start or remove the file"
            )
        height, width = source.shape[:2]
        geometry = fit(height, width, self.fitted, clip.where)
        size = geometry.height, geometry.width
        if self.writer is None:
            self.writer, self.first = StorageWriter(self.folder, *size), clip.where
            # What is automatic for the first video is a setting for the others.
            chosen = self.config.size or automatic_size(geometry.box)
            self.fitted = replace(self.config, size=chosen)
        if size != self.writer.size:
            raise UserError(
                f"mixed sizes: {clip.where}: its frames become {_wide(size)}, but those of "
                f"{self.first} {_wide(self.writer.size)}: set --frames.square true, or "
                "--frames.crop to one shape"
            )
        count = 0
        for count, frame in enumerate(chain([source], reading.frames), 1):
            if frame.shape[:2] != (height, width):
                raise BadFile(
                    f"size changes within the video: {clip.where}: from {width}x{height} to "
                    f"{frame.shape[1]}x{frame.shape[0]} at frame {count}: cut it there"
                )
            self.writer.frames.append(geometry.frame(frame)[None])
            if count % 32 == 0:
                report(text, min(1.0, count / max(reading.expected, count)))
        truth = _picked(reading.truth, count, self.config, (height, width), clip)
        if truth is not None:
            truth = geometry.truth(truth)
        self.writer.end_video(clip.name, clip.split, reading.fps / self.config.skip, truth)

    def finish(self, key: str) -> None:
        """Make the folder whole."""
        if self.writer is None:
            more = len(self.left_out) - 1
            also = f" (and {more} more files, all unusable)" if more > 0 else ""
            raise UserError((self.left_out or ["no videos in the source"])[0] + also)
        self.writer.finish(key, self.left_out)

    def abandon(self) -> None:
        """Close what is open, and forget the size it had."""
        if self.writer is not None:
            self.writer.abandon()
        self.writer, self.fitted = None, self.config


def _wide(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _picked(
    truth: Truth | None, count: int, config: FrameConfig, size: tuple[int, int], clip: Clip
) -> Truth | None:
    """The truth of the stored frames, still in source pixels."""
    if truth is None:
        return None
    picks = slice(config.start, None, config.skip)
    position = truth.position[picks]
    mask = None if truth.mask is None else truth.mask[picks][:count]
    fits = len(position) == count if config.limit == 0 else len(position) >= count
    if mask is not None and mask.shape[1:] != size:
        raise BadFile(
            f"tracks of another video: {clip.where}: masks of {_wide(mask.shape[1:])}, but its "
            f"frames are {_wide(size)}: make them again, or remove them to use the video without "
            "its tracks"
        )
    if not fits:
        raise BadFile(
            f"tracks of another video: {clip.where}: {len(truth.position)} steps do not fit its "
            "frames: make them again, or remove them to use the video without its tracks"
        )
    return Truth(position[:count], truth.visible[picks][:count], truth.radius[picks][:count], mask)
