"""The page of the project's own results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.evaluate_long import AT as AT_LONG
from pipelines.provenance import in_words
from pipelines.reproduce_tracking import Found, curves, identity
from pipelines.tables import cell, spread, table

STAGE1 = (
    ("coverage", "coverage", 3),
    ("precision", "precision", 3),
    ("precision_ignoring", "hidden left out", 3),
    ("live_per_object", "live/object", 2),
    ("position_error", "error, px", 2),
    ("psnr", "PSNR, dB", 1),
    ("psnr_moving", "moving, dB", 1),
    ("jitter", "jitter, px", 3),
    ("identity", "identity", 3),
    ("shift_error", "shift error, px", 2),
    ("within_1_sigma", "within 1 sigma", 2),
    ("within_2_sigma", "within 2 sigma", 2),
    ("spearman", "rank correlation", 2),
)
"""Figures of stage 1: key, head, digits."""
METHODS = (
    "model",
    "copy-last",
    "median background",
    "optical flow",
    "own constant velocity",
    "true constant velocity",
)
FORECAST = (
    ("position_error", "Error of the same particle, px", 2),
    ("psnr_moving", "PSNR on moving pixels, dB", 2),
    ("psnr", "PSNR, dB", 2),
    ("ssim", "SSIM", 3),
    ("lpips_alex", "LPIPS, AlexNet", 3),
)
AT = (1, 5, 10, 20)
MORE = "things "
"""So begins the name of what is measured with more things, their number after it."""
TRAINED = ("trained1", "trained2")


def page(found: Found) -> str:
    """The results as Markdown.

    Args:
        found: what was measured, and of the trained stages their steps and commit.
    """
    every = [one for seeds in found.values() for one in seeds.values()]
    machines = sorted({_machine(one) for one in every})
    lines = [
        "# Results",
        "",
        "Made by `make results`; every number is of videos, or of a last tenth, that were never "
        "trained on. Of stage 1 each seed stands by itself. Runs are so many steps long and of one "
        "thread: however busy a machine is and whatever its cores, one with the same instructions "
        "gives the same figures. The commit of each stands [at the end](#what-made-each-run).",
        "",
        *(f"Machine: {machine}." for machine in machines),
        "",
        "## Stage 1: frames to particles",
        "",
        *_stage1(found),
        "",
        "## Forecasts",
        "",
        "Context 10 frames. Mean over seeds, and the least and the most of them.",
        "",
        *_forecasts(found),
        "## Sampled futures",
        "",
        *sampled(found),
        "",
        "## Identity",
        "",
        *identity(found),
        "",
        "### Out to where it fails",
        "",
        *curves(found),
        "",
        "## More things than in training",
        "",
        "The same runs with 24 particles, nothing trained anew; context 10, 10 videos.",
        "",
        *_more(found),
        "",
        "## A thousand steps",
        "",
        "Context 10, 8 videos. Energy: the mean squared speed over that of the first ten steps. "
        "Drift: of those still there at the end, in standard deviations of the training videos' "
        "looks. Sound: everything is finite, and on the canvas or gone.",
        "",
        *long(found),
        "",
        "## What made each run",
        "",
        "Of each stage the checkpoint that is best on the validation videos: its steps, seed, "
        "commit, minutes so far.",
        "",
        *_made(found),
        "",
    ]
    return "\n".join(lines)


def _made(found: Found) -> list[str]:
    """A line a run: its stages, and the commits at which it was measured."""
    rows = []
    for case, seeds in found.items():
        for seed, one in seeds.items():
            metas = [file["meta"] for name, file in one.items() if name not in TRAINED]
            stages = [
                next((meta[name] for meta in metas if name in meta), "–")
                for name in ("stage 1", "stage 2")
            ]
            commits = dict.fromkeys(str(meta.get("commit", "unknown")) for meta in metas)
            rows.append([case, seed, *stages, ", ".join(commits)])
    return table(["data", "seed", "stage 1", "stage 2", "measured at"], rows)


def _machine(one: Mapping[str, Any]) -> str:
    """The machine of a run's first measurement; the commit stands elsewhere."""
    meta = next(file["meta"] for name, file in one.items() if name not in TRAINED)
    return in_words({name: value for name, value in meta.items() if name != "commit"})


def _stage1(found: Found) -> list[str]:
    """A line a run."""
    rows = []
    for case, seeds in found.items():
        for seed, one in seeds.items():
            if "stage1" not in one:
                continue
            figures = one["stage1"]["figures"]
            cells = [
                cell(figures[key]["value"] if key in figures else None, digits)
                for key, _, digits in STAGE1
            ]
            rows.append([case, seed, length([one], TRAINED[:1]), *cells])
    return table(["data", "seed", "steps", *(head for _, head, _ in STAGE1)], rows)


def _forecasts(found: Found) -> list[str]:
    """A table a case and figure."""
    lines: list[str] = []
    for case, seeds in found.items():
        runs = [one for one in seeds.values() if "forecast" in one]
        reports = [one["forecast"]["per_step"] for one in runs]
        if not reports:
            continue
        lines += [f"### {case}: {length(runs, TRAINED)} steps", ""]
        lines += [_windows(runs[0]["forecast"]), ""]
        for figure, title, digits in FORECAST:
            there = [report[figure]["methods"] for report in reports if figure in report]
            rows = [
                [f"**{name}**" if name == "model" else name, *steps_of(there, name, digits)]
                for name in METHODS
                if there and all(name in one for one in there)
            ]
            if rows:
                seeds_of = f"{title}, {len(there)} seed{'s' if len(there) > 1 else ''}"
                lines += [*table([seeds_of, *(f"step {step}" for step in AT)], rows), ""]
    return lines


def _windows(report: Mapping[str, Any]) -> str:
    """What the forecasts were measured on."""
    number = report["meta"]["windows"]
    if report.get("overlap"):  # reports of before do not tell
        return f"{number} windows of its last tenth, which overlap: they are not independent."
    return f"{number} test videos, or windows of one."


def length(runs: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> str:
    """How long each stage was trained; those of different runs if they differ."""
    told = {" + ".join(f"{one[n]['steps']:,}" for n in stages if n in one) for one in runs}
    return " or ".join(sorted(told))


def steps_of(there: Sequence[Mapping[str, Any]], name: str, digits: int) -> list[str]:
    """One method's cells, over seeds."""
    curves = [one[name]["per_step"]["mean"] for one in there]
    cells = []
    for step in AT:
        values = [curve[step - 1] for curve in curves if len(curve) >= step]
        cells.append(spread([v for v in values if v is not None], digits))
    return cells


def sampled(found: Found) -> list[str]:
    """Spread, best of the samples, and the number of live particles."""

    def figure(text: str) -> Callable[[Mapping[str, Any]], float | None]:
        def pick(one: Mapping[str, Any]) -> float | None:
            names = [name for name in one["forecast"]["particles"] if text in name]
            return one["forecast"]["particles"][names[0]]["mean"] if names else None

        return pick

    heads = {
        "in the 50 % interval": "50 % interval",
        "in the 90 % interval": "90 % interval",
        "best of 20 for each, px": "error of the best of",
        "best whole scene of 20, px": "error of the best whole scene",
        "middle, px": "error of the middle",
        "live particles off": "live particles off",
    }
    rows = []
    for case, seeds in found.items():
        runs = [one for one in seeds.values() if "forecast" in one]
        columns = [[v for v in map(figure(text), runs) if v is not None] for text in heads.values()]
        if any(columns):
            steps = {str(one["forecast"]["meta"]["horizon"]) for one in runs}
            cells = (spread(column, 2) for column in columns)
            rows.append([case, " or ".join(sorted(steps)), *cells])
    return table(["data", "steps", *heads], rows)


def _more(found: Found) -> list[str]:
    """Errors of scenes with more things, beside those of constant velocity."""
    rows = []
    for case, seeds in found.items():
        for name in dict.fromkeys(name for one in seeds.values() for name in one):
            if not name.startswith(MORE):
                continue
            reports = [one[name]["per_step"] for one in seeds.values() if name in one]
            for method in ("model", "true constant velocity", "copy-last"):
                every = [one["position_error"]["methods"] for one in reports]
                curves = [one[method]["per_step"]["mean"] for one in every if method in one]
                cells = [
                    spread([curve[step - 1] for curve in curves if step <= len(curve)], 2)
                    for step in AT
                ]
                rows.append([case, name.removeprefix(MORE), method, *cells])
    return table(["data", "things", "error, px", *(f"step {step}" for step in AT)], rows)


def long(found: Found) -> list[str]:
    """What becomes of a thousand steps."""
    rows = []
    for case, seeds in found.items():
        runs = [one["long"] for one in seeds.values() if "long" in one]
        if not runs:
            continue
        cells = ["yes" if all(run["sound"] for run in runs) else "no"]
        for key, digits in (("live", 1), ("energy", 2)):
            columns = zip(*(run[key] for run in runs), strict=True)
            cells += [spread(column, digits) for column in columns]
        rows.append([case, *cells, spread([run["drift"] for run in runs], 2)])
    at = [f"{name}, step {step}" for name in ("live", "energy") for step in AT_LONG]
    return table(["data", "sound", *at, "drift of looks"], rows)
