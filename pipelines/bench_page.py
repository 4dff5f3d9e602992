"""What `bench` found as a page to read, a file for programs, and curves."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.bench import FRAME
from pipelines.bench_landmarks import BATCH, PRESET, SIDE
from pipelines.film import write_whole
from pipelines.marks import fill, place
from pipelines.provenance import in_words

Row = dict[str, Any]


def write_results(out: Path, results: Row) -> None:
    """Write bench.json, growth.png (unless it was a quick run) and README.md's generated part.

    Args:
        out: the folder; the hand-written part of a README.md in it stays.
        results: from `bench.measure`.

    Raises:
        UserError: the disk is full, or README.md has lost its marks.
    """
    place(out / "README.md", FRAME)
    if results["pixels"]:
        write_whole(out / "growth.png", draw_growth(results))
    write_whole(out / "bench.json", json.dumps(results, indent=1, allow_nan=False).encode())
    fill(out / "README.md", "\n".join(generated(results)), FRAME)


def generated(results: Row) -> list[str]:
    """The lines of the generated part."""
    machine, cases = results["machine"], results["cases"]
    lines = [
        f"Measured on {in_words(machine)}; about {results['seconds']:g} s a measurement, medians. "
        f"{arithmetic(machine)} Ceilings, with the same threads: {ceilings(machine)}.",
        "",
        "Ours crops and pastes windows; naive is the same model and weights with one full canvas a "
        "particle (`dlp/reference.py`), by turns in the same process, so that the ratio is paired. "
        "Patch and glimpse are an eighth and a quarter of the frame (at 96 and 192 pixels "
        "the patch is 8 and 16), n_prior is 2 K and at least 20. A training step is loss, "
        "backward, clip and Adam, after the warm-up; frames are a still camera's, of five things "
        "before a background.",
        "",
    ]
    if results["quick"]:
        lines[:0] = ["A quick run: it shows that the benchmark works, and no more.", ""]
    lines += ["### Images a second", "", *speed_table(cases), ""]
    lines += ["### Peak memory of training, MB", ""]
    lines += ["Above: without what the bare imports use. The ratio is of what is above.", ""]
    lines += [*memory_table(cases), ""]
    if results["pixels"]:
        lines += ["### Growth", "", "![training time over K and over pixels](growth.png)", ""]
        lines += [*speed_table(results["pixels"]), ""]
    lines += ["### How far from the machine's limits", ""]
    lines += [
        "Operations are those of convolutions and matrix products; bytes are what each operator "
        "reads and writes, summed as if nothing stayed in a cache. Neither share can reach 100 % "
        "while the other counts. Beside it, images/s of training in float32 alone, by turns.",
        "",
        *floor_table(results["cost"], machine),
        "",
    ]
    for row in results["cost"]:
        lines += [f"### Where a training step spends its time: {_words(row)}", ""]
        lines += [*profile_table(row["operators"]), ""]
    return [*lines, *dynamics_part(results["dynamics"]), *landmarks_part(results["landmarks"])]


def arithmetic(machine: Row) -> str:
    """What the figures are computed in."""
    if not machine["bfloat16"]:
        return "All in float32."
    return (
        "Stage 1 trains its layers in bfloat16, for which this CPU has instructions (`auto`); "
        "places, the drawing and all else are in float32."
    )


def ceilings(machine: Row) -> str:
    """What a matrix product and a copy reach."""
    narrow = f", {machine['trained_gflops']:.0f} in bfloat16" if machine["bfloat16"] else ""
    return (
        f"a matrix product {machine['gflops']:.0f} GFLOP/s{narrow}, a copy "
        f"{machine['gbytes']:.1f} GB/s"
    )


def dynamics_part(found: Row) -> list[str]:
    """Stage 2: training steps and forecasts."""
    lines = [
        "### Stage 2",
        "",
        f"A training step: {found['batch']} windows, unrolled {found['unroll']} steps, of "
        f"{found['particles']} rows; a forecast: {found['videos']} videos at a time, every step "
        f"predicted and drawn at {found['size']} pixels, {found['live']} particles live.",
        "",
        *_table(
            ["live particles", "training steps/s"],
            [[row["live"], f"**{row['steps']:.1f}**"] for row in found["training"]],
        ),
        "",
        f"Forecast frames a second: **{_number(found['forecast'])}**.",
        "",
    ]
    for row in found["training"][:1]:
        lines += [f"Where a training step with {row['live']} live particles spends its time:", ""]
        lines += [*profile_table(row["operators"]), ""]
    return lines


def landmarks_part(rows: list[Row]) -> list[str]:
    """The landmark models: speed and memory."""
    cells = []
    for row in rows:
        own = row["peak"] - row["imports"]
        cells.append([row["model"], *map(_number, (row["train"], row["encode"], own))])
    return [
        "### Landmark models",
        "",
        f"Images a second of a batch of {BATCH} at {SIDE} pixels, with the preset {PRESET}; memory "
        "without what the bare imports use.",
        "",
        *_table(["model", "train", "encode", "memory, MB"], cells),
        "",
    ]


def speed_table(cases: list[Row]) -> list[str]:
    """Training, encoding and decoding beside the naive way."""
    tasks = ("train", "encode", "decode")
    head = ["size", "batch", "K"]
    for task in tasks:
        head += [task, "naive", "ratio"]
    rows = []
    for case in cases:
        cells = [case["size"], case["batch"], case["particles"]]
        for task in tasks:
            found = case[task]
            cells.append(f"**{_number(found['fast'])}**")
            if "ratio" in found:
                cells += [_number(found["naive"]), f"{found['ratio']:.2f}"]
            else:
                cells += [case["not_run"], "–"]
        rows.append(cells)
    return _table(head, rows)


def memory_table(cases: list[Row]) -> list[str]:
    """Peaks beside the naive way's."""
    head = ["size", "batch", "K", "peak", "above", "naive peak", "naive above", "ratio"]
    rows = []
    for case in cases:
        fast, naive = case["memory"]["fast"], case["memory"].get("naive")
        cells = [case["size"], case["batch"], case["particles"]]
        cells += [f"**{fast['peak']:.0f}**", f"{_above(fast):.0f}"]
        if naive:
            ratio = _above(naive) / max(_above(fast), 1e-9)
            cells += [f"{naive['peak']:.0f}", f"{_above(naive):.0f}", f"{ratio:.2f}"]
        else:
            cells += [case["not_run"], "–", "–"]
        rows.append(cells)
    return _table(head, rows)


def floor_table(rows: list[Row], machine: Row) -> list[str]:
    """A step's time beside what its operations and bytes would take at the ceilings."""
    head = ["training step", "ms", "GFLOP", "ms at ceiling", "share"]
    head += ["GB", "ms at ceiling", "share", "float32, images/s", "ratio"]
    cells = []
    for row in rows:
        products = row["flops"] / machine["trained_gflops"] / 1e9
        copies = row["bytes"] / machine["gbytes"] / 1e9
        line = [_words(row), f"{1e3 * row['seconds']:.1f}"]
        for amount, least in ((row["flops"], products), (row["bytes"], copies)):
            line += [f"{amount / 1e9:.2f}", f"{1e3 * least:.1f}", f"{least / row['seconds']:.0%}"]
        full = row["float32"]
        cells.append([*line, _number(full["rate"]), f"{full['ratio']:.2f}"])
    return _table(head, cells)


def profile_table(operators: list[Row]) -> list[str]:
    """The operators with the most time of their own."""
    rows = [
        [f"`{x['name']}`", f"{x['milliseconds']:.2f}", f"{x['share']:.1%}", f"{x['calls']:.0f}"]
        for x in operators
    ]
    return _table(["operator", "ms a step", "share", "calls"], rows)


def draw_growth(results: Row) -> bytes:
    """Training time of an image over K and over the pixels, as a PNG, with fitted exponents."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    over_k, over_pixels = figure.subplots(1, 2)
    batch = results["pixels"][0]["batch"]
    for size in sorted({case["size"] for case in results["cases"]}):
        rows = [x for x in results["cases"] if (x["size"], x["batch"]) == (size, batch)]
        _curves(over_k, rows, lambda row: row["particles"], f"{size} px")
    count = results["pixels"][0]["particles"]
    _curves(over_pixels, results["pixels"], lambda row: row["size"] ** 2, f"K {count}")
    over_k.set(xlabel="particles K", ylabel="training time of an image, ms")
    over_pixels.set(xlabel="pixels of a frame")
    for axes in (over_k, over_pixels):
        axes.set(title=f"batch {batch}", xscale="log", yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _curves(axes: Axes, rows: list[Row], x_of: Callable[[Row], int], name: str) -> None:
    """Ours, the naive way where it ran, and what is proportional to x, through our last point."""
    colour = None
    for way, style in (("fast", "o-"), ("naive", "s--")):
        kept = [row for row in rows if way in row["train"]]
        x = np.array([x_of(row) for row in kept], float)
        y = np.array([1e3 / row["train"][way] for row in kept])
        words = f"{name}, {'ours' if way == 'fast' else 'naive'}"
        if len(x) > 1:
            words += f": time ~ x^{slope(x, y):.2f}"
        (line,) = axes.plot(x, y, style, color=colour, label=words)
        colour = line.get_color()
        if way == "fast":
            axes.plot(x, y[-1] * x / x[-1], ":", color="grey", label=f"{name}, linear")


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """The exponent n of the least squares fit of y = a x^n, in logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _above(memory: Row) -> float:
    return memory["peak"] - memory["imports"]


def _words(row: Row) -> str:
    return f"{row['size']} px, K {row['particles']}, batch {row['batch']}"


def _number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]
