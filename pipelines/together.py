"""The processes of a run end together: when one fails, none is left waiting for it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import UserError
from pipelines.lock import is_follower

HOLD = 3.0
"""Seconds for which a further process that fails leaves the word to the first."""
PATIENCE = 30.0
"""Seconds in which one that has hung up should have ended."""
_launched: list[list[subprocess.Popen[bytes]]] = []
_parent = os.getppid()


def remember(processes: list[subprocess.Popen[bytes]]) -> None:
    """Take these for further processes of this one's run.

    Args:
        processes: the launcher's own list. Its watcher, which kills this process when one of them
            has failed, has nothing to watch once they are taken off it.
    """
    _launched.append(processes)


@contextmanager
def together() -> Iterator[None]:
    """Around a command: what goes wrong in one of its processes ends all, and is told once.

    Raises:
        SystemExit: another process has failed, and has said why.
        UserError: another process was killed.
    """
    try:
        yield
    except BaseException as error:
        if is_follower():
            # What goes wrong here mostly goes wrong in the first process too, which tells it and
            # ends this one.
            time.sleep(HOLD)
            if isinstance(error, RuntimeError) and os.getppid() != _parent:
                raise UserError(_killed("the first process")) from error
            raise
        lost = isinstance(error, RuntimeError)  # as when another process hangs up
        code = _end_others(PATIENCE if lost else 0)
        if lost and code > 0:
            raise SystemExit(code) from error
        if lost and code < 0:
            raise UserError(_killed("another process", f" (signal {-code})")) from error
        raise


def _killed(who: str, how: str = "") -> str:
    return (
        f"{who} of this run was killed{how}, perhaps for want of memory: run the same command "
        "with --resume, with fewer --devices if need be"
    )


def _end_others(patience: float) -> int:
    """End the run's other processes.

    Args:
        patience: seconds to wait for one that is about to end by itself.

    Returns:
        The code of one that had failed by itself; 0: none had.
    """
    others = [process for processes in _launched for process in processes]
    for processes in _launched:
        processes.clear()
    until, codes = time.monotonic() + patience, [0]
    while others and not any(codes) and time.monotonic() < until:
        time.sleep(0.05)
        codes = [other.poll() or 0 for other in others]
    for other in others:
        other.kill()
        other.wait()
    return next(filter(None, codes), 0)
