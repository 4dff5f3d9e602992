"""Films: H.264 mp4 files that a browser plays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from data.errors import UserError


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float, crf: int = 18) -> None:
    """Write frames as they come, one in memory at a time; the file appears when it is whole.

    Args:
        path: where; its folder must exist. A file of that name is replaced.
        frames: [h, w, 3] uint8 RGB each, all of one size. H.264 needs even sides: an odd one is
            padded by repeating its last row or column.
        fps: frames a second, above 0.
        crf: H.264's constant rate factor, 0 (lossless) to 51; 10 is hard to tell from the source.

    Raises:
        UserError: no frame at all, or the disk is full or not writable.
        ValueError: a frame of another size or type.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        count = _encode(aside, frames, fps, crf)
        if not count:
            raise UserError(f"no frames: {path}: a film needs at least one")
        aside.replace(path)
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write: {path}: {reason}; free space or choose another") from error
    finally:
        aside.unlink(missing_ok=True)


def _encode(path: Path, frames: Iterable[np.ndarray], fps: float, crf: int) -> int:
    """Encode all frames into `path`, and return how many there were."""
    shape, count = None, 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate, {"crf": str(crf), "preset": "medium"})
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            if shape is None:
                shape = frame.shape
                stream.height, stream.width = (side + side % 2 for side in shape[:2])
            if frame.shape != shape or frame.ndim != 3 or frame.dtype != np.uint8:
                raise ValueError(
                    f"frame {count} is {frame.dtype} {frame.shape}: expected uint8 {shape}"
                )
            odd = ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0))
            picture = np.ascontiguousarray(np.pad(frame, odd, mode="edge"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            count += 1
        if count:
            container.mux(stream.encode())
    return count
