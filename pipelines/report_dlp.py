"""What the evaluation of stage 1 found, as a page to read and a file for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.probes import calibration
from pipelines.results import interval, mean

HEAD = 10  # rows that are printed


@dataclass(frozen=True)
class Row:
    """How a figure is called, printed and explained."""

    title: str
    digits: int
    words: str


# fmt: off
ROWS = {
    "coverage": Row("coverage", 3,
        "share of the visible objects that have a live particle within 6 % of the frame's longer "
        "side of their visible centre; 1 is best"),
    "precision": Row("precision", 3,
        "share of the live particles that are on a visible object; 1 is best"),
    "precision_ignoring": Row("precision, hidden objects left out", 3,
        "the same, without the particles on the pixels of an object of which too little is seen "
        "to count as visible: they count neither way; 1 is best"),
    "live_per_object": Row("live particles per object", 2,
        "1 is best; 2 means that each object is found twice"),
    "position_error": Row("position error, px", 2,
        "mean distance of a covered object's visible centre from its nearest live particle; less "
        "is better"),
    "position_error_95": Row("position error, 95th percentile, px", 2,
        "nineteen covered objects of twenty are nearer than this, all videos together"),
    "psnr": Row("PSNR, dB", 2,
        "how like the frames their reconstructions are; more is better"),
    "psnr_moving": Row("PSNR on moving pixels, dB", 2,
        "the same, only where the frame differs from the model's own background"),
    "jitter": Row("jitter about the true path, px", 3,
        "trembling of the linked particles, per coordinate, on objects in full view that move "
        "evenly; of the offsets a running median over 5 frames is taken away, and what it takes "
        "of white noise is put back; less is better"),
    "identity": Row("identity", 3,
        "share of the linked particles that are on the same object in the next frame; 1 is best"),
    "identity_unbroken": Row("identity, breaks counted", 3,
        "the same, where a track that is not seen in the next frame is a miss, too"),
    "nearer_on_top": Row("nearer on top", 3,
        "where the particles of several objects cover a pixel: how often the one is drawn that is "
        "there in truth; 1 is best"),
    "shift_error": Row("shift error, px", 3,
        "how far particles are from where a shift of the picture by 1 to 4 whole pixels should "
        "take them, away from the border; 0 is best"),
    "shift_lost": Row("lost by a shift", 3,
        "share of those particles of which none is left near there; 0 is best"),
    "hand_outside": Row("moved by hand: change elsewhere", 6,
        "one particle is moved 8 px: the largest change of any pixel outside its old and its new "
        "patch, in all videos, of the range 1; 0 where a particle draws its own patch alone"),
    "hand_psnr": Row("moved by hand: likeness, dB", 2,
        "PSNR between the object at its new place and at its old one; 100 is equal"),
    "spearman": Row("uncertainty: rank correlation", 3,
        "Spearman's, of the predicted deviation with the true error, over all particles on "
        "objects; 1 is best, 0 tells nothing"),
    "within_1_sigma": Row("uncertainty: within 1 sigma", 3,
        "share of the coordinates; a Gaussian that knows itself has 0.683, one too sure has less"),
    "within_2_sigma": Row("uncertainty: within 2 sigma", 3,
        "share of the coordinates; a Gaussian that knows itself has 0.954"),
}
# fmt: on
ROBUST = ("coverage", "precision", "position_error", "psnr")
CLEAN = "clean"
DISTURBED = {
    CLEAN: "as they are",
    "light": "gain 0.8 to 1.2 and offset, drifting",
    "noise": "camera noise, sigma 5 of 255",
    "jpeg": "JPEG, quality 30",
    "shake": "camera shake, up to 2 px",
}


@dataclass(frozen=True)
class Judged:
    """One video's figures.

    Args:
        figures: key of `ROWS` to value; what is missing or NaN could not be measured.
        robust: clean and each disturbance to key of `ROBUST` to value.
        error: [m] px, of the covered objects.
        sigma, miss: [n, 2] px, predicted deviation and particle - object.
    """

    figures: dict[str, float]
    robust: dict[str, dict[str, float]]
    error: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sigma: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    miss: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


def collect(judged: Sequence[Judged], meta: Mapping[str, object]) -> dict[str, Any]:
    """The videos' figures as one table, fit for JSON: None where there was nothing to measure.

    A figure's value is the mean over videos, with its 95 % interval (bootstrap over videos). Those
    of uncertainty and the percentile come from all particles together, and have no interval.
    """
    error = np.concatenate([one.error for one in judged])
    pooled = calibration(
        np.concatenate([one.sigma for one in judged]), np.concatenate([one.miss for one in judged])
    )
    pooled["position_error_95"] = float(np.percentile(error, 95)) if error.size else math.nan
    # The largest of all: one video that breaks the promise is enough.
    outside = [one.figures.get("hand_outside", math.nan) for one in judged]
    pooled["hand_outside"] = float(np.fmax.reduce(outside))
    figures = {}
    for key, row in ROWS.items():
        if key in pooled:
            figures[key] = {"value": pooled[key], "meaning": row.words}
        else:
            found = _over([one.figures.get(key, math.nan) for one in judged])
            figures[key] = {**found, "meaning": row.words}
    disturbed = {
        name: {key: _over([one.robust[name][key] for one in judged]) for key in ROBUST}
        for name in judged[0].robust
    }
    for found in disturbed.values():
        for key, one in found.items():
            one["change"] = one["value"] - disturbed[CLEAN][key]["value"]
    return _plain({"meta": dict(meta), "figures": figures, "disturbed": disturbed})


def _over(values: Sequence[float]) -> dict[str, Any]:
    """The mean over videos and how sure it is."""
    low, high = interval(np.array(values))
    overall = float(mean(np.array(values)))
    return {"value": overall, "low": float(low), "high": float(high), "per_video": list(values)}


def _plain(value: Any) -> Any:
    """NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def head(result: Mapping[str, Any]) -> list[str]:
    """The table's first rows, for a terminal."""
    width = max(len(ROWS[key].title) for key in [*ROWS][:HEAD])
    return [
        f"{ROWS[key].title:{width}}  {_cell(result['figures'][key]['value'], ROWS[key].digits):>8}"
        for key in [*ROWS][:HEAD]
    ]


def scalars(result: Mapping[str, Any]) -> dict[str, float]:
    """TensorBoard tag to value, of all that could be measured."""
    tags = {f"evaluate_dlp/{key}": one["value"] for key, one in result["figures"].items()}
    for name, figures in result["disturbed"].items():
        tags |= {f"evaluate_dlp {name}/{key}": one["value"] for key, one in figures.items()}
    return {tag: value for tag, value in tags.items() if value is not None}


def page(result: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Evaluation of stage 1",
        "",
        "Means over videos; in brackets 95 % intervals, by bootstrap over videos. What could not "
        "be measured (no true tracks, or nothing to measure) is -.",
        "",
        "| figure | value | what it means |",
        "|---|---:|---|",
    ]
    for key, row in ROWS.items():
        one = result["figures"][key]
        cell = _cell(one["value"], row.digits)
        if one.get("low") is not None:
            cell += f" [{one['low']:.{row.digits}f}, {one['high']:.{row.digits}f}]"
        lines.append(f"| {row.title} | {cell} | {row.words} |")
    lines += [
        "",
        "## On disturbed frames",
        "",
        "The same frames as a worse camera would have filmed them; in brackets the change "
        "from the clean ones. PSNR is against the disturbed frames themselves.",
        "",
        "| frames | " + " | ".join(ROWS[key].title for key in ROBUST) + " |",
        "|---|" + "---:|" * len(ROBUST),
    ]
    for name, figures in result["disturbed"].items():
        cells = []
        for key in ROBUST:
            value, change = figures[key]["value"], figures[key]["change"]
            known = name != CLEAN and change is not None
            loss = f" ({change:+.{ROWS[key].digits}f})" if known else ""
            cells.append(_cell(value, ROWS[key].digits) + loss)
        lines.append(f"| {name}: {DISTURBED[name]} | " + " | ".join(cells) + " |")
    lines += ["", "## What was evaluated", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in result["meta"].items()]
    return "\n".join([*lines, ""])
