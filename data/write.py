"""Films: H.264 mp4 files that a browser plays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from data.errors import UserError, writing

STEADY = "mbtree=0"
"""With macroblock trees, x264 writes the same frames as another file in one of ten runs."""


class Mp4Writer:
    """Encodes frames as they come; the file appears when it is whole, or not at all.

    The same frames are the same file, byte for byte.

        with Mp4Writer(path, fps) as film:
            film.append(frames)

    Args:
        path: where; its folder must exist. A file of that name is replaced.
        fps: frames a second, above 0.
        crf: H.264's constant rate factor, 0 (lossless) to 51; 10 is hard to tell from the source.

    Raises:
        UserError: no frame at all, or the disk is full or not writable.
    """

    def __init__(self, path: str | Path, fps: float, crf: int = 18) -> None:
        self.path = Path(path)
        self.fps, self.crf = fps, crf
        self.shape: tuple[int, ...] = ()
        self.count = 0

    def __enter__(self) -> Mp4Writer:
        self._aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        with writing(self.path, av.FFmpegError):
            self._container = av.open(
                str(self._aside), "w", format="mp4", options={"movflags": "+faststart"}
            )
            rate = Fraction(self.fps).limit_denominator(1000)
            options = {"crf": str(self.crf), "preset": "medium", "x264-params": STEADY}
            self._stream = self._container.add_stream("libx264", rate, options)
            self._stream.pix_fmt = "yuv420p"
        return self

    def append(self, frames: Iterable[np.ndarray]) -> None:
        """Encode frames [h, w, 3] uint8 RGB, all of one size.

        H.264 needs even sides: an odd one is padded by repeating its last row or column.

        Raises:
            ValueError: a frame of another size or type.
            UserError: the disk is full.
        """
        for frame in frames:
            if not self.shape:
                self.shape = frame.shape
                height, width = (side + side % 2 for side in self.shape[:2])
                self._stream.height, self._stream.width = height, width
            if frame.shape != self.shape or frame.ndim != 3 or frame.dtype != np.uint8:
                raise ValueError(
                    f"frame {self.count} is {frame.dtype} {frame.shape}: "
                    f"expected uint8 {self.shape}"
                )
            odd = ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0))
            picture = np.ascontiguousarray(np.pad(frame, odd, mode="edge"))
            with writing(self.path, av.FFmpegError):
                encoded = self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
                self._container.mux(encoded)
            self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None and self.count:
                with writing(self.path, av.FFmpegError):
                    self._container.mux(self._stream.encode())
                    self._container.close()
                    self._aside.replace(self.path)
        finally:
            with contextlib.suppress(OSError, av.FFmpegError):  # a full disk is still full
                self._container.close()
            with contextlib.suppress(OSError):  # nor is there a file in a folder that is none
                self._aside.unlink()
        if error is None and not self.count:
            raise UserError(f"no frames: {self.path}: a film needs at least one")


def write_mp4(path: str | Path, frames: Iterable[np.ndarray], fps: float, crf: int = 18) -> None:
    """Write frames as they come, one in memory at a time; see `Mp4Writer`."""
    with Mp4Writer(path, fps, crf) as film:
        film.append(frames)
