"""Arrays that grow over time, such as a long forecast, into one .npz in constant memory."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType

import numpy as np

from data.errors import UserError, writing
from data.storage import ArrayWriter

_AT_ONCE = 1 << 20  # bytes
_PLAIN = "biufc"  # kinds of numbers whose bytes are all there is to them


class NpzWriter:
    """Appends to several arrays; at the end they are one compressed .npz for `np.load`.

    The file appears whole or not at all. Until then the rows lie uncompressed in a hidden folder
    beside it, because a zip file takes its members one after another.

        with NpzWriter(path) as out:
            for part in predict(...):
                out.append(frames=part.frames, position=part.position)

    Args:
        path: where; its folder must exist. A file of that name is replaced.

    Raises:
        UserError: no row at all, or the disk is full or not writable.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._writers: dict[str, ArrayWriter] = {}

    def __enter__(self) -> NpzWriter:
        with writing(self.path):
            aside = mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
        self._aside = Path(aside)
        return self

    def append(self, **arrays: np.ndarray) -> None:
        """Write rows [t, ...] behind those of each array.

        Raises:
            ValueError: other names, types or row shapes than at first, or lengths that differ.
            UserError: the disk is full.
        """
        if not arrays:
            raise ValueError("NpzWriter: no arrays: expected at least one")
        _check_rows(arrays)
        if not self._writers:
            with writing(self.path):
                for name, rows in arrays.items():
                    file, row = self._aside / f"{name}.npy", rows.shape[1:]
                    self._writers[name] = ArrayWriter(file, rows.dtype.type, row)
        if arrays.keys() != self._writers.keys():
            odd = ", ".join(sorted(arrays.keys() ^ self._writers.keys()))
            raise ValueError(f"NpzWriter: {odd}: expected the names {', '.join(self._writers)}")
        for name, rows in arrays.items():
            kind, row = self._writers[name].kind, self._writers[name].row
            if rows.dtype != kind or rows.shape[1:] != row:
                raise ValueError(
                    f"NpzWriter: {name} has rows of {rows.dtype} {rows.shape[1:]}: "
                    f"expected {kind} {row} as before"
                )
        with writing(self.path):
            for name, rows in arrays.items():
                self._writers[name].append(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            for writer in self._writers.values():
                writer.abandon()
            shutil.rmtree(self._aside, ignore_errors=True)

    def _finish(self) -> None:
        if not any(writer.rows for writer in self._writers.values()):
            raise UserError(f"no frames: {self.path}: a file of arrays needs at least one")
        packed = self._aside / "packed"
        with writing(self.path):
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, writer in self._writers.items():
                    writer.finish(durable=False)
                    loose = self._aside / f"{name}.npy"
                    with (
                        loose.open("rb") as source,
                        archive.open(loose.name, "w", force_zip64=True) as member,
                    ):
                        shutil.copyfileobj(source, member, _AT_ONCE)
                    loose.unlink()
            os.replace(packed, self.path)


def _check_rows(arrays: dict[str, np.ndarray]) -> None:
    """All must be numbers, and equally many rows of them."""
    for name, rows in arrays.items():
        if rows.ndim == 0 or rows.dtype.kind not in _PLAIN:
            raise ValueError(
                f"NpzWriter: {name} is {rows.dtype} {rows.shape}: expected numbers [t, ...]"
            )
    lengths = {name: len(rows) for name, rows in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"NpzWriter: lengths differ: {lengths}; expected one")
