"""From a stage's last checkpoint to the state that its training goes on with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from data.errors import UserError
from pipelines.checkpoint import (
    checkpoint_root,
    find_checkpoint,
    list_checkpoints,
    load_config,
    load_model_weights,
    load_training_state,
    refuse_again,
    settle,
    step_of,
)
from pipelines.stage import Stage

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
MISSING = object()
"""In place of a setting that is not there, which differs from one that is None."""
DIGESTS = {"fingerprint": "the videos are", "stage1": "the run's stage 1 is"}
"""Settings that tell in figures what must be the same; what is called otherwise may be."""
FIELDS = ("step", "seed", "elapsed", "best", "optimizer", "precision")


def restore(
    stage: Stage, run: Path, described: dict[str, Any], resume: bool, leads: bool, keep: int
) -> dict[str, Any]:
    """Fill the stage's model from its last checkpoint; its training state, or {} at a start.

    Args:
        described: the stage's settings, as `config.json` has them.
        leads: whether this process is the one that saves; it also finishes what one that was
            killed while it saved has left undone.
        keep: how many of the newest checkpoints to keep.

    Raises:
        UserError: there is a checkpoint and `resume` is not asked for, or it is of other settings,
            damaged, or not what the engine saves.
    """
    root = checkpoint_root(run, stage.name)
    if not list_checkpoints(root):
        return {}
    refuse_again(run, stage.name, resume)
    folder = find_checkpoint(run, stage.name, "last")
    saved = load_config(folder)
    names = (saved.keys() | described.keys()) - {"engine", "source", "made"}
    for name in sorted(names, key=lambda name: (name in DIGESTS, name)):  # what says more is first
        if saved.get(name) != described.get(name):
            raise UserError(
                f"cannot resume {folder}: {_difference(name, saved, described)}: "
                "give the same settings, or choose another --run"
            )
    load_model_weights(folder, stage.model)
    state = load_training_state(folder)
    if wrong := _fault(state, folder):
        raise UserError(
            f"cannot resume {folder}: its training state {wrong}: remove the folder to fall back "
            "on the checkpoint before it, or train again into another --run"
        )
    if leads:
        best = root / f"step_{state['best_step']:08d}" if state.get("best_step") else None
        try:
            settle(root, folder, best if best in list_checkpoints(root) else None, keep)
        except OSError as error:
            raise UserError(
                f"cannot write to {root}: {error.strerror}: free some space there, then run the "
                "same command again"
            ) from error
    return state


def _difference(name: str, saved: Any, described: Any) -> str:
    """The first field in which two settings differ."""
    before, now = saved.get(name, MISSING), described.get(name, MISSING)
    if name in DIGESTS:
        return f"{DIGESTS[name]} not what it was trained on"
    if isinstance(before, dict) and isinstance(now, dict):
        differ = (k for k in sorted(before | now) if before.get(k, MISSING) != now.get(k, MISSING))
        return f"{name}.{_difference(next(differ), before, now)}"
    was, is_now = ("missing" if value is MISSING else value for value in (before, now))
    return f"{name} was {was} and is {is_now} now"


def _fault(state: dict[str, Any], folder: Path) -> str:
    """What is wrong with a training state, which may be a stranger's; "" if nothing is."""
    if missing := set(FIELDS) - state.keys():
        return f"lacks {sorted(missing)[0]}"
    best = state["best"]
    rules = {
        "step": state["step"] == step_of(folder),
        "seed": _is_count(state["seed"]),
        "elapsed": _is_seconds(state["elapsed"]),
        "spent": _is_seconds(state.get("spent", 0.0)),
        "best": best is None or (isinstance(best, float | int) and math.isfinite(best)),
        "best_step": state.get("best_step") is None or _is_count(state["best_step"]),
        "optimizer": isinstance(state["optimizer"], dict),
        "precision": isinstance(state["precision"], dict),
    }
    if broken := [name for name, holds in rules.items() if not holds]:
        return f"has a {broken[0]} that no training leaves, {str(state[broken[0]])[:40]!r}"
    return ""


def _is_seconds(value: Any) -> bool:
    return isinstance(value, float) and 0 <= value < math.inf


def check_moments(moments: dict[Any, Any], parameters: Sequence[Tensor], name: str) -> None:
    """Stop before moments that are not those of an optimiser's parameters are taken for them.

    Args:
        moments: what Adam knows of each, by its place in `parameters`.
        name: the stage's, for the error.

    Raises:
        UserError: there are others, or of other shapes.
    """
    for place, known in moments.items():
        tensors = [known.get(key) for key in MOMENTS] if isinstance(known, dict) else [None]
        fits = isinstance(place, int) and 0 <= place < len(parameters)
        if not fits or any(
            not isinstance(tensor, Tensor) or tensor.shape != shape
            for tensor, shape in zip(tensors, ((), *2 * (parameters[place].shape,)), strict=False)
        ):
            raise UserError(
                f"cannot resume {name}: the optimiser's state in its last checkpoint is not that "
                "of this model: remove the folder to fall back on the checkpoint before it, or "
                "train again into another --run"
            )


def _is_count(value: Any) -> bool:
    """Whether it is a whole number of 0 or more."""
    return isinstance(value, int) and value >= 0
