"""The one exception that reaches a user as a single readable line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can mend: says what is wrong, where, and what to do.

    The command line prints its message on one line and exits with status 2.
    """


@contextmanager
def writing(path: Path, *others: type[Exception]) -> Iterator[None]:
    """What the disk refuses while `path` is written is the user's to mend.

    Args:
        others: exceptions of a library that mean the same as OSError.

    Raises:
        UserError: for an OSError or one of `others`.
    """
    refused: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except refused as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot write: {path}: {reason}: free some space or choose another folder"
        ) from error
