"""Ctrl-C and SIGTERM as a flag that a loop reads where it can stop cleanly."""

from __future__ import annotations

import signal
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

    Outside the main thread, where Python cannot catch signals, it does nothing.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Interrupted("stopped; what was finished is kept", signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
            raise KeyboardInterrupt
        self.caught = signum
