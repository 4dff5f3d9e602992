"""One process a run folder: the second is told that the first holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import UserError

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
"""Where launchers tell a process its number among those of a run, or its machine's."""
_held: set[Path] = set()


@contextmanager
def hold_run(run: Path) -> Iterator[None]:
    """Hold a run folder while the block runs; it is made if need be, and taken away
    again if nothing comes into it. May be nested.

    The system drops the lock when the process ends, however it ends.

    Raises:
        UserError: another process holds it, or it cannot be made.
    """
    folder = Path(run).resolve()
    if folder in _held or is_follower():
        yield
        return
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise UserError(
            f"cannot write to the run folder {run}: {error.strerror}: choose another --run"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"the run folder {run} is held by another particlecast (process {holder}): "
                "wait for it, stop it, or choose another --run"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _held.add(folder)
        try:
            yield
        finally:
            _held.discard(folder)
            file.truncate(0)
            if is_new:
                _remove_if_empty(folder)


def is_follower() -> bool:
    """Whether this is a further process of a run: the first one holds the folder for all."""
    ranks = (os.environ.get(name, "0") for name in RANKS)
    return any(rank not in ("", "0") for rank in ranks)


def _remove_if_empty(folder: Path) -> None:
    """Take away a folder that was made for a run that came to nothing."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            folder.rmdir()
