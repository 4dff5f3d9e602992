"""Roll out: each video's first frames in, its predicted future out.

particlecast rollout --data SOURCE --run DIR --context 10 --horizon 20 --out OUT
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import fields
from itertools import product, tee
from pathlib import Path

import numpy as np

from data.errors import UserError
from data.source import require_length
from data.videos import Dataset, Video
from data.write import Mp4Writer
from dlp.build import ParticleModel
from dynamics.futures import Moved, sample
from pipelines.fan import fan_frames
from pipelines.film import film_frames
from pipelines.folders import keep_apart, make_folder
from pipelines.forecast import Forecast, as_forecast, draw, join, observe, predict, reconstruct
from pipelines.load import TrainedDLP, held_out, open_forecaster
from pipelines.progress import reporting
from pipelines.write_arrays import NpzWriter

SHOWN = 4
"""Sampled futures that get a film of their own."""


def rollout(
    data: str,
    run: Path,
    context: int,
    horizon: int,
    out: Path,
    limit: int = 0,
    start: int = 0,
    particles: int = 0,
    samples: int = 0,
    seed: int = 0,
    births: bool = True,
) -> None:
    """Forecast every video of a source, in name order; what is written grows as it is foreseen.

    Writes OUT/NAME.npz (frames, position, transparency, appearance, identity), OUT/NAME.mp4 and
    OUT/NAME_compare.mp4. Of a synthetic world only the videos held out from training are used.
    With samples also OUT/NAME_samples.npz (the same without frames, [samples, t, ...]), a film of
    each of the first SHOWN, OUT/NAME_sample_0.mp4 and on, and one of all as a fan,
    OUT/NAME_fan.mp4; the samples' tracks, without frames, are held in memory meanwhile.

    Args:
        context: frames that are seen, from `start` on.
        horizon: frames that are predicted.
        limit: at most so many videos; 0: all.
        particles: K, if there may be more things than in training; 0: as trained.
        samples: futures drawn at random, beside the middle one.
        seed: of these, each video's its own.
        births: whether particles come in at the border.

    Raises:
        UserError: the run, the source or the lengths are unfit, or files of the user's, or of two
            videos, would be written over.
    """
    keep_apart(data, out)
    opened = open_forecaster(data, run, particles, samples, births)
    dlp, dynamics = opened.dlp, opened.dynamics
    videos = select(opened.dataset, dlp)[: limit or None]
    what = f"context {context}" + (f" from frame {start}" if start else "")
    require_length(videos, start + context, what)
    refuse_same_names([video.name for video in videos])
    make_folder(out)
    with reporting() as progress:
        for index, video in enumerate(videos):
            frames = np.ascontiguousarray(video.frames[start : start + context])
            observed = observe(dlp.model, dynamics, frames)
            seen = reconstruct(dlp.model, observed)
            true = video.frames[start : start + context + horizon]
            forget_samples(out, video.name)
            drawn = None
            if samples:
                moved = sample(
                    dynamics, observed.state, observed.deviation, horizon, samples, seed + index
                )
                drawn = save_samples(out, video.name, dlp.model, moved, samples, video.fps)
            parts = (part[0] for part in predict(dlp.model, dynamics, observed.state, horizon))
            with closing(saving(out, video.name, parts, video.fps)) as saved:
                save_films(out, video, true, seen, saved, drawn)
            progress("rolling out", (index + 1) / len(videos))
    print(f"{len(videos)} forecasts are in {out}", file=sys.stderr)


def select(dataset: Dataset, dlp: TrainedDLP) -> tuple[Video, ...]:
    """The videos that a forecast is made of: all, but of a synthetic world the unseen ones.

    Raises:
        UserError: the run was trained on all of these.
    """
    synthetic = dataset.source.startswith("synthetic:")
    return held_out(dataset, dlp) if synthetic else dataset.whole


def refuse_same_names(names: Sequence[str]) -> None:
    """Stop before two videos would write to the same file, as `a` and `a_compare` would.

    Raises:
        UserError: naming both.
    """
    extra = ("", "_compare", "_fan", "_samples", *(f"_sample_{index}" for index in range(SHOWN)))
    owners: dict[str, str] = {}
    for name, ending in product(names, extra):
        if (other := owners.setdefault(name + ending, name)) != name:
            raise UserError(
                f"videos {other} and {name}: the forecasts of both would be called {name}{ending}: "
                "rename one of them"
            )


def saving(
    out: Path, name: str, parts: Iterable[Forecast], fps: float
) -> Generator[Forecast, None, None]:
    """The parts as they come, saved in OUT/NAME.npz and OUT/NAME.mp4, whole or not at all."""
    with NpzWriter(out / f"{name}.npz") as arrays, Mp4Writer(out / f"{name}.mp4", fps) as film:
        for part in parts:
            arrays.append(**{f.name: getattr(part, f.name) for f in fields(part)})
            film.append(part.frames)
            yield part


def save_films(
    out: Path,
    video: Video,
    true: np.ndarray,
    seen: Forecast,
    parts: Iterable[Forecast],
    drawn: Forecast | None,
) -> None:
    """OUT/NAME_compare.mp4, and OUT/NAME_fan.mp4 of the samples `drawn`, in one pass."""
    films = {}
    if drawn is not None:
        parts, other = tee(parts)  # read in step, but it keeps the last 57 parts
        each = [drawn[number] for number in range(len(drawn.identity))]
        films["fan"] = fan_frames(true, seen, other, each)
        del other
    films["compare"] = film_frames(true, seen, parts)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(Mp4Writer(out / f"{video.name}_{name}.mp4", video.fps))
            for name in films
        ]
        for frames in zip(*films.values(), strict=True):
            for writer, frame in zip(writers, frames, strict=True):
                writer.append([frame])


def forget_samples(out: Path, name: str) -> None:
    """Remove what an earlier forecast of the same video left of its samples."""
    films = [out / f"{name}_sample_{index}.mp4" for index in range(SHOWN)]
    for stale in (*films, out / f"{name}_samples.npz", out / f"{name}_fan.mp4"):
        if stale.is_file():
            stale.unlink()


def save_samples(
    out: Path, name: str, dlp: ParticleModel, moved: Iterable[Moved], samples: int, fps: float
) -> Forecast:
    """OUT/NAME_samples.npz and the films of the first SHOWN; the samples without their frames."""
    kept = []
    with ExitStack() as films:
        writers = [
            films.enter_context(Mp4Writer(out / f"{name}_sample_{index}.mp4", fps))
            for index in range(min(samples, SHOWN))
        ]
        for part in moved:
            drawn = draw(dlp, part.sets(slice(0, SHOWN)))
            for writer, frames in zip(writers, drawn.frames, strict=True):
                writer.append(frames)
            kept.append(as_forecast(dlp, part))
    whole = join(kept)
    with NpzWriter(out / f"{name}_samples.npz") as arrays:
        arrays.append(
            position=whole.position,
            transparency=whole.transparency,
            appearance=whole.appearance,
            identity=whole.identity,
        )
    return whole
