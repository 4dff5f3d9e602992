"""The evaluation's outcome as a page to read and a file for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipelines.draw import plot_curves
from pipelines.figures import FIGURES, Figure, measured
from pipelines.film import png_bytes, write_whole
from pipelines.report_words import brackets, missing, told, trust, verdict
from pipelines.results import (
    LEVELS,
    RECONSTRUCTION,
    EvaluationResult,
    Scores,
    interval,
    jsonable,
    mean,
)
from pipelines.troubles import why

__all__ = ["EvaluationResult", "Scores", "mean", "verdict", "write_report"]

_STEPS = (1, 5, 10, 20)
WORST = 5
CALIBRATION = "Calibration of the sampled futures"
CALIBRATION_PLOT = "calibration.png"


def write_report(folder: str | Path, result: EvaluationResult) -> None:
    """Write `report.md`, `report.json` and a `horizon_*.png` for each figure to a folder.

    Each file is written whole or not at all, the one for programs last.

    Args:
        folder: made if it is not there.
        result: see `EvaluationResult`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for figure in FIGURES:
        scores = measured(result, figure)
        if scores:
            write_whole(folder / f"horizon_{figure.key}.png", plot(scores, figure, result.seed))
    if (picture := calibration_plot(result)) is not None:
        write_whole(folder / CALIBRATION_PLOT, picture)
    write_whole(folder / "report.md", _page(result).encode(errors="replace"))
    summary = json.dumps(jsonable(_summary(result)), indent=1, allow_nan=False)
    write_whole(folder / "report.json", summary.encode(errors="replace"))


def plot(scores: dict[str, np.ndarray], figure: Figure, seed: int) -> bytes:
    """The curves of all methods against the horizon, as PNG."""
    curves = {name: mean(values) for name, values in scores.items()}
    bands = {"model": interval(scores["model"], seed)} if "model" in scores else None
    return png_bytes(plot_curves(curves, title=figure.title, unit=figure.unit, bands=bands))


def calibration_plot(result: EvaluationResult) -> bytes | None:
    """How often the truth is where the samples say, against what they say, as PNG."""
    if result.inside is None:
        return None
    name = "sampled futures"
    curves = {name: mean(result.inside), "as they say": np.array(LEVELS)}
    return png_bytes(
        plot_curves(
            curves,
            title=CALIBRATION,
            unit="share of true coordinates inside",
            bands={name: interval(result.inside, result.seed)},
            along="central interval of the samples",
            at=LEVELS,
        )
    )


def calibration_table(result: EvaluationResult) -> list[str]:
    """The same as a Markdown table."""
    assert result.inside is not None
    cells = [_cell(float(value), 2) for value in mean(result.inside)]
    return [
        "| the interval says | " + " | ".join(f"{level:.1f}" for level in LEVELS) + " |",
        "|---|" + "---:|" * len(LEVELS),
        "| the truth is inside | " + " | ".join(cells) + " |",
    ]


def _summary(result: EvaluationResult) -> dict[str, object]:
    per_step: dict[str, object] = {}
    for figure in FIGURES:
        methods = {}
        for name, values in measured(result, figure).items():
            low, high = interval(values, result.seed)
            overall = mean(values, 1)
            methods[name] = {
                "per_step": {"mean": mean(values), "low": low, "high": high},
                "overall": dict(
                    zip(
                        ("mean", "low", "high"),
                        (mean(overall), *interval(overall, result.seed)),
                        strict=True,
                    )
                ),
                "per_video": values,
            }
        if methods:
            per_step[figure.key] = {"convention": figure.convention, "methods": methods}
    return {
        "meta": dict(result.meta),
        "overlap": result.overlap,
        "settings": dict(result.settings),
        "per_step": per_step,
        "particles": {
            name: {"mean": mean(values), "per_video": values}
            for name, values in result.once.items()
        },
        "calibration": {}
        if result.inside is None
        else {"levels": LEVELS, "inside": mean(result.inside), "per_video": result.inside},
        "whole": dict(result.whole),
        "conventions": told(result),
        "intervals": trust(result),
        "missing": missing(result),
        "videos": {
            name: list(found) for name, found in zip(result.names, result.troubles, strict=True)
        },
        "verdict": verdict(result),
    }


def ranking(result: EvaluationResult) -> list[int]:
    """The videos from the best to the worst, by PSNR on moving pixels over all steps."""
    assert result.model.psnr_moving is not None
    score = mean(result.model.psnr_moving, 1)
    order = np.argsort(-np.where(np.isnan(score), np.inf, score), kind="stable")
    return [int(i) for i in order if not np.isnan(score[i])]


def worst(result: EvaluationResult) -> list[str]:
    """The videos that went worst, with what went wrong in them."""
    if not result.names:
        return []
    lines = [
        "## What went worst",
        "",
        "| video | PSNR on moving pixels, dB | why |",
        "|---|---:|---|",
    ]
    assert result.model.psnr_moving is not None
    for index in ranking(result)[::-1][:WORST]:
        score = float(mean(result.model.psnr_moving[index]))
        lines.append(f"| {result.names[index]} | {score:.2f} | {why(result, index)} |")
    return [*lines, "", "Their films, the best one's and the median one's are in `films/`.", ""]


def _cell(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def table(scores: dict[str, np.ndarray], figure: Figure, seed: int) -> list[str]:
    """A figure of all methods at some steps, as Markdown."""
    horizon = next(iter(scores.values())).shape[1]
    steps = [s for s in _STEPS if s < horizon] + [horizon]
    lines = [
        "| method | " + " | ".join(f"step {s}" for s in steps) + " | all steps |",
        "|---|" + "---:|" * (len(steps) + 1),
    ]
    for name, values in scores.items():
        overall, curve = mean(values, 1), mean(values)
        cells = [_cell(curve[s - 1], figure.digits) for s in steps]
        total = _cell(float(mean(overall)), figure.digits)
        cells.append(total + brackets(*interval(overall, seed), figure.digits))
        lines.append(
            f"| {f'**{name}**' if name == 'model' else name} | " + " | ".join(cells) + " |"
        )
    return lines


def once(result: EvaluationResult) -> dict[str, str]:
    """What each video or all together have once, and what is missing, name to text."""
    cells = {}
    for name, values in result.once.items():
        title = "reconstruction PSNR, dB" if name == RECONSTRUCTION else name
        bounds = interval(values, result.seed)
        cells[title] = _cell(float(mean(values)), 3) + brackets(*bounds, 3)
    return cells | {name: f"{x:.3f}" for name, x in result.whole.items()} | missing(result)


def _page(result: EvaluationResult) -> str:
    lines = ["# Evaluation", "", verdict(result), ""]
    lines += [trust(result), ""]
    for figure in FIGURES:
        scores = measured(result, figure)
        if scores:
            lines += [f"## {figure.title} ({figure.unit})", ""]
            lines += [*table(scores, figure, result.seed), ""]
            lines += [f"![{figure.title} against forecast step](horizon_{figure.key}.png)", ""]
    if result.inside is not None:
        lines += [f"## {CALIBRATION}", "", *calibration_table(result), ""]
        lines += [f"![{CALIBRATION}]({CALIBRATION_PLOT})", ""]
    lines += ["## Particles and reconstruction", "", "| figure | mean |", "|---|---:|"]
    lines += [f"| {name} | {text} |" for name, text in once(result).items()]
    lines += ["", *worst(result), "## What was evaluated", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace('|', '/')} |" for name, value in result.meta.items()]
    lines += ["", "## Settings of the run", ""]
    given = (" ".join(f"--{name} {value}".split()) for name, value in result.settings.items())
    lines += [f"    {line}" for line in given]
    lines += ["", "## Conventions", ""]
    lines += [f"- {title}: {words}" for title, words in told(result).items()]
    lines.append("")
    return "\n".join(lines)
