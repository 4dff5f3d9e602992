"""Small files laid out and encoded as the real ones."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

CODECS = {
    ".mp4": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".avi": "mpeg4",
    ".webm": "libvpx",
    ".gif": "gif",
}


def moving_square(frames: int, height: int = 320, width: int = 480) -> np.ndarray:
    """[t, h, w, 3] uint8: a red square that slides to the right over a blue ground."""
    film = np.zeros((frames, height, width, 3), np.uint8)
    film[..., 2] = 200
    side = height // 4
    for index in range(frames):
        left = index * 4 % (width - side)
        film[index, side : 2 * side, left : left + side] = (230, 10, 10)
    return film


def write_video(
    path: Path, film: np.ndarray, fps: int = 25, turn: int = 0, options: dict | None = None
) -> Path:
    """Encode with the codec usual for the suffix; `turn` degrees are noted, not applied."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = CODECS[path.suffix.lower()]
    with av.open(str(path), "w", format=None, options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = film.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        for image in film:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first share of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
