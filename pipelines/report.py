"""The evaluation's outcome as a page to read and a file for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipelines.draw import plot_curves
from pipelines.figures import FIGURES, PARTICLES, Figure
from pipelines.film import png_bytes, write_whole
from pipelines.results import LEVELS, EvaluationResult, Scores, interval, jsonable, mean

__all__ = ["EvaluationResult", "Scores", "mean", "verdict", "write_report"]

_STEPS = (1, 5, 10, 20)
_WORST, _REASONS = 5, 3
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


def measured(result: EvaluationResult, figure: Figure) -> dict[str, np.ndarray]:
    """Method to [v, h], the model first; without the methods that lack the figure."""
    methods = {"model": result.model, **result.baselines}
    found = {name: getattr(scores, figure.key) for name, scores in methods.items()}
    return {name: values for name, values in found.items() if values is not None}


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
    once = {"reconstruction_psnr": result.reconstruction_psnr, **result.particles}
    return {
        "meta": dict(result.meta),
        "settings": dict(result.settings),
        "per_step": per_step,
        "particles": {
            name: {"mean": mean(values), "per_video": values} for name, values in once.items()
        },
        "calibration": {}
        if result.inside is None
        else {"levels": LEVELS, "inside": mean(result.inside), "per_video": result.inside},
        "whole": dict(result.whole),
        "missing": dict(result.notes),
        "videos": {
            name: list(found) for name, found in zip(result.names, result.troubles, strict=True)
        },
        "verdict": verdict(result),
    }


def verdict(result: EvaluationResult) -> str:
    """Whether the forecast beats copy-last: moving pixels at step 5, SSIM over all steps."""
    copy = result.baselines.get("copy-last")
    sentences = []
    for key, name, unit in (("psnr_moving", "on moving pixels", " dB"), ("ssim", "in SSIM", "")):
        ours, theirs = getattr(result.model, key), getattr(copy, key, None)
        if ours is None or theirs is None:
            continue
        step = min(5, ours.shape[1])
        at_step = key == "psnr_moving"
        where = f"at step {step}" if at_step else "over all steps"
        gain = ours - theirs
        gain = gain[:, step - 1] if at_step else mean(gain, 1)
        size, (low, high) = float(mean(gain)), interval(gain, result.seed)
        if np.isnan(size):
            sentences.append(f"Nothing moves {where}, so nothing is said {name}.")
            continue
        digits = 2 if at_step else 4
        word = "beats copy-last" if size > 0 else "does NOT beat copy-last"
        sentences.append(
            f"The forecast {word} {name} {where}: {size:+.{digits}f}{unit}"
            f"{_range(low, high, digits)}."
        )
    return " ".join(sentences) or "There is no copy-last to compare the forecast with."


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
    for index in ranking(result)[::-1][:_WORST]:
        why = (
            "; ".join(result.troubles[index][:_REASONS])
            or "no true tracks tell, or none is far off"
        )
        score = float(mean(result.model.psnr_moving[index]))
        lines.append(f"| {result.names[index]} | {score:.2f} | {why} |")
    return [*lines, ""]


def _range(low: np.ndarray, high: np.ndarray, digits: int) -> str:
    if np.isnan(low):
        return ""
    return f" [{float(low):.{digits}f}, {float(high):.{digits}f}]"


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
        cells.append(total + _range(*interval(overall, seed), figure.digits))
        lines.append(
            f"| {f'**{name}**' if name == 'model' else name} | " + " | ".join(cells) + " |"
        )
    return lines


def _page(result: EvaluationResult) -> str:
    lines = ["# Evaluation", "", verdict(result), ""]
    lines += [
        "Figures in brackets are 95 % intervals, by bootstrap over videos (or windows of one "
        "long video); there are none for a single video.",
        "",
    ]
    for figure in FIGURES:
        scores = measured(result, figure)
        if scores:
            lines += [f"## {figure.title} ({figure.unit})", ""]
            lines += [*table(scores, figure, result.seed), ""]
            lines += [f"![{figure.title} against forecast step](horizon_{figure.key}.png)", ""]
    if result.inside is not None:
        lines += [f"## {CALIBRATION}", "", *calibration_table(result), ""]
        lines += [f"![{CALIBRATION}]({CALIBRATION_PLOT})", ""]
    once = {"reconstruction PSNR, dB": result.reconstruction_psnr, **result.particles}
    lines += ["## Particles and reconstruction", "", "| figure | mean |", "|---|---:|"]
    for name, values in once.items():
        cell = _cell(float(mean(values)), 3) + _range(*interval(values, result.seed), 3)
        lines.append(f"| {name} | {cell} |")
    lines += [f"| {name} | {value:.2f} |" for name, value in result.whole.items()]
    lines += [f"| {name} | {reason} |" for name, reason in result.notes.items()]
    lines += ["", *worst(result), "## What was evaluated", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace('|', '/')} |" for name, value in result.meta.items()]
    lines += ["", "## Settings of the run", ""]
    told = (" ".join(f"--{name} {value}".split()) for name, value in result.settings.items())
    lines += [f"    {line}" for line in told]
    lines += ["", "## Conventions", ""]
    there = [figure for figure in FIGURES if measured(result, figure)]
    lines += [f"- {figure.title}: {figure.convention}" for figure in there]
    lines += [f"- Particles: {PARTICLES}", ""]
    return "\n".join(lines)
