"""Roll out: each video's first frames in, its predicted future out.

particlecast rollout --data SOURCE --run DIR --context 10 --horizon 20 --out OUT
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from data.source import require_length
from data.videos import Dataset, Video
from data.write import write_mp4
from pipelines.film import compare, write_whole
from pipelines.folders import make_folder
from pipelines.forecast import Forecast, join, observe, predict, reconstruct
from pipelines.load import check_size, load_dlp, load_dynamics, open_data
from pipelines.progress import reporting


def rollout(
    data: str,
    run: Path,
    context: int,
    horizon: int,
    out: Path,
    limit: int = 0,
    start: int = 0,
    particles: int = 0,
) -> None:
    """Forecast every video of a source, in name order.

    Writes OUT/NAME.npz (frames, position, transparency, appearance), OUT/NAME.mp4 and
    OUT/NAME_compare.mp4. Of a synthetic world only the videos held out from training are used.

    Args:
        context: frames that are seen, from `start` on.
        horizon: frames that are predicted.
        limit: at most so many videos; 0: all.
        particles: K, if there may be more things than in training; 0: as trained.

    Raises:
        UserError: the run, the source or the lengths are unfit.
    """
    dlp = load_dlp(run, particles)
    dynamics = load_dynamics(run, dlp)
    dataset = open_data(data, dlp.frames)
    videos = select(dataset, data)[: limit or None]
    check_size(dlp, dataset.whole, data)
    what = f"context {context}" + (f" from frame {start}" if start else "")
    require_length(videos, start + context, what)
    make_folder(out)
    with reporting() as progress:
        for index, video in enumerate(videos):
            frames = np.ascontiguousarray(video.frames[start : start + context])
            observed = observe(dlp.model, dynamics, frames)
            future = join(list(predict(dlp.model, dynamics, observed.state, horizon)))
            seen = reconstruct(dlp.model, observed)
            true = video.frames[start : start + context + horizon]
            save_forecast(out, video.name, future, video.fps)
            write_mp4(out / f"{video.name}_compare.mp4", compare(true, seen, future), video.fps)
            progress("rolling out", (index + 1) / len(videos))
    print(f"{len(videos)} forecasts are in {out}", file=sys.stderr)


def select(dataset: Dataset, source: str) -> tuple[Video, ...]:
    """The videos that a forecast is made of: all, but of a synthetic world the unseen ones."""
    return dataset.test if source.startswith("synthetic:") else dataset.whole


def save_forecast(out: Path, name: str, future: Forecast, fps: float) -> None:
    """OUT/NAME.npz and OUT/NAME.mp4, each written whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        frames=future.frames,
        position=future.position,
        transparency=future.transparency,
        appearance=future.appearance,
    )
    write_whole(out / f"{name}.npz", buffer.getvalue())
    write_mp4(out / f"{name}.mp4", future.frames, fps)
