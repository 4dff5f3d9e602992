"""What a figure was made with: the machine, this code and its commit, and a run's own training."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from data.errors import UserError
from pipelines.checkpoint import (
    STATE,
    checkpoint_root,
    find_checkpoint,
    list_checkpoints,
    load_config,
    load_training_state,
    step_of,
)

STAGES = ("stage1", "stage2")
CODE = (
    ".",
    "../data",
    "../dlp",
    "../dynamics",
    ":(exclude)pretrained",
    ":(exclude,top)*__pycache__*",
)
"""What git is asked about, from here: the four packages, without the weights that come along."""


def machine() -> dict[str, object]:
    """The machine and the code, for a report's table; without a commit outside a checkout."""
    found: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "particlecast": version("particlecast"),
    }
    return found | ({"commit": name} if (name := commit()) else {})


def commit() -> str:
    """The commit that is checked out, and whether the packages differ from it; "" if unknown.

    A new file of theirs is a change, too; one of the tests or the benchmarks is none.
    """
    words = (
        f"ls-files --error-unmatch {Path(__file__).name}",  # not another project around a .venv
        "rev-parse --short HEAD",
        f"status --porcelain --untracked-files=all -- {' '.join(CODE)}",
    )
    try:
        ours, name, changed = (
            subprocess.run(
                ["git", *one.split()], cwd=Path(__file__).parent, capture_output=True, text=True
            )
            for one in words
        )
    except OSError:
        return ""
    if ours.returncode or name.returncode:
        return ""
    differs = changed.returncode or changed.stdout
    return name.stdout.strip() + (" and changes" if differs else "")


def training(folder: Path) -> dict[str, object]:
    """A checkpoint's steps, and of its seed, minutes and commit what is known.

    Args:
        folder: a checkpoint; one that comes with the package has no training state.
    """
    made = load_config(folder).get("made")
    made = made if isinstance(made, dict) else {}
    found = {"steps": step_of(folder), **{n: known for n, known in made.items() if known != ""}}
    if (folder / STATE).exists():
        try:
            state = load_training_state(folder)
            found |= {"seed": int(state["seed"]), "minutes": round(state["elapsed"] / 60, 1)}
        except (UserError, KeyError, TypeError, ValueError):
            pass  # no forecast needs a training state: it may be damaged
    return found


def in_words(found: Mapping[str, Any]) -> str:
    """What `machine` found, or a part of it, as a line."""
    words = {
        "machine": "{}",
        "cores": "{} cores",
        "threads": "threads: {}",
        "python": "Python {}",
        "torch": "torch {}",
        "commit": "commit {}",
    }
    return ", ".join(text.format(found[name]) for name, text in words.items() if name in found)


def commits(runs: Sequence[Path], stage: str) -> str:
    """At which commits a stage of several runs was trained, with commas; unknown ones are told."""
    folders = [run for run in runs if list_checkpoints(checkpoint_root(run, stage))]
    found = {str(training(find_checkpoint(run, stage)).get("commit", "unknown")) for run in folders}
    return ", ".join(sorted(found)) or "unknown"


def trained(run: Path, stages: Sequence[str] = STAGES) -> dict[str, str]:
    """Each stage of a run to how it was trained, in words, for a report's table."""
    return {
        stage.replace("stage", "stage "): ", ".join(
            f"{name} {value}" for name, value in training(find_checkpoint(run, stage)).items()
        )
        for stage in stages
    }


def training_columns(run: Path) -> dict[str, object]:
    """The same in a column each: `{"stage1.steps": 900, "stage1.seed": 0, ...}`, what is known."""
    return {
        f"{stage}.{name}": value
        for stage in STAGES
        for name, value in training(find_checkpoint(run, stage)).items()
    }


def settings(run: Path) -> dict[str, Any]:
    """All settings that a run's stages were trained with: `{"dlp.particles": 12, ...}`.

    Those of the optimiser are under `stage1.` and `stage2.`, as on the command line, and there too
    the `source` that they were trained on, and its `fingerprint`.
    """
    found: dict[str, Any] = {}
    for stage in STAGES:
        config = load_config(find_checkpoint(run, stage))
        engine = config.get("engine")
        data = {name: config.get(name) for name in ("source", "fingerprint")}
        found |= {f"{stage}.{name}": value for name, value in data.items() if value is not None}
        groups = {name: config.get(name) for name in ("frames", "dlp", "dynamics")}
        for name, group in (groups | {stage: engine}).items():
            if isinstance(group, dict):
                found |= _flat(group, name)
    return found


def _flat(group: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Names with dots for groups in groups."""
    found: dict[str, Any] = {}
    for name, value in group.items():
        inner = _flat(value, f"{prefix}.{name}") if isinstance(value, dict) else None
        found |= {f"{prefix}.{name}": value} if inner is None else inner
    return found
