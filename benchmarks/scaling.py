"""Every figure of docs/scaling.md: what time and memory grow with, and what large data would cost.

    python -m benchmarks.scaling

Measures what OUT/scaling.json does not hold yet, so it can be stopped and goes on (some ten minutes
on two idle cores), takes the rates of training and encoding from OUT/bench.json, which `make bench`
writes, and writes the part of the page between its marks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import many_files
from benchmarks.scaling_page import Row, page
from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source
from data.write import write_mp4
from dlp.particles import LIVE
from dynamics.tracks import track
from pipelines.encode import encode_frames, encode_tracks
from pipelines.film import write_whole
from pipelines.full_disk import telling_of_full_disks
from pipelines.load import load_dlp
from pipelines.marks import fill, place
from pipelines.pretrained import find_run
from pipelines.provenance import machine
from pipelines.signals import stopping
from pipelines.status import status

HEIGHT, WIDTH, FPS = 320, 480, 25
"""Of the videos that are decoded: CLEVRER's."""
THINGS, NOISE = 6, 3.0
RUN = "pretrained/traffic"
TRAFFIC = "synthetic:traffic,size=64,videos=60,seed=1"  # seed 0 was trained on
ROUNDS = 3
"""Times are the median of so many."""


def still_camera(seed: int, frames: int) -> np.ndarray:
    """Bright squares that move before a blurred ground, and the camera's noise, [t, h, w, 3]."""
    rng = np.random.default_rng(seed)
    spots = rng.uniform(40, 200, (HEIGHT // 32, WIDTH // 32, 3))
    ground = np.asarray(cv2.resize(spots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), float)
    noise = rng.normal(0, NOISE, (2 * HEIGHT, 2 * WIDTH, 3))
    side = rng.integers(20, 60, THINGS)
    room = np.array([HEIGHT, WIDTH]) - side[:, None]  # (n, 2)
    start, velocity = rng.uniform(0, room), rng.uniform(-6, 6, (THINGS, 2))
    colour = rng.uniform(0, 255, (THINGS, 3))
    film = np.empty((frames, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(frames):
        picture = ground.copy()
        # A path folded at the borders: things bounce.
        path = np.abs((start + t * velocity + room) % (2 * room) - room).astype(int)
        for (top, left), size, paint in zip(path, side, colour, strict=True):
            picture[top : top + size, left : left + size] = paint
        top, left = rng.integers(0, (HEIGHT, WIDTH))
        picture += noise[top : top + HEIGHT, left : left + WIDTH]
        film[t] = picture.clip(0, 255)
    return film


def decoding(videos: int, frames: int) -> Row:
    """Decode videos into an empty cache: a core's time for a frame, and the bytes that it takes."""
    with TemporaryDirectory() as name:
        films, seconds = Path(name) / "films", []
        films.mkdir()
        for index in range(videos):
            write_mp4(films / f"film_{index}.mp4", still_camera(index, frames), FPS)
        for turn in range(ROUNDS):
            cache = Path(name) / f"cache_{turn}"
            began = time.process_time()  # of all threads, whatever else the machine does
            dataset = open_source(str(films), FrameConfig(), cache)
            seconds.append(time.process_time() - began)
        height, width = dataset.whole[0].frames.shape[1:3]
        return {
            "ms": 1e3 * statistics.median(seconds) / (videos * frames),
            "file_bytes": _bytes(films) / (videos * frames),
            "source": [HEIGHT, WIDTH],
            "stored": [height, width],
            "cache_bytes": _bytes(cache) / (videos * frames),
        }


def opening(kind: str, count: int) -> Row:
    """Time and memory of many small videos, or of one video of many frames."""
    make = {"films": many_files.films, "pictures": many_files.pictures}[kind]
    with TemporaryDirectory() as name:
        source, cache = make(Path(name) / kind, count), Path(name) / "cache"
        try:
            # The first of them fills the cache.
            return {state: many_files.measure(source, cache) for state in ("decoded", "cached")}
        except subprocess.CalledProcessError as error:
            raise UserError(f"{count} {kind} cannot be opened, as is told above") from error


def linking(source: str) -> Row:
    """Link the particles of a trained run: a core's time for a frame, and the bytes at rest."""
    dlp = load_dlp(find_run(RUN))
    with TemporaryDirectory() as name:
        videos = open_source(source, dlp.frames, Path(name) / "cache").whole
        particles = [encode_frames(dlp.model, video.frames) for video in videos]
        seconds = []
        for _ in range(ROUNDS):
            began = time.thread_time()
            linked = [track(one, dlp.model.size) for one in particles]
            seconds.append(time.thread_time() - began)
        rest = Path(name) / "particles.safetensors"
        encode_tracks(dlp.model, videos, rest, "")
        frames = sum(map(len, videos))
        return {
            "ms": 1e3 * statistics.median(seconds) / frames,
            "live": sum(float((one.transparency > LIVE).sum()) for one in particles) / frames,
            "particles": dlp.model.config.particles,
            "features": dlp.model.config.features,
            "frames": frames / len(videos),
            "identities": statistics.mean(one.seen.shape[1] for one in linked),
            "rest_bytes": rest.stat().st_size / frames,
        }


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Kept:
    """Measurements in a file, each done once.

    Args:
        file: JSON, written after each of them.
        again: do what it holds once more.
    """

    def __init__(self, file: Path, again: bool) -> None:
        self.file, self.again = file, again
        self.rows: dict[str, Row] = {}
        try:
            if file.exists():
                self.rows = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read: {error}: move it away") from error

    def once(self, name: str, work: Callable[..., Row], *settings: Any) -> Row:
        """What work(*settings) found, now or, with the same settings, before."""
        row = self.rows.get(name)
        if self.again or row is None or row.get("settings") != [*settings]:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            row = {"settings": [*settings], "made": machine(), **work(*settings)}
            self.rows[name] = row
            write_whole(self.file, json.dumps(self.rows, indent=1, allow_nan=False).encode())
        return row


def scale(
    out: Path,
    kept: Path,
    counts: Sequence[int],
    videos: int,
    frames: int,
    traffic: str,
    again: bool,
) -> str:
    """Measure what is missing, and write the page.

    Args:
        out: the folder of bench.json and scaling.json.
        kept: a page with marks.
        counts: so many small videos are opened; and as many frames as the most of them.
        videos, frames: of 480x320 that are decoded.
        traffic: a SOURCE of the run's frame size that is linked.
        again: measure anew what scaling.json holds.

    Returns:
        What stands between the page's marks.

    Raises:
        UserError: the page has no marks, there is no bench.json, or a file is unfit.
    """
    place(kept)  # what is wrong with it is said now, not after minutes
    rates = read_rates(out / "bench.json")
    found = Kept(out / "scaling.json", again)
    decoded = found.once("decoding", decoding, videos, frames)
    linked = found.once("linking", linking, traffic)
    films = {n: found.once(f"{n} films", opening, "films", n) for n in sorted(counts)}
    most = max(counts)
    pictures = found.once(f"{most} pictures", opening, "pictures", most)
    text = page(rates, decoded, linked, films, pictures)
    fill(kept, text)
    return text


def read_rates(file: Path) -> Row:
    """Stage 1's rates at 128 pixels, K 10, batch 32; a UserError if they are not there."""
    wanted = {"size": 128, "particles": 10, "batch": 32}
    try:
        cases = json.loads(file.read_text("utf-8"))["cases"]
        case = next(case for case in cases if wanted.items() <= case.items())
        speed = {task: case[task]["fast"] for task in ("train", "encode")}
        return wanted | speed | {"peak": case["memory"]["fast"]["peak"]}
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise UserError(
            f"{file}: no rates at 128 pixels, K 10, batch 32: run make bench"
        ) from error


def main(words: Sequence[str] | None = None) -> int:
    """The command line; the exit status, see `pipelines.status`."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="scaling", description=__doc__)
    parser.add_argument("--out", type=Path, default=here, help="of bench.json and scaling.json")
    parser.add_argument("--page", type=Path, default=here.parent / "docs" / "scaling.md")
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2000, 20000])
    parser.add_argument("--videos", type=int, default=10, help="that are decoded")
    parser.add_argument("--frames", type=int, default=128, help="of each of them")
    parser.add_argument("--traffic", default=TRAFFIC, help="SOURCE whose particles are linked")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    given = parser.parse_args(words)
    torch.set_num_threads(1)  # what is measured here is a core's time

    def work() -> None:
        with stopping(), telling_of_full_disks():
            sizes = (given.counts, given.videos, given.frames, given.traffic, given.again)
            print(scale(given.out, given.page, *sizes))

    return status("scaling", work)


if __name__ == "__main__":
    sys.exit(main())
