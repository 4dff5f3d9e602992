"""What each choice of stage 2 is worth: one trained anew for each, on the same particles.

particlecast ablate --data SOURCE --run DIR --out OUT --max-steps 1500 --seeds 3
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.errors import UserError
from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.tracks import Tracks
from dynamics.windows import gather, window_starts
from pipelines.ablate_page import page, row_of
from pipelines.checkpoint import (
    checkpoint_root,
    list_checkpoints,
    load_training_state,
    step_of,
)
from pipelines.config import EngineConfig
from pipelines.devices import to_device
from pipelines.encode import encode_tracks
from pipelines.engine import train
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.load import check_own, check_size, held_out, load_dlp, open_data
from pipelines.lock import hold_run
from pipelines.marks import fill, place
from pipelines.progress import reporting
from pipelines.provenance import commits, machine
from pipelines.results import jsonable
from pipelines.train_dynamics import DynamicsStage, coasting, errors_by_step

STEPS = (1, 5, 10, 20)
"""Forecast steps that are told."""
WINDOWS = 512
"""Of the held-out tracks, at most, spread evenly."""

CHANGES: dict[str, dict[str, Any]] = {
    "as configured": {},
    "messages summed": {"conv": "summed"},
    "conv gcn (the paper's)": {"conv": "gcn"},
    "conv gat": {"conv": "gat"},
    "conv gatv2": {"conv": "gatv2"},
    "conv transformer": {"conv": "transformer"},
    "half as wide": {"hidden": 64, "edge": 64},
    "edges half as wide": {"edge": 64},
    "one round": {"layers": 1},
    "three rounds": {"layers": 3},
    "k 1": {"neighbours": 1},
    "k 3": {"neighbours": 3},
    "k 8": {"neighbours": 8},
    "history 3": {"history": 3},
    "history 5": {"history": 5},
    "no noise": {"noise": 0.0},
    "noise 2": {"noise": 2.0},
    "no appearance noise": {"appearance_noise": 0.0},
    "appearance noise 1": {"appearance_noise": 1.0},
    "unroll 1": {"horizon": 1},
    "unroll 5": {"horizon": 5},
    "unroll 15": {"horizon": 15},
    "displacement as the target": {"target": "displacement"},
    "walls not known": {"walls": False},
    "one future only": {"chance": 0},
    "image loss 0.02": {"image": 0.02},
}
"""A row of the table each: what differs from the configuration that was given."""


def ablate(
    data: str,
    run: Path,
    out: Path,
    dynamics: DynamicsConfig,
    stage2: EngineConfig,
    max_steps: int,
    seeds: int,
    only: str = "",
    kept: Path | None = None,
) -> dict[str, Any]:
    """Write OUT/ablation.json and OUT/ablation.md; what was trained before is not trained again.

    Errors are of the model's own rollout against the tracks of the held-out videos: the same
    particle, in pixels.

    Args:
        data: what stage 1 of the run was trained on.
        run: holds the stage 1.
        out: holds the trained models too.
        dynamics, stage2: what the rows differ from.
        max_steps: of training, for each.
        seeds: so many runs of each row, seeds 0 and on.
        only: rows whose name holds this text, or one of several with commas between; "": all.
        kept: a Markdown file that keeps the table between its marks.

    Returns:
        What ablation.json holds: errors in pixels, and the seconds that each run was trained,
        evaluated and saved, those before it was stopped included.

    Raises:
        UserError: the run, the source or the settings are unfit, no held-out video is long enough,
            or a row was trained for more steps before, or `kept` has no marks.
    """
    if kept:
        place(kept)  # what is wrong with it is said now, not after hours
    texts = [text.strip() for text in only.split(",") if text.strip()] or [""]
    rows = {n: change for n, change in CHANGES.items() if any(text in n for text in texts)}
    if not rows:
        raise UserError(f"--only {only!r}: no such row: one of {', '.join(CHANGES)}")
    dlp = load_dlp(run)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    check_own(dlp, dataset, run)
    make_folder(out)
    key = f"{dlp.digest}-{dataset.fingerprint}"
    sets = {"train": dataset.train, "val": dataset.val, "test": held_out(dataset, dlp)}
    with reporting() as progress:
        tracks = {
            name: encode_tracks(
                dlp.model, videos, out / "particles" / f"{name}.safetensors", key, progress
            )
            for name, videos in sets.items()
        }
    configs = {name: replace(dynamics, **change) for name, change in rows.items()}
    places = {
        name: [
            out / "models" / name.replace(" ", "-").replace("'", "") / f"{s}" for s in range(seeds)
        ]
        for name in rows
    }
    _refuse_longer([place for row in places.values() for place in row], max_steps)
    begins = forecast_begins(tracks["test"], max(config.history for config in configs.values()))
    table: dict[str, Any] = {}
    for name, config in configs.items():
        found, seconds = [], []
        for seed, where in enumerate(places[name]):
            torch.manual_seed(seed)
            stage = DynamicsStage(
                dlp,
                dataset.train,
                tracks["train"],
                tracks["val"],
                config,
                stage2.batch,
                dataset.fingerprint,
            )
            with hold_run(where):
                finished = train(stage, where, stage2, max_steps, None, resume=True, seed=seed)
                seconds.append(load_training_state(finished.checkpoint)["elapsed"])
            particles = dlp.model.config.particles
            found.append(forecast_errors(stage.model.eval(), tracks["test"], begins, particles))
        curves = np.stack([model for model, _ in found])  # (seeds, u)
        table[name] = {
            "change": rows[name],
            "error": {str(s): curves[:, s - 1].tolist() for s in STEPS},
            "constant_velocity": {str(s): float(found[0][1][s - 1]) for s in STEPS},
            "seconds": seconds,
        }
        print(row_of(name, table[name]), file=sys.stderr, flush=True)
    meta = {"data": data, "run": str(run), "steps": max_steps, "seeds": seeds}
    meta["trained at commit"] = commits([one for row in places.values() for one in row], "stage2")
    meta |= machine()
    result = {"meta": meta, "rows": table}
    text = json.dumps(jsonable(result), indent=1, allow_nan=False)
    write_whole(out / "ablation.json", text.encode())
    write_whole(out / "ablation.md", f"# Ablation of stage 2\n\n{page(result)}".encode())
    if kept:
        fill(kept, page(result))
    return result


def _refuse_longer(places: Sequence[Path], max_steps: int) -> None:
    """Stop before any training if one of the runs was trained for more steps before."""
    for where in places:
        for folder in list_checkpoints(checkpoint_root(where, "stage2")):
            if (step := step_of(folder)) > max_steps:
                raise UserError(
                    f"{where} was trained for {step} steps before, not {max_steps}: give "
                    f"--max-steps {step}, or another --out"
                )


def forecast_begins(tracks: Sequence[Tracks], history: int) -> torch.Tensor:
    """The (video, first frame forecast) of windows spread evenly: [m, 2] int64, m <= WINDOWS.

    Args:
        tracks: of the held-out videos.
        history: frames, the longest of any model to be compared: all forecast the same.

    Raises:
        UserError: no held-out video is long enough.
    """
    horizon = max(STEPS)
    starts = window_starts(tracks, history, horizon)
    if not len(starts):
        raise UserError(
            f"videos too short: forecasts of {horizon} steps after {history} frames are measured"
        )
    every = torch.linspace(0, len(starts) - 1, min(len(starts), WINDOWS)).long()
    return starts[every] + torch.tensor([0, history])


@torch.no_grad()
def forecast_errors(
    model: GraphDynamics, tracks: Sequence[Tracks], begins: torch.Tensor, particles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that the model, and its particles' constant velocity, are off at steps 1 to 20.

    Args:
        model: in eval mode.
        tracks: of the held-out videos.
        begins: [m, 2] from `forecast_begins`, of a history that is no shorter than the model's.
        particles: K of stage 1.

    Returns:
        [20] pixels, of each. Whatever the model's history, it is of the same particles and
        frames, so that constant velocity is off by the same.
    """
    history, horizon = model.config.history, max(STEPS)
    # A window's particles are those of two frames, 2 K at most: none is left out for being seen
    # less often than others in a history of this length.
    starts = begins - torch.tensor([0, history])
    window = gather(tracks, starts, history, horizon, 2 * particles)
    window = to_device(window, model.side.device)
    states = list(unroll(model, window.state, horizon))
    predicted = torch.stack([state.position[:, -1] for state in states], 1)
    guess = coasting(window.state, horizon)
    return (
        errors_by_step(predicted, window, model.side),
        errors_by_step(guess, window, model.side),
    )
