"""A thousand steps: whether what a run foresees goes on as it began.

particlecast evaluate-long --data SOURCE --run DIR --out OUT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.source import require_length
from dynamics.futures import LEAVE, Moved, move
from dynamics.model import GraphDynamics
from dynamics.state import State
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.forecast import observe
from pipelines.load import held_out, open_forecaster
from pipelines.progress import reporting
from pipelines.provenance import machine, trained
from pipelines.results import jsonable

CONTEXT, STEPS = 10, 1000
AT = (1, 100, 500, 1000)
"""Steps at which particles are counted."""
NEAR = 10
"""Steps round each of AT over which speeds are taken."""
FIGURES = {
    "sound": "everything is finite, and on the canvas or gone",
    "live": "live particles",
    "energy": "mean squared speed, over that of the first steps",
    "drift": "how far the looks of those that are still there have come from the first, in "
    "standard deviations of the training videos' looks",
}


def evaluate_long(data: str, run: Path, out: Path, limit: int = 0) -> dict[str, Any]:
    """Write OUT/long.json and long.md.

    Args:
        limit: at most so many videos; 0: all that are held out.

    Returns:
        meta; at, the steps; and each of FIGURES: [len(at)], or for drift and sound a number of all
        videos. None where there was nothing to measure.

    Raises:
        UserError: the run or the source is unfit, or a video is shorter than the context.
    """
    opened = open_forecaster(data, run)
    dlp, dynamics = opened.dlp, opened.dynamics
    videos = held_out(opened.dataset, dlp)[: limit or None]
    require_length(videos, CONTEXT, f"context {CONTEXT}")
    make_folder(out)
    found = []
    with reporting() as progress:
        for index, video in enumerate(videos):
            known = np.ascontiguousarray(video.frames[:CONTEXT])
            state = observe(dlp.model, dynamics, known).state
            found.append(endure(dynamics, state, STEPS))
            progress("a thousand steps", (index + 1) / len(videos))
    meta = {"data": data, "run": str(run), "videos": len(videos), **trained(run), **machine()}
    result = {"meta": meta, "at": AT, **gather(found)}
    write_whole(out / "long.md", page(result).encode())
    text = json.dumps(jsonable(result), indent=1, allow_nan=False)
    write_whole(out / "long.json", text.encode())
    print("\n".join([*table(result), f"the figures are in {out / 'long.json'}"]), file=sys.stderr)
    return result


def endure(dynamics: GraphDynamics, state: State, steps: int) -> dict[str, Any]:
    """The figures of one video's future, of which no more than a part is kept at a time.

    Args:
        state: of one video.
    """
    first, before = state.code[0], Moved(state.position[:, -1:], state.code[:, None], _rows(state))
    sound, done = True, 0
    live = np.full(len(AT), np.nan)
    speeds: list[float] = []
    for part in move(dynamics, state, steps):
        here = part.identity[0] >= 0
        sound &= bool(part.position.isfinite().all() and part.code.isfinite().all())
        sound &= bool((part.position[0][here].abs() <= LEAVE).all())
        for step, count in enumerate(here.sum(1).tolist(), done + 1):
            if step in AT:
                live[AT.index(step)] = count
        speeds += _squared_speeds(dynamics, before, part)
        before, done = Moved(*(x[:, -1:] for x in _parts(part))), done + len(here)
    same = before.identity[0, 0] == torch.arange(len(first))
    off = ((before.code[0, 0] - first) / dynamics.code_std)[same]
    return {
        "sound": sound,
        "live": live,
        "start": _mean(speeds[:NEAR]),
        "speed": [_mean(speeds[max(0, step - NEAR) : step + NEAR]) for step in AT],
        "drift": float(off.square().mean().sqrt()) if same.any() else float("nan"),
    }


def _rows(state: State) -> Tensor:
    """The identities with which a forecast begins, [1, 1, k]."""
    return torch.where(state.alive, torch.arange(state.alive.shape[1]), -1)[:, None]


def _parts(moved: Moved) -> tuple[Tensor, Tensor, Tensor]:
    return moved.position, moved.code, moved.identity


def _squared_speeds(dynamics: GraphDynamics, before: Moved, part: Moved) -> list[float]:
    """Of each step, the mean over those that were there before it, in squared pixels."""
    position = torch.cat([before.position, part.position], 1)[0] * dynamics.side
    identity = torch.cat([before.identity, part.identity], 1)[0]
    same = (identity[1:] == identity[:-1]) & (identity[1:] >= 0)  # (t, k)
    square = position.diff(dim=0).square().sum(-1)
    return ((square * same).sum(1) / same.sum(1)).tolist()


def _mean(values: Sequence[float]) -> float:
    """Without the steps at which nobody was there."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def gather(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all videos together: things that rest in one do not make its energy infinite."""
    live, speed = (
        [_mean(values) for values in zip(*(one[key] for one in found), strict=True)]
        for key in ("live", "speed")
    )
    start = _mean([one["start"] for one in found])
    return {
        "sound": all(one["sound"] for one in found),
        "live": live,
        "energy": [value / start if start else float("nan") for value in speed],
        "drift": _mean([one["drift"] for one in found]),
    }


def table(result: Mapping[str, Any]) -> list[str]:
    """The figures as a Markdown table."""
    lines = [
        f"| | {' | '.join(f'step {step}' for step in AT)} |",
        f"|---|{'---:|' * len(AT)}",
        *(
            f"| {FIGURES[key]} | {' | '.join(f'{value:.2f}' for value in result[key])} |"
            for key in ("live", "energy")
        ),
        "",
        f"- {FIGURES['sound']}: {'yes' if result['sound'] else 'NO'}",
        f"- {FIGURES['drift']}: {result['drift']:.2f}",
    ]
    return lines


def page(result: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = ["# A thousand steps", "", *table(result)]
    lines += ["", "## What was measured", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in result["meta"].items()]
    return "\n".join([*lines, ""])
