"""The folder that results go to. Light: nothing here imports torch."""

from __future__ import annotations

import os
from pathlib import Path

from data.errors import UserError


def make_folder(out: Path) -> None:
    """Make the folder that results go to, and find out before the work whether it can be written.

    Raises:
        UserError: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the output folder {out}: {error.strerror}: choose another --out"
        ) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to the output folder {out}: choose another --out")
