"""Synthetic worlds: videos with true tracks and masks, the same for the same seed everywhere.

Motion is worked out in units of the frame's side, so a seed gives the same motion at every size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from data.errors import UserError
from data.videos import Video
from data.worlds import billiards, clevrer, faces, marbles, mujoco_physics, shapes, traffic

World = Callable[..., Video]
"""(frames, size, rng) to a video; one of COUNTED takes `count` too."""

WORLDS: dict[str, World] = {
    "billiards": billiards.simulate,
    "traffic": traffic.simulate,
    "clevrer": clevrer.simulate,
    "shapes": shapes.simulate,
    "marbles": marbles.simulate,
    "faces": faces.simulate,
}

# Each way of moving, and the worlds that know it.
PHYSICS: dict[str, dict[str, World]] = {
    "plain": WORLDS,
    "mujoco": {"clevrer": partial(clevrer.simulate, physics=mujoco_physics.move)},
}

# The worlds that take a number of objects, and the most they have room for.
COUNTED = {"billiards": billiards.MOST}

# What `synthetic:WORLD` stands for.
DEFAULTS: dict[str, dict[str, int]] = {
    "billiards": {"videos": 300, "frames": 50, "size": 64},
    "traffic": {"videos": 240, "frames": 50, "size": 64},
    "clevrer": {"videos": 160, "frames": 40, "size": 64},
    "shapes": {"videos": 4000, "frames": 1, "size": 64},
    "marbles": {"videos": 240, "frames": 40, "size": 64},
    "faces": {"videos": 600, "frames": 10, "size": 64},
}


def simulate(
    world: str, frames: int, size: int, seed: int, physics: str = "plain", objects: int = 0
) -> Video:
    """One video of a world.

    Args:
        world: one of WORLDS.
        frames: how many, at least 1.
        size: the frame's side in pixels, an even multiple of 8, at least 32.
        seed: 0 or more; the same (world, seed) gives the same motion at any size.
        physics: "plain", or for clevrer "mujoco": the same start, other motion.
        objects: how many, in a world of COUNTED; 0: as many as it likes.

    Returns:
        A Video with Truth and masks.

    Raises:
        UserError: unknown world, or a size, number of frames or seed out of range, or a physics
            that the world does not know or that is not installed.
    """
    check(world, 1, frames, size, seed, physics, objects)
    rng = np.random.default_rng([zlib.crc32(world.encode()), seed])
    count = {"count": objects} if objects else {}
    return replace(PHYSICS[physics][world](frames, size, rng, **count), name=f"{world}_{seed:05d}")


def check(
    world: str,
    videos: int,
    frames: int,
    size: int,
    seed: int,
    physics: str = "plain",
    objects: int = 0,
) -> None:
    """Raise UserError unless a world can be made like this."""
    if world not in WORLDS:
        raise UserError(f"unknown world: {world!r}: choose one of {', '.join(WORLDS)}")
    for name, value, least in (("videos", videos, 1), ("frames", frames, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"too small: {name} = {value}: give at least {least}")
    if size < 32 or size % 8:
        raise UserError(f"bad size: {size} pixels: give a multiple of 8, at least 32")
    if objects and not 1 <= objects <= COUNTED.get(world, 0):
        most = ", ".join(f"{name} up to {most}" for name, most in COUNTED.items())
        raise UserError(f"bad number: objects = {objects}: world {world!r} takes none such: {most}")
    if physics not in PHYSICS:
        raise UserError(f"unknown physics: {physics!r}: choose one of {', '.join(PHYSICS)}")
    if world not in PHYSICS[physics]:
        raise UserError(
            f"no physics {physics!r}: world {world!r} moves by rules of its own: "
            f"leave physics out, or choose {' or '.join(PHYSICS[physics])}"
        )
    if physics == "mujoco":
        mujoco_physics.load()


def seed_of(seed: int, index: int) -> int:
    """The seed of video `index` in a set; sets of different seeds share none."""
    return seed * 1_000_000 + index


def split_of(index: int, videos: int) -> str:
    """The split of video `index`: the last tenth is for test, the tenth before for validation."""
    held_out = max(1, round(videos / 10))
    if index >= videos - held_out:
        return "test"
    return "val" if index >= videos - 2 * held_out else "train"


def generate_dataset(
    world: str,
    videos: int,
    frames: int,
    size: int,
    seed: int,
    progress: Callable[[str, float], None] | None = None,
    physics: str = "plain",
    objects: int = 0,
) -> Iterator[tuple[str, Video]]:
    """Videos one after another, each with its split, train first.

    Args:
        world, frames, size, physics, objects: as for `simulate`.
        videos: how many, at least 3.
        seed: of the whole set; the seeds of its videos are its own.
        progress: called with a line of text and the share done, in [0, 1].

    Yields:
        ("train" | "val" | "test", Video), the videos named WORLD_00000 and on.

    Raises:
        UserError: as `simulate`, or fewer than 3 videos.
    """
    check(world, videos, frames, size, seed, physics, objects)
    if videos < 3:
        raise UserError(f"too few videos: {videos}: give at least 3, one for each split")
    for index in range(videos):
        video = simulate(world, frames, size, seed_of(seed, index), physics, objects)
        yield split_of(index, videos), replace(video, name=f"{world}_{index:05d}")
        if progress is not None:
            progress(f"making {world} videos", (index + 1) / videos)
