"""From a SOURCE text to a split data set of decoded videos: the door to this package."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from data.cache import cached, default_root
from data.celeba import celeba_layout, is_celeba
from data.errors import UserError
from data.frames import FrameConfig
from data.layouts import Layout, file_layout
from data.orl import annotated_layout, is_annotated
from data.split import split_names, split_time
from data.storage import VERSION, Stored
from data.synthetic import PREFIX, parse, synthetic_layout
from data.videos import Dataset, Truth, Video

# What decides the stored frames; the rest of FrameConfig only splits or judges them.
STORED_FIELDS = ("size", "square", "crop", "start", "skip", "limit")


def open_source(
    source: str,
    config: FrameConfig,
    cache: Path | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Dataset:
    """Open a source, decoding it if the cache does not hold it yet.

    Args:
        source: a video file; a folder of videos, of folders of numbered frames, or of frames,
            with train/val/test subfolders or without; CLEVRER's official folders; CelebA's, with
            MAFL's lists; a folder of faces with their landmarks (data.orl); a .npy, .npz
            or HDF5 array [N, T, H, W, 3] or [T, H, W, 3] of uint8; or
            `synthetic:WORLD[,videos=N,frames=T,size=S,seed=K,physics=P,disturb=D]`.
        cache: the folder of all caches; None: $PARTICLECAST_CACHE or ~/.cache/particlecast.
        progress: called with a line of text and the share done, in [0, 1].

    Returns:
        A Dataset whose train, val and test are never empty (see data.split). A source of a
        single video is split by time.

    Raises:
        UserError: one line, for whatever is wrong with the source, the settings or the disk.
    """
    if made := source.startswith(PREFIX):
        # A world is stored at the size it is made at: the automatic size is not for it.
        config = replace(config, size=parse(source, config.size)[1]["size"])
        layout = synthetic_layout(source, config)
    else:
        layout = faces_layout(Path(source).expanduser()) or file_layout(source)
    key = cache_key(layout.key, config)
    stored = cached(cache or default_root(), key, layout, config, progress)
    if config.strict and stored.left_out:
        raise UserError(stored.left_out[0])
    # A copy of a folder is the same data: files are known by their frames, not by their dates.
    dataset = _split(source, key if made else stored.content, stored, config)
    return replace(dataset, key=key)


def faces_layout(folder: Path) -> Layout | None:
    """The layout of a folder of annotated faces; None for any other source."""
    if not os.path.isdir(folder):  # which, unlike Path's, is no error for a name too long
        return None
    if is_celeba(folder):
        return celeba_layout(folder)
    return annotated_layout(folder) if is_annotated(folder) else None


def cache_key(content: str, config: FrameConfig) -> str:
    """Hex digest of the content's key and of the settings that shape the stored frames."""
    settings = {name: asdict(config)[name] for name in STORED_FIELDS}
    return hashlib.sha256(repr((VERSION, content, settings)).encode()).hexdigest()


def _split(source: str, fingerprint: str, stored: Stored, config: FrameConfig) -> Dataset:
    videos = {video.name: video for video in sorted(stored.videos, key=lambda video: video.name)}
    whole = tuple(videos.values())
    if len(whole) == 1:
        parts = split_time(len(whole[0]), config.val_share, config.test_share)
        first, middle, last = ((part(whole[0], frames),) for frames in parts)
        return Dataset(
            source, fingerprint, first, middle, last, whole, True, left_out=stored.left_out
        )
    sets = {video.name: split for video, split in zip(stored.videos, stored.splits, strict=True)}
    fit = tuple(videos[name] for name, split in sorted(sets.items()) if split == "fit")
    given = {name: split for name, split in sets.items() if split != "fit"}
    chosen = split_names(list(given), list(given.values()), config.val_share, config.test_share)
    train, val, test = (tuple(videos[name] for name in names) for names in chosen)
    named = "test" in stored.splits
    return Dataset(source, fingerprint, train, val, test, whole, False, named, fit, stored.left_out)


def part(video: Video, frames: range) -> Video:
    """The frames of a range, with their truth, as a video of the same name."""
    cut = slice(frames.start, frames.stop)
    truth = video.truth
    if truth is not None:
        mask = None if truth.mask is None else truth.mask[cut]
        truth = Truth(truth.position[cut], truth.visible[cut], truth.radius[cut], mask)
    return replace(video, frames=video.frames[cut], truth=truth)


def require_length(videos: Sequence[Video], frames: int, what: str) -> None:
    """Check that every video has the frames a later stage needs.

    Args:
        what: what needs them, such as "context 10 + horizon 20".

    Raises:
        UserError: naming the first video that is too short.
    """
    for video in videos:
        if len(video) < frames:
            raise too_short(video, frames, what)


def too_short(video: Video, need: int, what: str) -> UserError:
    """The error for a video of fewer than `need` stored frames."""
    return UserError(
        f"video too short: {video.name} has {len(video)} frames, {what} needs {need}: "
        "ask for fewer, or leave the video out"
    )
