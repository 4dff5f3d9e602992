"""Several runs on the same videos: their mean and spread, and a paired comparison."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from pipelines.checkpoint import find_checkpoint
from pipelines.compare_page import page, picture
from pipelines.conventions import conventions
from pipelines.draw import plot_curves
from pipelines.evaluate import evaluate
from pipelines.figures import FIGURES, Figure
from pipelines.film import png_bytes, write_whole
from pipelines.load import digest_of
from pipelines.provenance import STAGES, training_columns
from pipelines.report_words import trust
from pipelines.results import EvaluationResult, interval, jsonable, mean

STEPS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Made:
    """How a run came to be.

    Args:
        training: `{"stage1.seed": 0, "stage1.steps": 900, ...}`, what is known.
        weights: stage to its weights' digest.
    """

    training: Mapping[str, object] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


def evaluate_all(data: str, runs: Sequence[Path], out: Path, **settings: Any) -> None:
    """Evaluate one run into OUT, or several into OUT/1_NAME and on, and compare these.

    Args:
        settings: of `evaluate`.

    Raises:
        UserError: as `evaluate`, or a run is named twice, or the runs see other videos.
    """
    if len(runs) == 1:
        evaluate(data, runs[0], out=out, **settings)
        return
    if len({run.resolve() for run in runs}) < len(runs):
        raise UserError("--run: a run is named twice: name each once")
    results, made = {}, {}
    for number, run in enumerate(runs, 1):
        name = f"{number}_{run.resolve().name}"
        results[name] = evaluate(data, run, out=out / name, **settings)
        weights = {stage: digest_of(find_checkpoint(run, stage)) for stage in STAGES}
        made[name] = Made(training_columns(run), weights)
    first, *others = results.values()
    if any(list(other.names) != list(first.names) for other in others):
        raise UserError(
            f"the runs hold out other videos of {data}: give a source that none was trained on"
        )
    if any(other.meta.get("frames") != first.meta.get("frames") for other in others):
        raise UserError(
            f"the runs see {data} cut or sized differently, so their pixels and steps are not the "
            "same: compare runs of the same --frames settings"
        )
    for warning in write_comparison(out, results, made):
        print(warning, file=sys.stderr)
    print(f"the comparison is {out / 'comparison.md'}", file=sys.stderr)


def write_comparison(
    folder: Path, results: Mapping[str, EvaluationResult], made: Mapping[str, Made] | None = None
) -> list[str]:
    """Write FOLDER/comparison.md, comparison_*.png and comparison.json.

    The spread over runs is that of seeds, if these are all that differs. The paired comparison is
    of each run with the first, video by video, so that what is hard for all does not count.

    Args:
        results: run to result, two or more, of the same videos.
        made: run to how it came to be; None: not known.

    Returns:
        Why the spread is not one of seeds, a sentence each.
    """
    made = made or {name: Made() for name in results}
    table = {figure.key: compared(results, figure) for figure in FIGURES}
    figures = {key: value for key, value in table.items() if value}
    particles = compared_once(results)
    first = next(iter(results.values()))
    warnings = same(results, made)
    found = {
        "videos": list(first.names),
        "intervals": trust(first),
        "warnings": warnings,
        "runs": described(results, made),
        "figures": figures,
        "particles": particles,
        "conventions": conventions(figures, particles, first.seed),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for figure in FIGURES:
        if figure.key in figures:
            write_whole(folder / picture(figure), plot(results, figure))
    write_whole(folder / "comparison.md", page(found).encode(errors="replace"))
    text = json.dumps(jsonable(found), indent=1, allow_nan=False)
    write_whole(folder / "comparison.json", text.encode(errors="replace"))
    return warnings


def described(
    results: Mapping[str, EvaluationResult], made: Mapping[str, Made]
) -> dict[str, dict[str, object]]:
    """What each run is: what was evaluated, how it was trained, and in which settings they differ.

    A setting that a run does not have, since an earlier version trained it, is None.
    """
    every = [result.settings for result in results.values()]
    names = dict.fromkeys(name for settings in every for name in settings)
    differ = [name for name in names if any(s.get(name) != every[0].get(name) for s in every)]
    return {
        name: {
            "meta": dict(result.meta),
            "training": dict(made[name].training),
            "weights": dict(made[name].weights),
            "settings that differ": {key: result.settings.get(key) for key in differ},
        }
        for name, result in results.items()
    }


def same(results: Mapping[str, EvaluationResult], made: Mapping[str, Made]) -> list[str]:
    """Of each two runs too much alike, or too different, for a spread of seeds, a sentence."""
    found = []
    for one, other in combinations(results, 2):
        alike = {
            stage: bool(digest) and digest == made[other].weights.get(stage)
            for stage, digest in made[one].weights.items()
        }
        seeds, others = (
            [made[name].training.get(f"{stage}.seed") for stage in STAGES] for name in (one, other)
        )
        if _differ(results[one], results[other]):
            why = "were trained on different data"
        elif alike and all(alike.values()):
            why = "hold the same weights"
        elif seeds == others and None not in seeds and _settings(results, one, other):
            why = "were trained with the same seed and the same settings"
        elif alike.get("stage1"):
            why = "stand on the same stage 1"
        else:
            continue
        found.append(f"{one} and {other} {why}: the spread over the runs is not one of seeds.")
    return found


def _differ(one: EvaluationResult, other: EvaluationResult) -> bool:
    """Whether two runs are known to be trained on different data."""
    data = [
        (one.settings.get(f"{stage}.fingerprint"), other.settings.get(f"{stage}.fingerprint"))
        for stage in STAGES
    ]
    return any(None not in pair and pair[0] != pair[1] for pair in data)


def _settings(results: Mapping[str, EvaluationResult], one: str, other: str) -> bool:
    """Whether two runs were trained with the same settings."""
    return dict(results[one].settings) == dict(results[other].settings)


def compared(results: Mapping[str, EvaluationResult], figure: Figure) -> dict[str, object]:
    """One per-step figure of all runs; {} if one of them lacks it.

    Returns:
        runs: run to {step or "all": mean over videos}; mean and spread (standard deviation over
        runs) of these; paired: run to {mean, low, high} of its difference from the first run, over
        all steps.
    """
    every = {name: getattr(result.model, figure.key) for name, result in results.items()}
    if any(values is None for values in every.values()):
        return {}
    runs = {name: _steps(values) for name, values in every.items()}
    columns = {step: [one[step] for one in runs.values()] for step in next(iter(runs.values()))}
    first, *others = every.values()
    names = [*every][1:]
    return {
        "runs": runs,
        "mean": {step: float(np.mean(values)) for step, values in columns.items()},
        "spread": {step: float(np.std(values, ddof=1)) for step, values in columns.items()},
        # Video by video the difference of the steps' means is the mean of their differences.
        "paired": _paired(dict(zip(names, (mean(x - first, 1) for x in others), strict=True))),
    }


def compared_once(results: Mapping[str, EvaluationResult]) -> dict[str, dict[str, object]]:
    """The figures that a video, or all videos together, have once, of those that all runs have.

    Returns:
        Figure to {runs: run to mean, mean, spread, paired}, as `compared`; a figure of all videos
        together cannot be paired.
    """
    found = {}
    for name, values in _shared(results, lambda result: result.once).items():
        first, *others = values.values()
        gains = {run: x - first for run, x in zip([*values][1:], others, strict=True)}
        found[name] = _spread({run: float(mean(x)) for run, x in values.items()}, _paired(gains))
    for name, value in _shared(results, lambda result: result.whole).items():
        found[name] = _spread(value, {})
    return found


def _shared(
    results: Mapping[str, EvaluationResult], of: Callable[[EvaluationResult], Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Figure to run to value, of the figures that all runs have."""
    every = {run: of(result) for run, result in results.items()}
    first = next(iter(every.values()))
    names = [name for name in first if all(name in one for one in every.values())]
    return {name: {run: one[name] for run, one in every.items()} for name in names}


def _spread(runs: Mapping[str, float], paired: Mapping[str, object]) -> dict[str, object]:
    """One figure's row."""
    values = list(runs.values())
    spread = float(np.std(values, ddof=1))
    return {"runs": runs, "mean": float(np.mean(values)), "spread": spread, "paired": paired}


def _paired(gains: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Run to {mean, low, high} of its gains [v] over the first run."""
    found = {}
    for name, gain in gains.items():
        low, high = interval(gain)
        found[name] = {"mean": float(mean(gain)), "low": float(low), "high": float(high)}
    return found


def _steps(values: np.ndarray) -> dict[str, float]:
    """Means over videos [v, h] at some steps and over all."""
    horizon = values.shape[1]
    steps = {str(step): float(mean(values[:, step - 1])) for step in STEPS if step <= horizon}
    return {**steps, "all": float(mean(mean(values, 1)))}


def plot(results: Mapping[str, EvaluationResult], figure: Figure) -> bytes:
    """The runs' curves of a figure that all have, with their intervals over videos, as PNG."""
    every = {name: getattr(result.model, figure.key) for name, result in results.items()}
    curves = {name: mean(values) for name, values in every.items()}
    bands = {name: interval(values) for name, values in every.items()}
    return png_bytes(plot_curves(curves, title=figure.title, unit=figure.unit, bands=bands))
