"""Checkpoints: RUN/STAGE/checkpoints/step_00001234/ and the links `last` and `best` beside it.

A checkpoint is a folder of config.json, model.safetensors and training_state.pt. It is written
aside, flushed and then renamed, so that a folder named step_* is always whole, whatever was
killed or filled up meanwhile. Nothing that is loaded can run code.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import nn

from data.errors import UserError
from pipelines.full_disk import is_full

CONFIG, WEIGHTS, STATE = "config.json", "model.safetensors", "training_state.pt"
LARGEST_CONFIG = 1 << 20
COMMANDS = {"stage1": "train-dlp", "stage2": "train-dynamics"}


def checkpoint_root(run: Path, stage: str) -> Path:
    """Where a stage keeps its checkpoints."""
    return Path(run) / stage / "checkpoints"


def list_checkpoints(root: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first; a link that leads elsewhere is none."""
    found = [path for path in root.glob("step_*") if re.fullmatch(r"step_[0-9]{8,}", path.name)]
    return sorted((path for path in found if path.is_dir() and not path.is_symlink()), key=step_of)


def step_of(folder: Path) -> int:
    """The optimiser steps that a checkpoint's folder is named after."""
    return int(folder.name.removeprefix("step_"))


def find_checkpoint(run: Path, stage: str, which: Literal["last", "best"] = "best") -> Path:
    """A stage's newest checkpoint, or its best by validation (the newest if none was validated).

    Raises:
        UserError: the run has no such stage.
    """
    root = checkpoint_root(run, stage)
    if not (found := list_checkpoints(root)):
        title, command = stage.replace("stage", "stage "), COMMANDS.get(stage, "train")
        raise UserError(
            f"no trained {title} in {run}: run `particlecast {command} --data SOURCE --run {run}` "
            "first, or mend --run"
        )
    best = root / "best"
    if which == "best" and best.is_symlink() and (root / os.readlink(best).strip("/")) in found:
        return root / os.readlink(best)
    return found[-1]


def refuse_again(run: Path, stage: str, resume: bool) -> None:
    """Stop before a stage would be trained over one that the run has.

    Raises:
        UserError: there is one, and the user did not ask to go on with it.
    """
    if not resume and (found := list_checkpoints(checkpoint_root(run, stage))):
        raise UserError(
            f"{run} has a {stage.replace('stage', 'stage ')} already ({found[-1].name}): "
            "add --resume to go on with it, or choose another --run"
        )


def logged_again_from(run: Path, stage: str, resume: bool) -> int:
    """The first step that a stage logs anew: after its last checkpoint, or 1 if it has none.

    What a killed process logged from there on would else stand twice on the board.
    """
    found = list_checkpoints(checkpoint_root(run, stage)) if resume else []
    return step_of(found[-1]) + 1 if found else 1


@contextmanager
def last_good(root: Path, failed: str, only_full: bool = False) -> Iterator[None]:
    """While entered, a full or failing disk is told together with the checkpoint that is left.

    Args:
        root: the stage's `checkpoint_root`.
        failed: how the error begins.
        only_full: other errors pass: they may be of reading, where more space is no help.

    Raises:
        UserError: the disk is full or cannot be written; the earlier checkpoints are whole.
    """
    try:
        yield
    except OSError as error:
        if only_full and not is_full(error):
            raise
        whole = list_checkpoints(root)
        kept = f"the last good checkpoint is {whole[-1]}" if whole else "there is no earlier one"
        raise UserError(
            f"{failed}: {error.strerror or error}; {kept}: free some space there, then run the "
            "same command with --resume"
        ) from error


def save_checkpoint(
    root: Path,
    step: int,
    model: nn.Module,
    config: dict[str, Any],
    state: dict[str, Any],
    keep: int = 2,
    best: bool = False,
) -> Path:
    """Save a checkpoint as the last one, and drop those that are neither new nor best.

    A step that is saved already keeps its weights (a step's weights never change) and gets the
    new state.

    Args:
        root: the stage's `checkpoint_root`.
        step: optimiser steps made.
        model: the stage's model, on any device.
        config: what builds the model again, as plain JSON values.
        state: tensors, numbers, texts, lists and dicts only.
        keep: how many of the newest to keep, 1 or more.
        best: whether it is the best so far.

    Returns:
        The checkpoint's folder.

    Raises:
        UserError: the disk is full or cannot be written; the earlier checkpoints are whole.
    """
    folder, aside = root / f"step_{step:08d}", root / f".step_{step:08d}.partial"
    with last_good(root, f"cannot save the checkpoint of step {step} in {root}"):
        try:
            root.mkdir(parents=True, exist_ok=True)
            _sweep(root)
            aside.mkdir()
            buffer = io.BytesIO()
            torch.save(state, buffer)
            _write(aside / STATE, buffer.getvalue())
            if folder.is_dir():
                os.replace(aside / STATE, folder / STATE)
            else:
                weights = {
                    name: tensor.detach().cpu().contiguous().clone()
                    for name, tensor in model.state_dict().items()
                }
                _write(aside / WEIGHTS, to_safetensors(weights))
                _write(aside / CONFIG, json.dumps(config, indent=2).encode())
                _flush(aside)
                os.rename(aside, folder)
            _flush(root)
            settle(root, folder, folder if best else None, keep)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def settle(root: Path, last: Path, best: Path | None, keep: int) -> None:
    """Point the links at the last and the best checkpoint, and drop the old ones.

    A process that is killed may leave a checkpoint behind for which this is still to be done.

    Args:
        best: None: as it is.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    _link(root / "last", last.name)
    if best is not None:
        _link(root / "best", best.name)
    _flush(root)
    _prune(root, keep)


def load_config(folder: Path) -> dict[str, Any]:
    """A checkpoint's config.json; its groups are still to be checked by `config.build`.

    Raises:
        UserError: it is missing, too large, or not a JSON object.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{path}: larger than {LARGEST_CONFIG} bytes: not a checkpoint's")
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(config, dict):
        raise _damaged(path, f"expected a JSON object, found {type(config).__name__}")
    return config


def check_shapes(folder: Path, expected: dict[str, list[int]]) -> None:
    """Compare a checkpoint's weights with a model's, reading no more than their header.

    Args:
        expected: the shape of each of the model's tensors.

    Raises:
        UserError: the file is missing or cut short, or its names or shapes are not the model's.
    """
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise _damaged(
                path,
                f"tensor {name} has shape {found.get(name, 'none: it is missing')}, "
                f"the model expects {expected.get(name, 'no such tensor')}",
            )


def load_model_weights(folder: Path, model: nn.Module) -> None:
    """Fill the model with a checkpoint's weights.

    Raises:
        UserError: the file is missing or cut short, or its names, shapes, types or numbers cannot
            be the model's.
    """
    path, known = folder / WEIGHTS, model.state_dict()
    check_shapes(folder, {name: list(tensor.shape) for name, tensor in known.items()})
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    for name, tensor in weights.items():
        if tensor.dtype != known[name].dtype:
            raise _damaged(
                path, f"tensor {name} is of {tensor.dtype}, the model's of {known[name].dtype}"
            )
        if tensor.isnan().any():
            raise _damaged(path, f"tensor {name} is not finite")
    model.load_state_dict(weights)


def load_training_state(folder: Path) -> dict[str, Any]:
    """A checkpoint's training state: tensors and plain values, never code.

    Raises:
        UserError: it is missing, cut short, or holds anything else.
    """
    path = folder / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly any type for a file that is not its own
        raise _damaged(path, str(error).split("\n")[0][:200]) from error
    if not isinstance(state, dict):
        raise _damaged(path, f"expected a dict, found {type(state).__name__}")
    return state


def _damaged(path: Path, reason: object) -> UserError:
    """The error of a file that cannot be used."""
    missing = isinstance(reason, FileNotFoundError)
    text = "it is missing" if missing else " ".join(str(reason).split())
    return UserError(
        f"checkpoint file {path} cannot be used: {text}: remove the folder {path.parent} to fall "
        "back on the checkpoint before it, or train again"
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(link: Path, target: str) -> None:
    """Point a relative link at a checkpoint, at once."""
    aside = link.with_name(f".{link.name}.partial")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    os.replace(aside, link)


def _sweep(root: Path) -> None:
    """Remove what a killed process left half-written or half-removed."""
    for stray in root.glob(".*.partial"):
        if stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray)
        else:
            stray.unlink()


def _prune(root: Path, keep: int) -> None:
    """Drop old checkpoints: renamed first, so that a step_* folder is whole even then."""
    best = root / "best"
    spared = os.readlink(best) if best.is_symlink() else ""
    for old in list_checkpoints(root)[:-keep]:
        if old.name != spared:
            os.rename(old, root / f".{old.name}.partial")
    _sweep(root)
