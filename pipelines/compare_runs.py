"""Several runs on the same videos: their mean and spread, and a paired comparison."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.figures import FIGURES, Figure
from pipelines.film import write_whole
from pipelines.results import EvaluationResult, interval, jsonable, mean

STEPS = (1, 5, 10, 20)


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
    results = {}
    for number, run in enumerate(runs, 1):
        name = f"{number}_{run.resolve().name}"
        results[name] = evaluate(data, run, out=out / name, **settings)
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
    write_comparison(out, results)
    print(f"the comparison is {out / 'comparison.md'}", file=sys.stderr)


def write_comparison(folder: Path, results: Mapping[str, EvaluationResult]) -> None:
    """Write FOLDER/comparison.md and comparison.json.

    The spread over runs is that of seeds, if these are all that differs. The paired comparison is
    of each run with the first, video by video, so that what is hard for all does not count.

    Args:
        results: run to result, two or more, of the same videos.
    """
    table = {figure.key: compared(results, figure) for figure in FIGURES}
    found = {key: value for key, value in table.items() if value}
    write_whole(
        folder / "comparison.json", json.dumps(jsonable(found), indent=1, allow_nan=False).encode()
    )
    write_whole(folder / "comparison.md", page(results, found).encode())


def compared(results: Mapping[str, EvaluationResult], figure: Figure) -> dict[str, object]:
    """One figure of all runs; {} if one of them lacks it.

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
    first, *others = every
    paired = {}
    for name in others:
        gain = mean(every[name] - every[first], 1)  # (videos,)
        low, high = interval(gain)
        paired[name] = {"mean": float(mean(gain)), "low": float(low), "high": float(high)}
    return {
        "runs": runs,
        "mean": {step: float(np.mean(values)) for step, values in columns.items()},
        "spread": {step: float(np.std(values, ddof=1)) for step, values in columns.items()},
        "paired": paired,
    }


def _steps(values: np.ndarray) -> dict[str, float]:
    """Means over videos [v, h] at some steps and over all."""
    horizon = values.shape[1]
    steps = {str(step): float(mean(values[:, step - 1])) for step in STEPS if step <= horizon}
    return {**steps, "all": float(mean(mean(values, 1)))}


def page(results: Mapping[str, EvaluationResult], found: Mapping[str, dict]) -> str:
    """The comparison as Markdown."""
    first, videos = next((name, len(result.names)) for name, result in results.items())
    lines = [
        "# Comparison of runs",
        "",
        f"{len(results)} runs on the same {videos} videos. Spread: "
        f"standard deviation over the runs. Paired: the mean difference from `{first}` over videos "
        "and all steps, with its 95 % interval by bootstrap over videos.",
        "",
    ]
    for figure in FIGURES:
        if figure.key not in found:
            continue
        one, digits = found[figure.key], figure.digits
        steps = list(one["mean"])
        lines += [f"## {figure.title} ({figure.unit})", ""]
        head = " | ".join("all steps" if step == "all" else f"step {step}" for step in steps)
        lines += [f"| run | {head} | paired |", "|---|" + "---:|" * (len(steps) + 1)]
        for name, row in one["runs"].items():
            cells = " | ".join(f"{row[step]:.{digits}f}" for step in steps)
            text = ""
            if pair := one["paired"].get(name):
                size, low, high = (f"{pair[key]:+.{digits}f}" for key in ("mean", "low", "high"))
                text = size if low == "+nan" else f"{size} [{low}, {high}]"
            lines.append(f"| {name} | {cells} | {text} |")
        cells = " | ".join(
            f"{one['mean'][step]:.{digits}f} ± {one['spread'][step]:.{digits}f}" for step in steps
        )
        lines += [f"| **mean ± spread** | {cells} | |", ""]
    return "\n".join(lines)
