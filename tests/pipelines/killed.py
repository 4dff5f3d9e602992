"""A real training process that is killed (SIGKILL) at a chosen moment.

Processes are forked from a server that has imported torch once, so that each starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import torch

import pipelines.rollout
import pipelines.train_dlp
import pipelines.train_dynamics
from pipelines.cli import main

LANGUAGE = multiprocessing.get_context("forkserver")
LANGUAGE.set_forkserver_preload([__name__])


def die() -> None:
    """As if the power went."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(seconds: float) -> None:
    """Die so many seconds from now."""
    threading.Timer(seconds, die).start()


def die_at_file(root: Path, number: int) -> None:
    """Die just before the n-th file operation under a folder: most belong to saving."""
    left = [number]
    prefix = str(root)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.split(".")[0] not in ("open", "os", "shutil"):
            return
        if any(isinstance(one, str | Path) and str(one).startswith(prefix) for one in arguments):
            left[0] -= 1
            if left[0] == 0:
                die()

    sys.addaudithook(watch)


def run(words: list[str], root: Path, seconds: float, number: int, log: Path) -> None:
    """The command line in this process, to be killed at a moment or, with neither, to end."""
    torch.set_num_threads(1)
    # A shell that starts the tests in the background has Ctrl-C ignored, by them and by this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if number:
        die_at_file(root, number)
    if seconds:
        for stage in (pipelines.train_dlp.DLPStage, pipelines.train_dynamics.DynamicsStage):
            setattr(stage, "batch", _starting(getattr(stage, "batch"), seconds))  # noqa: B009, B010
    sys.exit(main(words))


def _starting(draw: Any, seconds: float) -> Any:
    """A stage's `batch` that starts the clock when it is first called."""
    started: list[bool] = []

    def batch(*arguments: Any) -> Any:
        if not started:
            started.append(True)
            die_after(seconds)
        return draw(*arguments)

    return batch


def start(
    words: list[str], root: Path, log: Path, seconds: float = 0.0, number: int = 0
) -> int | None:
    """Run a command in a process of its own; its exit code, -9 if it was killed."""
    process = LANGUAGE.Process(target=run, args=(words, root, seconds, number, log))
    process.start()
    process.join()
    return process.exitcode
