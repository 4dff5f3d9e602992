"""The command line with something that goes wrong in one of its processes, or is written down.

MEDDLE=NAME python -m tests.pipelines.meddled WORDS; a further process of a run is started alike.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import pipelines.encode
from data.errors import UserError
from pipelines.cli import main
from pipelines.lock import is_follower
from pipelines.train_dlp import DLPStage

STEP = 9
"""The step at which a process that does not save fails."""


def at_fsync(error: Exception) -> None:
    """Whoever saves a checkpoint meets an error."""
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if "/.step_" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise error
        flush(descriptor)

    setattr(os, "fsync", fsync)  # noqa: B010


def in_one(follower: bool, fail: Callable[[], None]) -> None:
    """The first process, or the one after it, fails while it trains."""
    draw = DLPStage.batch

    def batch(stage: DLPStage, step: int, generator: torch.Generator) -> torch.Tensor:
        if step == STEP and is_follower() == follower:
            fail()
        return draw(stage, step, generator)

    setattr(DLPStage, "batch", batch)  # noqa: B010


def full() -> None:
    """The disk is full."""
    at_fsync(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def broken() -> None:
    """Saving has a mistake in it."""
    at_fsync(ValueError("a mistake"))


def refused() -> None:
    """A further process has a reason to stop."""

    def fail() -> None:
        raise UserError("not with me")

    in_one(True, fail)


def killed() -> None:
    """A further process is killed."""
    in_one(True, lambda: os.kill(os.getpid(), signal.SIGKILL))


def alone() -> None:
    """The first process is killed."""
    in_one(False, lambda: os.kill(os.getpid(), signal.SIGKILL))


def watched() -> None:
    """Each video that is encoded is written down, by who encodes it: in the file $WATCHED."""
    track = pipelines.encode.track

    def written(*arguments: Any) -> Any:
        with Path(os.environ["WATCHED"]).open("a") as file:
            file.write("follower\n" if is_follower() else "leader\n")
        return track(*arguments)

    setattr(pipelines.encode, "track", written)  # noqa: B010


if __name__ == "__main__":
    {one.__name__: one for one in (full, broken, refused, killed, alone, watched)}[
        os.environ["MEDDLE"]
    ]()
    sys.exit(main())
