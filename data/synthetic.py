"""`synthetic:WORLD[,videos=N,frames=T,size=S,seed=K,physics=P]` as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import data.worlds
from data.decode import Clip, Reading
from data.errors import UserError
from data.frames import FrameConfig
from data.layouts import Layout
from data.videos import Video

PREFIX = "synthetic:"
OPTIONS = ("videos", "frames", "size", "seed")


def synthetic_layout(source: str, config: FrameConfig) -> Layout:
    """Understand a synthetic source; its videos are made as they are read.

    Raises:
        UserError: unknown world, option or physics, or a value out of range.
    """
    world, options, physics = parse(source, config.size)
    data.worlds.check(world, **options, physics=physics)
    # A world whose code has changed is another world: its old cache must not be used.
    digest = hashlib.sha256(repr((world, sorted(options.items()))).encode())
    for path in sorted(Path(data.worlds.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    if physics != "plain":
        digest.update(f"{physics} {version(physics)}".encode())
    return Layout(partial(_clips, world, options, physics), options["videos"], digest.hexdigest())


def parse(source: str, size: int = 0) -> tuple[str, dict[str, int], str]:
    """The world's name; its videos, frames, size and seed; its physics.

    Args:
        size: the frames' side if the source does not give one; 0: the world's own.

    Raises:
        UserError: unknown world or option, or not a whole number.
    """
    world, *rest = source.removeprefix(PREFIX).split(",")
    if world not in data.worlds.DEFAULTS:
        raise UserError(
            f"unknown world: {source}: choose one of {', '.join(sorted(data.worlds.DEFAULTS))}"
        )
    options, physics = {"seed": 0, **data.worlds.DEFAULTS[world]}, "plain"
    if size:
        options["size"] = size
    for item in rest:
        key, _, value = item.partition("=")
        if key == "physics":
            physics = value
            continue
        if key not in OPTIONS or not value.isdecimal():
            raise UserError(
                f"bad option {item!r}: {source}: write {', '.join(OPTIONS)} as name=whole number, "
                f"such as {PREFIX}{world},videos=20,seed=1; physics is one of "
                f"{', '.join(data.worlds.PHYSICS)}"
            )
        options[key] = int(value)
    return world, options, physics


def _clips(world: str, options: dict[str, int], physics: str) -> Iterator[Clip]:
    for split, video in data.worlds.generate_dataset(
        world, **options, progress=None, physics=physics
    ):
        yield Clip(video.name, f"{PREFIX}{world}/{video.name}", partial(_read, video), split)


def _read(video: Video, config: FrameConfig) -> Reading:
    picks = config.picks(len(video))
    frames = (video.frames[index] for index in picks)
    return Reading(frames, video.fps, len(picks), video.truth)
