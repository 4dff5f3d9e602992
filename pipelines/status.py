"""How a command ends: what it says, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable

from data.errors import UserError
from pipelines.signals import Interrupted


def status(name: str, work: Callable[[], int | None]) -> int:
    """Do a command's work; the exit status.

    0: done, or what the work says. 2: a mistake of the user's, told in one line. 130, 143: stopped
    by Ctrl-C, SIGTERM.
    """
    try:
        return work() or 0
    except UserError as error:
        print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"{name}: {stop}", file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:
        print(f"{name}: stopped; what was finished is kept", file=sys.stderr)
        return 130
