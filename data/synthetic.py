"""`synthetic:WORLD[,videos=N,frames=T,size=S,seed=K,objects=M,physics=P,disturb=D]` as a source."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

import data.disturb
import data.worlds
from data.decode import Clip, Reading
from data.errors import UserError
from data.frames import LARGEST_SIDE, FrameConfig
from data.layouts import Layout
from data.videos import Video

PREFIX = "synthetic:"
LARGEST = {
    "videos": 1_000_000,
    "frames": 100_000,
    "size": LARGEST_SIDE,
    "seed": 2**63 - 1,
    "objects": 1_000,
}
DIGITS = 19  # no larger number is looked at


def synthetic_layout(source: str, config: FrameConfig) -> Layout:
    """Understand a synthetic source; its videos are made as they are read.

    Raises:
        UserError: unknown world, option, physics or disturbance, or a value out of range.
    """
    world, options, physics, disturbances = parse(source, config.size)
    data.worlds.check(world, **options, physics=physics)
    # A world whose code has changed is another world: its old cache must not be used.
    digest = hashlib.sha256(repr((world, sorted(options.items()))).encode())
    for path in sorted(Path(data.worlds.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    if physics != "plain":
        digest.update(f"{physics} {version(physics)}".encode())
    if disturbances:
        digest.update(repr(disturbances).encode() + Path(data.disturb.__file__).read_bytes())
    clips = partial(_clips, world, options, physics, disturbances)
    return Layout(clips, options["videos"], digest.hexdigest())


def parse(source: str, size: int = 0) -> tuple[str, dict[str, int], str, tuple[str, ...]]:
    """The world's name; its videos, frames, size, seed and objects; its physics; its disturbances.

    Args:
        size: the frames' side if the source does not give one; 0: the world's own.

    Raises:
        UserError: unknown world, option or disturbance, or not a whole number.
    """
    world, *rest = source.removeprefix(PREFIX).split(",")
    if world not in data.worlds.DEFAULTS:
        raise UserError(
            f"unknown world: {source}: choose one of {', '.join(sorted(data.worlds.DEFAULTS))}"
        )
    options, physics = {"seed": 0, **data.worlds.DEFAULTS[world]}, "plain"
    disturbances: tuple[str, ...] = ()
    if size:
        options["size"] = size
    for item in rest:
        key, _, value = item.partition("=")
        if key == "physics":
            physics = value
            continue
        if key == "disturb":
            disturbances = tuple(value.split("+"))
            for name in disturbances:
                data.disturb.check(name)
            continue
        if key not in LARGEST or not value.isdecimal():
            raise UserError(
                f"bad option {item!r}: {source}: write {', '.join(LARGEST)} as name=whole number, "
                f"such as {PREFIX}{world},videos=20,seed=1; physics is one of "
                f"{', '.join(data.worlds.PHYSICS)}; disturb of {', '.join(data.disturb.NAMES)}"
            )
        if len(value) > DIGITS or int(value) > LARGEST[key]:
            raise UserError(
                f"option too large: {source}: {key} may be at most {LARGEST[key]}: ask for less"
            )
        options[key] = int(value)
    return world, options, physics, disturbances


def shown(names: Iterable[str], source: str, trained: str) -> list[str]:
    """Those videos of a source that whoever was trained on another has trained or validated on.

    Sets of one world and seed begin with the same videos but are split by their number, so a test
    video of a small set may be a training video of a large one. Length, size and disturbances do
    not matter: what moves is the same.

    Args:
        names: of videos of `source`.
        source: any SOURCE.
        trained: the SOURCE trained on, unchecked; what cannot be understood shares no video.
    """
    if not (source.startswith(PREFIX) and trained.startswith(PREFIX)):
        return []
    try:
        here, there = parse(source), parse(trained)
    except UserError:
        return []
    if _motion(*here) != _motion(*there):
        return []
    videos = there[1]["videos"]
    indices = {name: int(name.rpartition("_")[2]) for name in names}
    return [name for name, at in indices.items() if data.worlds.split_of(at, videos) != "test"]


def _motion(
    world: str, options: dict[str, int], physics: str, disturbances: tuple[str, ...]
) -> tuple[str, int, int, str]:
    """What decides how the video of an index moves."""
    return world, options["seed"], options.get("objects", 0), physics


def _clips(
    world: str, options: dict[str, int], physics: str, disturbances: tuple[str, ...]
) -> Iterator[Clip]:
    made = data.worlds.generate_dataset(world, **options, progress=None, physics=physics)
    for index, (split, video) in enumerate(made):
        for name in disturbances:
            # Each has its own generator: `light` is the same with `noise` and without.
            seed = data.worlds.seed_of(options["seed"], index)
            video = disturbed(video, name, np.random.default_rng([zlib.crc32(name.encode()), seed]))
        yield Clip(video.name, f"{PREFIX}{world}/{video.name}", partial(_read, video), split)


def disturbed(video: Video, name: str, rng: np.random.Generator) -> Video:
    """A video after one disturbance; its true positions and masks move with the picture."""
    frames, shift = data.disturb.disturb(name, video.frames, rng)
    truth = video.truth
    if truth is not None and shift.any():
        mask = truth.mask
        if mask is not None:
            mask = data.disturb.move(mask, shift, cv2.INTER_NEAREST)
        # What is moved out of the frame stops being visible when the truth is stored.
        truth = replace(truth, position=truth.position + shift[:, None], mask=mask)
    return replace(video, frames=frames, truth=truth)


def _read(video: Video, config: FrameConfig) -> Reading:
    picks = config.picks(len(video))
    frames = (video.frames[index] for index in picks)
    return Reading(frames, video.fps, len(picks), video.truth)
