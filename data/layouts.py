"""What a SOURCE text stands for: its clips, still undecoded, and a key of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data.arrays import ARRAY_SUFFIXES, open_array
from data.decode import (
    VIDEO_SUFFIXES,
    Clip,
    frame_files,
    read_frame_files,
    read_video,
)
from data.errors import UserError
from data.tracks import tracks_beside

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
# Up to so many files, their first and last MiB are hashed too; beyond, path, size and date do.
HASHED_FILES = 64
MEBIBYTE = 1 << 20
DEEPEST = 4
LONGEST_NAME = 160  # bytes; file systems allow 255


@dataclass(frozen=True)
class Layout:
    """A source, understood but not decoded.

    Args:
        clips: gives the clips in name order.
        count: how many there are.
        key: hex digest of the content.
    """

    clips: Callable[[], Iterable[Clip]]
    count: int
    key: str


@dataclass(frozen=True)
class _Found:
    """A video file, or the frames of a folder."""

    path: Path
    frames: tuple[Path, ...] = ()
    split: str = ""

    @property
    def files(self) -> list[Path]:
        """All the files it is made of."""
        tracks = tracks_beside(self.path)
        return list(self.frames) or [self.path, *([tracks] if tracks else [])]


def file_layout(source: str) -> Layout:
    """Understand a file or a folder.

    Raises:
        UserError: no such file, unknown kind, no permission, or nothing in the folder.
    """
    if not source.strip():
        raise UserError("no source: --data is empty: give a video, an array or a folder")
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            return _folder(path)
        if not path.exists():
            raise UserError(f"no such file or folder: {path}: check the path given as --data")
        if not path.is_file():
            raise UserError(f"neither file nor folder: {path}: give a video, array or folder")
        suffix = path.suffix.lower()
        if suffix in ARRAY_SUFFIXES:
            return _array(path)
        if suffix in VIDEO_SUFFIXES:
            return _clips(path.parent, [_Found(path)])
    except PermissionError as error:
        raise UserError(
            f"no permission to read: {error.filename or path}: allow it with chmod u+rX"
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"cannot be read: {error.filename or path}: {reason}: check the disk and the path"
        ) from error
    known = " ".join((*VIDEO_SUFFIXES, *ARRAY_SUFFIXES))
    raise UserError(
        f"unknown kind of file: {path}: give one of {known}, or a folder of videos or of frames"
    )


def _array(path: Path) -> Layout:
    array = open_array(path)
    name = safe_name(path.stem)

    def clip(index: int) -> Clip:
        if array.videos == 1:
            return Clip(name, str(path), partial(array.read, 0, str(path)))
        where = f"{path}[{index}]"
        return Clip(f"{name}_{index:05d}", where, partial(array.read, index, where))

    clips = [clip(index) for index in range(array.videos)]
    return Layout(lambda: clips, len(clips), content_key(path.parent, [path]))


def _folder(path: Path) -> Layout:
    if (path / "video_train").is_dir() or (path / "video_validation").is_dir():
        found = _clevrer(path)
    else:
        folders = {sub: SPLITS.get(sub.name.lower(), "") for sub in _subfolders(path)}
        sets = set(folders.values())
        # A subfolder that happens to be called "test" beside videos is no set of its own.
        if "train" in sets or (sets & {"val", "test"} and not _videos(path, "")):
            found = [f for sub, split in folders.items() if split for f in _collect(sub, split)]
        else:
            found = _collect(path)
    if not found:
        raise UserError(
            f"no videos in the folder: {path}: expected {' '.join(VIDEO_SUFFIXES)} files, or "
            "folders of numbered png or jpg frames: check the path given as --data"
        )
    return _clips(path, found)


def _clevrer(path: Path) -> list[_Found]:
    """CLEVRER's official folders and the published split: training videos 0-4999; of the
    validation videos (10000-14999) the first thousand to validate, the second to test."""
    found = []
    for part, sets in (("video_train", ("train",) * 5), ("video_validation", ("val", "test"))):
        for item in _collect(path / part) if (path / part).is_dir() else []:
            number = re.search(r"(\d+)$", item.path.stem)
            thousand = int(number[1]) % 10000 // 1000 if number else len(sets)
            if thousand < len(sets):
                found.append(_Found(item.path, split=sets[thousand]))
    return found


def _collect(folder: Path, split: str = "", depth: int = 0) -> list[_Found]:
    """The videos in a folder; else its frames as one video; else what its subfolders hold."""
    videos = _videos(folder, split)
    if videos:
        return videos
    frames = frame_files(folder)
    if frames:
        return [_Found(folder, tuple(frames), split)]
    if depth == DEEPEST:
        return []
    return [found for sub in _subfolders(folder) for found in _collect(sub, split, depth + 1)]


def _videos(folder: Path, split: str) -> list[_Found]:
    return [
        _Found(path, split=split)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]


def _subfolders(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _clips(root: Path, found: list[_Found]) -> Layout:
    clips = []
    for name, item in zip(unique_names(root, [f.path for f in found]), found, strict=True):
        read = partial(read_frame_files, item.frames) if item.frames else None
        clips.append(Clip(name, str(item.path), read or partial(read_video, item.path), item.split))
    clips.sort(key=lambda clip: clip.name)
    files = [file for item in found for file in item.files]
    return Layout(lambda: clips, len(clips), content_key(root, files))


def safe_name(text: str) -> str:
    """`text` as a file name without surprises, short enough to have something added to it."""
    name = re.sub(r"[^\w.-]+", "_", text).lstrip(".-") or "video"
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def unique_names(root: Path, paths: Sequence[Path]) -> list[str]:
    """File names without extension; where they are not unique, with their folders before them,
    then with the extension after them, then with a number."""
    relative = [path.relative_to(root) for path in paths]
    bare = [
        path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path for path in relative
    ]
    root_name = root.resolve().name
    for names in (
        [safe_name(path.name or root_name) for path in bare],
        [safe_name("_".join(path.parts) or root_name) for path in bare],
        [safe_name("_".join(path.parts).replace(".", "_")) for path in relative],
    ):
        if len(set(names)) == len(names):
            return names
    return [f"{name}_{index:05d}" for index, name in enumerate(names)]


def content_key(root: Path, files: Sequence[Path]) -> str:
    """Hex digest that changes when the files do, cheap however large they are.

    Raises:
        OSError: a file vanished, or a folder on the way cannot be entered.
    """
    digest = hashlib.sha256()
    for path in files:
        stat = path.stat()
        # A file that becomes readable must not meet the cache that was built without it.
        readable = os.access(path, os.R_OK)
        facts = (path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns, readable)
        digest.update(repr(facts).encode())
        if readable and len(files) <= HASHED_FILES:
            with path.open("rb") as file:
                digest.update(file.read(MEBIBYTE))
                file.seek(max(0, stat.st_size - MEBIBYTE))
                digest.update(file.read(MEBIBYTE))
    return digest.hexdigest()
