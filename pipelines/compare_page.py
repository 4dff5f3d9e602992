"""The comparison of runs as a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.figures import FIGURES, Figure
from pipelines.results import RECONSTRUCTION
from pipelines.tables import cell, table

TOLD = ("data", "context", "horizon")
"""What of a run's evaluation stands in the table of the runs."""
TRAINED = ("seed", "steps", "commit")
"""What of each stage's training does."""


def picture(figure: Figure) -> str:
    """The file of a figure's curves, beside the page."""
    return f"comparison_{figure.key}.png"


def page(found: Mapping[str, Any]) -> str:
    """The comparison as Markdown.

    Args:
        found: what comparison.json holds, see `compare_runs.write_comparison`.
    """
    runs = found["runs"]
    first = next(iter(runs))
    lines = [
        "# Comparison of runs",
        "",
        f"{len(runs)} runs on the same {len(found['videos'])} videos. Spread: standard deviation "
        f"over the runs. Paired: the mean difference from `{first}` over videos "
        "and all steps, with its 95 % interval by bootstrap over videos.",
        "",
        found["intervals"],
        "",
    ]
    for warning in found["warnings"]:
        lines += [f"**Warning:** {warning}", ""]
    lines += ["## The runs", "", *_runs(runs), ""]
    lines += ["## Settings in which they differ", "", *_settings(runs), ""]
    for figure in FIGURES:
        if figure.key in found["figures"]:
            lines += [f"## {figure.title} ({figure.unit})", ""]
            lines += [*_steps(found["figures"][figure.key], figure.digits), ""]
            lines += [f"![{figure.title} against forecast step]({picture(figure)})", ""]
    lines += ["## Particles and reconstruction", "", *_once(found["particles"], [*runs]), ""]
    lines += ["## Conventions", ""]
    lines += [f"- {title}: {words}" for title, words in found["conventions"].items()]
    return "\n".join([*lines, ""])


def _runs(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What each run is."""
    stages = [f"stage{n}.{name}" for n in (1, 2) for name in TRAINED]
    rows = [
        [
            name,
            *(one["meta"].get(key) for key in TOLD),
            *(one["training"].get(key) for key in stages),
        ]
        for name, one in runs.items()
    ]
    heads = [f"stage {n} {name}" for n in (1, 2) for name in TRAINED]
    return _table(["run", *TOLD, *heads], rows)


def _settings(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A row a setting, a column a run."""
    names = next(iter(runs.values()))["settings that differ"]
    rows = [[key, *(one["settings that differ"][key] for one in runs.values())] for key in names]
    return _table(["setting", *runs], rows) if rows else ["None."]


def _steps(one: Mapping[str, Any], digits: int) -> list[str]:
    """A per-step figure, a row a run."""
    steps = list(one["mean"])
    head = ["all steps" if step == "all" else f"step {step}" for step in steps]
    rows = [
        [name, *(cell(row[step], digits) for step in steps), _pair(one, name, digits)]
        for name, row in one["runs"].items()
    ]
    total = [
        f"{cell(one['mean'][step], digits)} ± {cell(one['spread'][step], digits)}" for step in steps
    ]
    return _table(["run", *head, "paired"], [*rows, ["**mean ± spread**", *total, ""]])


def _once(particles: Mapping[str, Any], runs: Sequence[str]) -> list[str]:
    """Figures without steps: a row a figure, a column a run with its paired difference."""
    rows = []
    for name, one in particles.items():
        cells = []
        for run in runs:
            pair = _pair(one, run, 3)
            cells.append(cell(one["runs"][run], 3) + (f" ({pair})" if pair else ""))
        title = "reconstruction PSNR, dB" if name == RECONSTRUCTION else name
        rows.append([title, *cells, f"{cell(one['mean'], 3)} ± {cell(one['spread'], 3)}"])
    return _table(
        [
            "figure",
            *(f"{run} (paired)" if run != runs[0] else run for run in runs),
            "mean ± spread",
        ],
        rows,
    )


def _pair(one: Mapping[str, Any], run: str, digits: int) -> str:
    """A run's difference from the first; "" of the first itself."""
    pair = one["paired"].get(run)
    if pair is None or np.isnan(pair["mean"]):
        return ""
    size, low, high = (f"{pair[key]:+.{digits}f}" for key in ("mean", "low", "high"))
    return size if np.isnan(pair["low"]) else f"{size} [{low}, {high}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Any values as Markdown, each on its line; what is not known is a dash."""

    def told(value: object) -> str:
        return "–" if value is None else " ".join(str(value).split()).replace("|", "/")

    return table([told(name) for name in head], [[told(value) for value in row] for row in rows])
