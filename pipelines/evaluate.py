"""Evaluate a run: forecasts of unseen videos beside the baselines, as a report and films.

particlecast evaluate --data SOURCE --run DIR --context 10 --horizon 20 --out OUT
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.source import part, require_length
from data.videos import Dataset, Truth, Video
from data.write import write_mp4
from dlp.particles import LIVE
from dynamics.model import GraphDynamics
from pipelines.baselines import (
    constant_velocity,
    copy_last,
    median_background,
    optical_flow,
    temporal_median,
)
from pipelines.boards import Board, fresh_board
from pipelines.film import compare
from pipelines.folders import make_folder
from pipelines.forecast import Forecast, join, observe, predict, reconstruct
from pipelines.load import TrainedDLP, check_size, held_out, load_dlp, load_dynamics, open_data
from pipelines.metrics import (
    coverage,
    jitter,
    live_per_object,
    moving_mask,
    position_error,
    precision,
    psnr,
    psnr_moving,
    ssim,
    track_error,
)
from pipelines.progress import reporting
from pipelines.report import FIGURES, EvaluationResult, Scores, machine, mean, verdict, write_report

FILMS = 6
BOARD_FILMS = 2
LONG_VIDEO_WINDOWS = 12
CURVES = ("psnr", "ssim", "psnr_moving", "position_error")


@dataclass(frozen=True)
class Judged:
    """One window's figures.

    Args:
        curves: method to figure to [h].
        reconstruction: dB, of the context.
        particles: figure to value.
    """

    curves: dict[str, dict[str, np.ndarray]]
    reconstruction: float
    particles: dict[str, float]


def evaluate(
    data: str,
    run: Path,
    context: int,
    horizon: int,
    out: Path,
    limit: int = 0,
    particles: int = 0,
) -> EvaluationResult:
    """Write OUT/report.md, report.json, their plots and OUT/films.

    What is evaluated was not trained on: the test videos of the run's own source and of one that
    names its own, all videos of any other; of one long video, windows of its held-out end.

    Args:
        context: frames that are seen.
        horizon: frames that are predicted.
        limit: at most so many videos or windows; 0: all.
        particles: K, if there may be more things than in training; 0: as trained.

    Raises:
        UserError: the run, the source or the lengths are unfit.
    """
    dlp = load_dlp(run, particles)
    dynamics = load_dynamics(run, dlp)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    windows = held_out_windows(dataset, dlp, context, horizon)[: limit or None]
    make_folder(out / "films")
    with reporting() as progress:
        still = temporal_median(np.concatenate([v.frames[:: len(v) // 10 + 1] for v in windows]))
        board, judged = fresh_board(run / "tensorboard" / "evaluate"), []
        for index, video in enumerate(windows):
            seen, future = _forecast(dlp, dynamics, video, context, horizon)
            judged.append(judge(video, seen, future, context, still))
            if index < FILMS:
                film = compare(video.frames, seen, future)
                write_mp4(out / "films" / f"{video.name}.mp4", film, video.fps)
                if index < BOARD_FILMS:
                    board.film(f"evaluate/{video.name}", film, video.fps, 0)
            progress("evaluating", (index + 1) / len(windows))
    result = collect(judged, _meta(data, run, dataset, windows, context, horizon))
    write_report(out, result)
    _show(board, result)
    print(f"{verdict(result)}\nthe report is {out / 'report.md'}", file=sys.stderr)
    return result


def _forecast(
    dlp: TrainedDLP, dynamics: GraphDynamics, video: Video, context: int, horizon: int
) -> tuple[Forecast, Forecast]:
    """The context as drawn from its particles, and the forecast, from the context alone."""
    observed = observe(dlp.model, dynamics, np.ascontiguousarray(video.frames[:context]))
    future = join(list(predict(dlp.model, dynamics, observed.state, horizon)))
    return reconstruct(dlp.model, observed), future


def held_out_windows(dataset: Dataset, dlp: TrainedDLP, context: int, horizon: int) -> list[Video]:
    """Stretches of context + horizon frames that the run was not trained on.

    Raises:
        UserError: a video is too short.
    """
    length, what = context + horizon, f"context {context} + horizon {horizon}"
    videos = held_out(dataset, dlp)
    if not dataset.by_time:
        require_length(videos, length, what)
        return [part(video, range(length)) for video in videos]
    require_length(videos, length, what + " of the held-out part")
    windows = []
    for video in videos:
        free = len(video) - length
        count = min(LONG_VIDEO_WINDOWS, free + 1)
        for start in np.unique(np.linspace(0, free, count).round().astype(int)):
            cut = part(video, range(start, start + length))
            windows.append(Video(f"{video.name}_{start:05d}", cut.frames, cut.fps, cut.truth))
    return windows


def judge(
    video: Video, seen: Forecast, future: Forecast, context: int, still: np.ndarray
) -> Judged:
    """All figures of one window of exactly context + horizon frames."""
    known = np.ascontiguousarray(video.frames[:context])
    true = np.ascontiguousarray(video.frames[context:])
    horizon = len(true)
    mask = moving_mask(true, known[-1], still)
    pixels = {
        "model": future.frames,
        "copy-last": copy_last(known, horizon),
        "median background": median_background(known, horizon),
        "optical flow": optical_flow(known, horizon),
    }
    curves: dict[str, dict[str, np.ndarray]] = {
        name: {
            "psnr": psnr(frames, true),
            "ssim": ssim(frames, true),
            "psnr_moving": psnr_moving(frames, true, mask),
        }
        for name, frames in pixels.items()
    }
    particles = {"jitter of the context's tracks, px": jitter(seen.position, seen.transparency)}
    if video.truth is not None:
        side = max(true.shape[1:3])
        curves, more = _positions(curves, video.truth, seen, future, context, side)
        particles |= more
    return Judged(curves, float(psnr(seen.frames, known).mean()), particles)


def _positions(
    curves: dict[str, dict[str, np.ndarray]],
    truth: Truth,
    seen: Forecast,
    future: Forecast,
    context: int,
    side: int,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float]]:
    """What only true tracks can tell: errors of the same particle, coverage, precision."""
    ahead, past = truth.at(slice(context - 1, None)), truth.at(slice(0, context))
    position = np.concatenate([seen.position[-1:], future.position])
    # Rows that the context's last frame did not show coast there: they are not matched.
    followed = position_error(
        position, np.concatenate([seen.transparency[-1:], future.transparency]), ahead, side
    )
    future_truth = ahead.at(slice(1, None))
    coasting = constant_velocity(
        seen.position[:, followed.particle],
        seen.transparency[:, followed.particle] > LIVE,
        len(future.frames),
    )
    true_coasting = constant_velocity(past.position, past.visible, len(future.frames))
    standing = np.repeat(position[:1, followed.particle], len(future.frames), 0)
    target = followed.target
    curves["model"]["position_error"] = mean(followed.error, 1)
    guesses = {
        "copy-last": standing,
        "own constant velocity": coasting,
        "true constant velocity": true_coasting[:, target],
    }
    for name, guess in guesses.items():
        error = mean(track_error(guess, future_truth, target), 1)
        curves.setdefault(name, {})["position_error"] = error
    tolerance = 0.06 * side
    return curves, {
        "coverage of the context": coverage(seen.position, seen.transparency, past, tolerance),
        "precision of the context": precision(seen.position, seen.transparency, past, tolerance),
        "live particles per object": live_per_object(seen.transparency, past),
    }


def collect(judged: Sequence[Judged], meta: dict[str, object]) -> EvaluationResult:
    """The windows' figures as one result."""
    names = list(dict.fromkeys(name for one in judged for name in one.curves))

    def scores(name: str) -> Scores:
        rows = {
            figure: [one.curves[name][figure] for one in judged if figure in one.curves[name]]
            for figure in CURVES
        }
        return Scores(**{figure: np.stack(row) if row else None for figure, row in rows.items()})

    figures = list(dict.fromkeys(name for one in judged for name in one.particles))
    return EvaluationResult(
        model=scores("model"),
        baselines={name: scores(name) for name in names if name != "model"},
        reconstruction_psnr=np.array([one.reconstruction for one in judged]),
        particles={n: np.array([one.particles.get(n, np.nan) for one in judged]) for n in figures},
        meta=meta,
    )


def _meta(
    data: str, run: Path, dataset: Dataset, windows: Sequence[Video], context: int, horizon: int
) -> dict[str, object]:
    """What was evaluated, for the report."""
    height, width = dataset.size
    return {
        "data": data,
        "run": str(run),
        "windows": len(windows),
        "frame size": f"{width}x{height}",
        "context": context,
        "horizon": horizon,
        **machine(),
    }


def _show(board: Board, result: EvaluationResult) -> None:
    """Error against horizon in TensorBoard."""
    every: dict[str, Scores] = {"model": result.model, **result.baselines}
    for figure in FIGURES:
        found = {name: getattr(scores, figure.key) for name, scores in every.items()}
        curves = {name: mean(values) for name, values in found.items() if values is not None}
        if curves:
            tag = f"evaluate/{figure.key}"
            board.curve(tag, curves, 0, unit=figure.unit, as_scalars=True)
    board.close()
