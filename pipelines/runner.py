"""One of our commands in a process of its own, as a user would run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from data.errors import UserError
from pipelines.signals import Interrupted

Runner = Callable[[Sequence[str]], None]


def command(words: Sequence[str]) -> None:
    """Run a command in a process of its own, as a user would; its bars go to stderr.

    It has one thread: sums over several are rounded in another order, and two trainings part.

    Raises:
        UserError: it did not end well.
        Interrupted: it was stopped, and has saved.
    """
    print("particlecast " + " ".join(words), file=sys.stderr, flush=True)
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-P", "-m", "pipelines.cli", *words], env=one_thread)
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                status = child.wait()
                break
            except KeyboardInterrupt:  # the child has it too, and saves before it ends
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
    if status in (130, 143):
        raise Interrupted("stopped: run the same command again to go on", status - 128)
    if status:
        raise UserError(
            f"particlecast {words[0]} ended with status {status}: mend that, then run the same "
            "command again; what is done is kept"
        )
