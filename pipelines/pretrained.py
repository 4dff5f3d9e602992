"""Trained runs that come with the package: `--run pretrained/traffic` needs no training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from data.errors import UserError
from pipelines.checkpoint import CONFIG, WEIGHTS, checkpoint_root, find_checkpoint, load_config
from pipelines.provenance import training

HOME = Path(__file__).parent / "pretrained"
PREFIX = "pretrained/"
CARD = "README.md"


def names() -> list[str]:
    """The worlds whose trained runs come with the package."""
    return sorted(path.parent.name for path in HOME.glob(f"*/{CARD}"))


def find_run(run: str) -> Path:
    """The folder of a trained run; pretrained/WORLD, unless such a folder is here, is our own.

    Raises:
        UserError: none of that name comes with the package.
    """
    here, name = Path(run), run.removeprefix(PREFIX).rstrip("/")
    if not run.startswith(PREFIX) or here.exists():
        return here
    if name not in names():
        raise UserError(
            f"--run {run}: no such folder, and no pretrained run of that name: choose from "
            f"{', '.join(PREFIX + one for one in names())}, or train one"
        )
    return HOME / name


def new_run(run: str) -> Path:
    """The folder of a run that is to be trained, which is never one that comes with the package.

    Raises:
        UserError: the name stands for one of those.
    """
    here = Path(run)
    if run.rstrip("/") in [PREFIX + name for name in names()] and not here.exists():
        raise UserError(
            f"--run {run} stands for the run that comes with the package: train into another folder"
        )
    return here


def board_folder(run: Path, out: Path) -> Path:
    """Where what is measured of a run goes in TensorBoard: into the run, but never into ours."""
    return (out if run.is_relative_to(HOME) else run) / "tensorboard" / "evaluate"


def keep(run: Path, folder: Path, card: str) -> None:
    """Put what forecasts take of a trained run, and its card, into a folder: no training state.

    Args:
        run: with both stages.
        folder: replaced as a whole.
        card: its README.md.

    Raises:
        UserError: the run lacks a stage.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    for stage in ("stage1", "stage2"):
        best = find_checkpoint(run, stage)
        kept = checkpoint_root(aside, stage) / best.name
        kept.mkdir(parents=True)
        shutil.copyfile(best / WEIGHTS, kept / WEIGHTS)
        config = {**load_config(best), "made": training(best)}  # the training state is left behind
        (kept / CONFIG).write_text(json.dumps(config, indent=2), "utf-8")
    (aside / CARD).write_text(card, "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
