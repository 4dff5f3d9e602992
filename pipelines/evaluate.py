"""Evaluate a run: forecasts of unseen videos beside the baselines, as a report and films.

particlecast evaluate --data SOURCE --run DIR --context 10 --horizon 20 --out OUT
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.errors import UserError
from data.source import part, require_length
from data.videos import Dataset, Video
from dynamics.futures import move, sample
from pipelines.baselines import copy_last, temporal_median
from pipelines.boards import Board, fresh_board
from pipelines.coast import coasted
from pipelines.examples import examples
from pipelines.figures import FIGURES
from pipelines.film import compare
from pipelines.folders import make_folder
from pipelines.forecast import as_forecast, draw, join, observe, particles_of, reconstruct
from pipelines.fvd import FVD
from pipelines.judge import Judged, judge
from pipelines.load import TrainedDLP, held_out, open_forecaster
from pipelines.lpips import LPIPS, SMALLEST, Trunk, load_lpips
from pipelines.pretrained import board_folder
from pipelines.progress import reporting
from pipelines.provenance import machine, settings, trained, training_columns
from pipelines.report import (
    EvaluationResult,
    Scores,
    mean,
    verdict,
    write_report,
)
from pipelines.report_html import write_html
from pipelines.results import overlapping
from pipelines.segments import segment
from pipelines.tracking import summarise

BOARD_FILMS = 2
LONG_VIDEO_WINDOWS = 12
CURVES = tuple(figure.key for figure in FIGURES)
TRUNKS: dict[str, tuple[Trunk, ...]] = {
    "none": (),
    "alex": ("alex",),
    "vgg": ("vgg",),
    "both": ("alex", "vgg"),
}


def evaluate(
    data: str,
    run: Path,
    context: int,
    horizon: int,
    out: Path,
    limit: int = 0,
    particles: int = 0,
    samples: int = 0,
    seed: int = 0,
    births: bool = True,
    lpips: str = "alex",
    fvd: Path | None = None,
) -> EvaluationResult:
    """Write OUT/report.html, report.md, report.json, their plots and OUT/films.

    What is evaluated was not trained on: the test videos of the run's own source and of one that
    names its own, all videos of any other; of one long video, windows of its held-out end.

    Args:
        context: frames that are seen.
        horizon: frames that are predicted.
        limit: at most so many videos or windows; 0: all.
        particles: K, if there may be more things than in training; 0: as trained.
        samples: futures drawn at random; with true tracks their spread is measured.
        seed: of these.
        births: whether particles come in at the border.
        lpips: which trunks look, one of TRUNKS.
        fvd: the network that FVD takes; None: it is not computed.

    Raises:
        UserError: the run, the source or the lengths are unfit.
    """
    if lpips not in TRUNKS:
        raise UserError(f"--lpips must be one of {', '.join(TRUNKS)}, found {lpips!r}")
    distance = FVD(fvd, horizon) if fvd else None
    opened = open_forecaster(data, run, particles, samples, births)
    dlp, dynamics, dataset = opened.dlp, opened.dynamics, opened.dataset
    windows = held_out_windows(dataset, dlp, context, horizon)[: limit or None]
    make_folder(out / "films")
    perceptual, notes = _perceptual(lpips, dlp.model.size)
    with reporting() as progress:
        still = temporal_median(np.concatenate([v.frames[:: len(v) // 10 + 1] for v in windows]))
        # A board for each name of --out: evaluations of one run do not hide each other.
        board, judged = fresh_board(board_folder(run, out) / out.resolve().name), []
        for index, video in enumerate(windows):
            known = np.ascontiguousarray(video.frames[:context])
            observed = observe(dlp.model, dynamics, known)
            seen = reconstruct(dlp.model, observed)
            moved = list(move(dynamics, observed.state, horizon))
            future = join([draw(dlp.model, part) for part in moved])[0]
            drawn = segments = None
            if video.truth is not None and video.truth.mask is not None:
                parts = [segment(dlp.model, particles_of(part)[0]) for part in moved]
                segments = np.concatenate(parts)
            if samples and video.truth is not None:
                several = sample(
                    dynamics, observed.state, observed.deviation, horizon, samples, seed + index
                )
                drawn = join([as_forecast(dlp.model, part) for part in several])
            own = coasted(dlp.model, observed.state, horizon)
            judged.append(
                judge(video, seen, future, own, context, still, drawn, perceptual, segments)
            )
            if distance:
                copied = copy_last(known, horizon)
                distance.add(true=video.frames[context:], forecast=future.frames, copy_last=copied)
            if index < BOARD_FILMS:
                shown = compare(video.frames, seen, future)
                board.film(f"evaluate/{video.name}", shown, video.fps, 0)
            progress("evaluating", (index + 1) / len(windows))
    meta = _meta(data, run, dataset, windows, context, horizon)
    meta |= {"particles": dlp.model.config.particles, "births": births}
    if samples:
        meta |= {"samples": samples, "seed": seed}
        if all(window.truth is None for window in windows):
            notes["spread of the samples"] = "not computed: it takes true tracks"
    if fvd:
        meta["FVD network"] = str(fvd)
    whole = distance.distances() if distance else {}
    if distance and not whole:
        notes["FVD"] = "not computed: it takes several videos"
    matched = {str(i): one.matched for i, one in enumerate(judged) if one.matched is not None}
    if matched:
        pooled = summarise(matched)["all"]["idf1"]
        whole["IDF1 of context and forecast, all videos together"] = pooled
    names = [video.name for video in windows]
    overlap = dataset.by_time and overlapping(names, context + horizon)
    result = collect(judged, names, meta, notes, whole)
    result = replace(result, settings=settings(run), overlap=overlap)
    films = examples(dlp, dynamics, windows, result, context, horizon, out / "films")
    write_html(out, result, films)
    write_report(out, result)
    _show(board, result, run)
    print(f"{verdict(result)}\nthe report is {out / 'report.html'}", file=sys.stderr)
    return result


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


def _perceptual(which: str, size: tuple[int, int]) -> tuple[dict[str, LPIPS], dict[str, str]]:
    """LPIPS by trunk, and why the others are missing."""
    found: dict[str, LPIPS] = {}
    notes = {}
    for trunk in TRUNKS[which]:
        name = f"LPIPS, {trunk}"
        if min(size) < SMALLEST:
            notes[name] = f"not computed: frames of less than {SMALLEST} pixels"
        elif (model := load_lpips(trunk)) is None:
            notes[name] = "not computed: run particlecast get-weights"
        else:
            found[trunk] = model
    return found, notes


def collect(
    judged: Sequence[Judged],
    names: Sequence[str],
    meta: dict[str, object],
    notes: Mapping[str, str] | None = None,
    whole: Mapping[str, float] | None = None,
) -> EvaluationResult:
    """The windows' figures as one result; notes: what is missing, and why; whole: of all videos."""
    methods = list(dict.fromkeys(name for one in judged for name in one.curves))

    def scores(name: str) -> Scores:
        found = {
            figure: _stack([one.curves.get(name, {}).get(figure) for one in judged])
            for figure in CURVES
        }
        return Scores(**found)

    figures = list(dict.fromkeys(name for one in judged for name in one.particles))
    return EvaluationResult(
        model=scores("model"),
        baselines={name: scores(name) for name in methods if name != "model"},
        reconstruction_psnr=np.array([one.reconstruction for one in judged]),
        particles={n: np.array([one.particles.get(n, np.nan) for one in judged]) for n in figures},
        meta=meta,
        notes=notes or {},
        whole=whole or {},
        names=list(names),
        troubles=[one.troubles for one in judged],
        inside=_stack([one.inside for one in judged]),
    )


def _stack(found: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """[v, ...]; a video that has none of it counts as NaN; None if none has."""
    known = [values for values in found if values is not None]
    if not known:
        return None
    nothing = np.full(known[0].shape, np.nan)
    return np.stack([nothing if values is None else values for values in found])


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
        "frames": dataset.fingerprint[:12],
        **trained(run),
        **machine(),
    }


def _show(board: Board, result: EvaluationResult, run: Path) -> None:
    """Error against horizon in TensorBoard, and the row of HParams: its columns are any run's."""
    every: dict[str, Scores] = {"model": result.model, **result.baselines}
    for figure in FIGURES:
        found = {name: getattr(scores, figure.key) for name, scores in every.items()}
        curves = {name: mean(values) for name, values in found.items() if values is not None}
        if curves:
            tag = f"evaluate/{figure.key}"
            board.curve(tag, curves, 0, unit=figure.unit, as_scalars=True)
    finals = {name: float(mean(values)) for name, values in result.once.items()}
    finals |= dict(result.whole)
    for figure in FIGURES:
        values = getattr(result.model, figure.key)
        if values is not None:
            finals[figure.key] = float(mean(values, (0, 1)))
    # How the stages were trained stands in columns that can be sorted, not in a sentence.
    meta = {name: value for name, value in result.meta.items() if not name.startswith("stage ")}
    board.hyperparameters({**result.settings, **training_columns(run), **meta}, finals)
    board.close()
