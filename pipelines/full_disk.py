"""A full disk is told in one line, whichever command meets it, and in whichever thread."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import UserError


@contextmanager
def telling_of_full_disks() -> Iterator[None]:
    """Around a command.

    Raises:
        UserError: a disk is full, and nobody inside has said so.
    """
    before = threading.excepthook

    def in_thread(met: threading.ExceptHookArgs) -> None:
        """TensorBoard writes in a thread; what happens there is raised in the main one again."""
        if not is_full(met.exc_value):
            before(met)

    threading.excepthook = in_thread
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        where = f": {error.filename}" if error.filename else ""
        raise UserError(
            f"{error.strerror}{where}: free some space, then run the same command again"
        ) from error
    finally:
        threading.excepthook = before


def is_full(error: BaseException | None) -> bool:
    """Whether the error is a full disk or a used-up quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
