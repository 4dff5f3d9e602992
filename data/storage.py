"""One cache folder: five .npy files that grow row by row, and an index that explains them.

    frames.npy    [sum of t, h, w, 3] uint8, all videos one after another
    mask.npy      [sum of t, h, w] uint8, of the videos that have masks
    position.npy  [sum of t * n, 2] float32, visible.npy, radius.npy: of those that have tracks
    index.json    the videos' names, lengths and numbers of objects, in the order of the rows, and a
                  digest of the frames

The index names no files, so it cannot point outside its folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data.videos import Truth, Video

VERSION = 1
KINDS: dict[str, type] = {
    "frames": np.uint8,
    "mask": np.uint8,
    "position": np.float32,
    "visible": np.bool_,
    "radius": np.float32,
}
INDEX = "index.json"
LARGEST_INDEX = 1 << 28  # bytes; 20,000 videos take 3 MB
BLOCK = 1 << 16  # bytes


class ArrayWriter:
    """Appends rows to a .npy file, whose header learns their number at the end."""

    def __init__(self, path: Path, kind: type, row: tuple[int, ...]) -> None:
        self.kind = np.dtype(kind)
        self.row = row
        self.rows = 0
        self.file = path.open("wb")
        self._write_header()
        self.begin = self.file.tell()

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis may grow in place.
        np.lib.format.write_array_header_1_0(
            self.file,
            {
                "descr": np.lib.format.dtype_to_descr(self.kind),
                "fortran_order": False,
                "shape": (self.rows, *self.row),
            },
        )

    def append(self, rows: np.ndarray) -> None:
        """[m, *row] of the file's type, written behind what is there."""
        self.file.write(np.ascontiguousarray(rows, self.kind).tobytes())
        self.rows += len(rows)

    def rewind(self, rows: int) -> None:
        """Forget all but the first `rows`."""
        self.file.flush()
        self.file.seek(self.begin + rows * int(np.prod(self.row)) * self.kind.itemsize)
        self.file.truncate()
        self.rows = rows

    def finish(self, durable: bool = True) -> None:
        """Make the file whole, and durable unless it is soon thrown away."""
        self.file.seek(0)
        self._write_header()
        assert self.file.tell() == self.begin
        self.file.flush()
        if durable:
            os.fsync(self.file.fileno())
        self.file.close()

    def abandon(self) -> None:
        """Close a file that will be deleted."""
        with contextlib.suppress(OSError):  # a full disk refuses what is still buffered
            self.file.close()


@dataclass(frozen=True)
class Entry:
    """A stored video.

    Args:
        objects: the number of tracks, or None without truth.
        mask: whether there are masks.
    """

    name: str
    split: str
    fps: float
    length: int
    objects: int | None
    mask: bool


class StorageWriter:
    """Writes the videos of a cache folder, all of one frame size."""

    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.size = height, width
        self.entries: list[Entry] = []
        self.folder = folder

        def writer(name: str, row: tuple[int, ...]) -> ArrayWriter:
            return ArrayWriter(folder / f"{name}.npy", KINDS[name], row)

        self.frames = writer("frames", (height, width, 3))
        self.mask = writer("mask", (height, width))
        self.position = writer("position", (2,))
        self.visible, self.radius = writer("visible", ()), writer("radius", ())
        self.all = (self.frames, self.mask, self.position, self.visible, self.radius)
        self.done = 0

    def end_video(self, name: str, split: str, fps: float, truth: Truth | None) -> None:
        """The frames written since the last video are one video."""
        objects = None
        if truth is not None:
            objects = truth.position.shape[1]
            self.position.append(truth.position.reshape(-1, 2))
            self.visible.append(truth.visible.reshape(-1))
            self.radius.append(truth.radius.reshape(-1))
            if truth.mask is not None:
                self.mask.append(truth.mask)
        mask = truth is not None and truth.mask is not None
        length = self.frames.rows - self.done
        self.entries.append(Entry(name, split, fps, length, objects, mask))
        self.done = self.frames.rows

    def drop_video(self) -> None:
        """Forget the frames written since the last video."""
        self.frames.rewind(self.done)

    def finish(self, key: str, left_out: list[str]) -> None:
        """Write what remains; the index comes last."""
        for writer in self.all:
            writer.finish()
        index = {
            "version": VERSION,
            "key": key,
            "content": self._content(),
            "size": self.size,
            "videos": [asdict(entry) for entry in self.entries],
            "left_out": left_out,
        }
        with (self.folder / INDEX).open("w") as file:
            json.dump(index, file)
            file.flush()
            os.fsync(file.fileno())

    def _content(self) -> str:
        """Hex digest of the frames, and of the names and parts if there are several videos."""
        several = len(self.entries) > 1
        facts = [(e.name if several else "", e.split, e.length) for e in self.entries]
        digest = hashlib.sha256(repr((self.size, facts)).encode())
        with (self.folder / "frames.npy").open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def abandon(self) -> None:
        """Close everything before the folder is deleted."""
        for writer in self.all:
            writer.abandon()


@dataclass(frozen=True)
class Stored:
    """What a cache folder holds: videos in stored order, the split given to each, and a digest."""

    videos: tuple[Video, ...]
    splits: tuple[str, ...]
    left_out: tuple[str, ...]
    content: str


def read_storage(folder: Path, key: str) -> Stored | None:
    """Open a cache folder; None if it is missing, broken, or holds something else."""
    try:
        if (folder / INDEX).stat().st_size > LARGEST_INDEX:
            return None
        index = json.loads((folder / INDEX).read_text())
        if index["version"] != VERSION or index["key"] != key:
            return None
        height, width = index["size"]
        entries = [Entry(**entry) for entry in index["videos"]]
        content = index["content"]
        if not all(map(_is_sound, entries)) or not _are_texts([content, *index["left_out"]]):
            return None
        tracked = sum(e.length * e.objects for e in entries if e.objects is not None)
        shapes: dict[str, tuple[int, ...]] = {
            "frames": (sum(e.length for e in entries), height, width, 3),
            "mask": (sum(e.length for e in entries if e.mask), height, width),
            "position": (tracked, 2),
            "visible": (tracked,),
            "radius": (tracked,),
        }
        arrays = {
            name: _open(folder / f"{name}.npy", shape, KINDS[name])
            for name, shape in shapes.items()
        }
        videos = _cut(entries, arrays)
        splits, left_out = tuple(e.split for e in entries), tuple(index["left_out"])
        return Stored(videos, splits, left_out, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_sound(entry: Entry) -> bool:
    """Whether an entry, perhaps of a stranger's index, can be one that was written here.

    Its name becomes part of the names of files, and so must be none that leads out of a folder.
    """
    objects = entry.objects
    return (
        isinstance(entry.name, str)
        and bool(entry.name)
        and not entry.name.startswith(".")
        and not re.search(r"[^\w.-]", entry.name)
        and entry.split in ("", "train", "val", "test", "fit")
        and type(entry.fps) in (int, float)
        and 0 < entry.fps < math.inf
        and type(entry.length) is int
        and entry.length >= 1
        and (objects is None or (type(objects) is int and objects >= 0))
        and type(entry.mask) is bool
    )


def _are_texts(values: object) -> bool:
    """Whether it is a list of texts."""
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _open(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """Memory-map an array, or load an empty one, which cannot be mapped.

    Raises:
        ValueError: it cannot be read, or is not of this shape and type.
    """
    mode: Literal["r"] | None = "r" if 0 not in shape else None
    try:
        array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except Exception as error:  # numpy raises nearly any type for a header that is not its own
        raise ValueError(f"{path} cannot be read") from error
    if array.shape != shape or array.dtype != kind or not array.flags.c_contiguous:
        raise ValueError(f"{path} holds {array.dtype} {array.shape}, expected {shape}")
    return np.asarray(array)


def _cut(entries: list[Entry], arrays: dict[str, np.ndarray]) -> tuple[Video, ...]:
    """Views of each video's rows."""
    videos, frame, row, mask_row = [], 0, 0, 0
    for entry in entries:
        truth = None
        if entry.objects is not None:
            shape = (entry.length, entry.objects)
            rows = slice(row, row + entry.length * entry.objects)
            mask = None
            if entry.mask:
                mask = arrays["mask"][mask_row : mask_row + entry.length]
                mask_row += entry.length
            truth = Truth(
                arrays["position"][rows].reshape(*shape, 2),
                arrays["visible"][rows].reshape(shape),
                arrays["radius"][rows].reshape(shape),
                mask,
            )
            row = rows.stop
        frames = arrays["frames"][frame : frame + entry.length]
        videos.append(Video(entry.name, frames, entry.fps, truth))
        frame += entry.length
    return tuple(videos)
