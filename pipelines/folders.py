"""The folder that results go to. Light: nothing here imports torch."""

from __future__ import annotations

import os
from pathlib import Path

from data.errors import UserError
from data.layouts import SPLITS


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


def keep_apart(data: str, out: Path) -> None:
    """Stop before results would be written among the videos that they are made of.

    Raises:
        UserError: `out` is the folder of the source, or of one of its splits.
    """
    source = Path(data).resolve()
    if not source.exists():  # synthetic, or about to be refused
        return
    where, home = out.resolve(), source if source.is_dir() else source.parent
    if where == home or (where.parent == source and where.name.lower() in SPLITS):
        raise UserError(
            f"--out {out} is where the videos of {data} are, some of which might be overwritten: "
            "choose another --out"
        )
