"""Memory and time of opening many small videos, and a folder of many frames.

    python benchmarks/many_files.py FOLDER 200 2000 20000

Makes them in FOLDER (one small video, copied; one small picture, linked), opens each set in a
process of its own, decoded anew and from the cache, and prints the peak of its resident memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIDE, FRAMES = 32, 8


def film(path: Path) -> Path:
    """A square that moves, H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for index in range(FRAMES):
            image = np.zeros((SIDE, SIDE, 3), np.uint8)
            image[8:16, index : index + 8] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def films(folder: Path, count: int) -> Path:
    """Copies of one film; every one is read and decoded by itself."""
    folder.mkdir(parents=True)
    content = film(folder.parent / "model.mp4").read_bytes()
    for index in range(count):
        (folder / f"film_{index:06d}.mp4").write_bytes(content)
    return folder


def pictures(folder: Path, count: int) -> Path:
    """Numbered frames of one video."""
    folder.mkdir(parents=True)
    model = folder.parent / "model.png"
    Image.new("RGB", (SIDE, SIDE), (90, 10, 10)).save(model)
    for index in range(count):
        os.link(model, folder / f"frame_{index:06d}.png")
    return folder


def measure(source: Path, cache: Path) -> dict[str, float]:
    """Open a source in a process of its own; what `opened` tells, by name."""
    words = [sys.executable, __file__, "--open", str(source), str(cache)]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


def opened(source: str, cache: str) -> None:
    """Open a source in this process and print seconds, peak and growth in MB, videos, frames."""
    from data.frames import FrameConfig
    from data.source import open_source

    before, started = peak(), time.monotonic()
    dataset = open_source(source, FrameConfig(), Path(cache))
    found = {"seconds": time.monotonic() - started, "peak": peak(), "above": peak() - before}
    found |= {"videos": len(dataset.whole), "frames": sum(map(len, dataset.whole))}
    json.dump(found, sys.stdout)


def peak() -> float:
    """The most memory that this process had, MB (Linux).

    ru_maxrss would not do: it begins with what the parent held when it started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) * 1024 / 1e6 for x in lines if x.startswith("VmHWM:"))


def main() -> None:
    """Make and measure each set."""
    root, counts = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    print("source | state | seconds | peak MB | above the imports MB | videos | frames")
    for make in (films, pictures):
        for count in counts:
            source = make(root / f"{make.__name__}_{count}", count)
            for state in ("decoded", "from the cache"):
                seconds, *rest = measure(source, root / "cache").values()
                figures = " | ".join([f"{seconds:.1f}", *(f"{x:.0f}" for x in rest)])
                print(f"{count} {make.__name__} | {state} | {figures}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--open":
        opened(*sys.argv[2:4])
    else:
        main()
