"""Ctrl-C and SIGTERM as a flag that a loop reads where it can stop cleanly."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interrupted(BaseException):
    """A run stopped cleanly at the user's wish; the message says how to go on.

    No Exception, as KeyboardInterrupt is none: what takes any failure of a file for damage, or goes
    on without something, is not to swallow it.

    Args:
        message: one line.
        signum: the signal; a shell expects the exit status 128 + signum.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


@contextmanager
def stopping() -> Iterator[None]:
    """While entered, SIGTERM raises Interrupted wherever the work is, as Ctrl-C raises
    KeyboardInterrupt: what is half-written is taken away, and what was finished stays.

    Outside the main thread, where Python cannot catch signals, it does nothing; a signal that the
    parent had ignored stays so.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                before[signum] = signal.signal(signum, _break_off)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _break_off(signum: int, frame: FrameType | None) -> None:
    """Stop wherever the work is. An object caught half-made may fail to close itself: that is no
    fault, and the user who stopped the work is not told of it."""
    sys.unraisablehook = _say_nothing
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise Interrupted("stopped; what was finished is kept", signum)


def _say_nothing(_: object) -> None:
    """For sys.unraisablehook."""


class Signals:
    """While entered, the first SIGINT or SIGTERM only sets `caught`; a second SIGINT breaks off.

    Outside the main thread, where Python cannot catch signals, it does nothing.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._catch)  # type: ignore[assignment]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _catch(self, signum: int, frame: FrameType | None) -> None:
        if self.caught and signum == signal.SIGINT:
            _break_off(signum, frame)
        self.caught = signum
