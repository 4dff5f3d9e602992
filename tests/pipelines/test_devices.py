"""Two real processes (gloo) train as one does with the same global batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.checkpoint import find_checkpoint
from tests.pipelines.commands import STAGE1, STAGE2, Trained, particlecast, process
from tests.pipelines.test_kill import curves

COMMANDS = {"stage1": ("train-dlp", STAGE1), "stage2": ("train-dynamics", STAGE2)}


def words(stage: str, tiny: Trained, run: Path) -> list[str]:
    """Six steps on the CPU, every one of them logged."""
    command, small = COMMANDS[stage]
    where = ["--data", str(tiny.data), "--run", str(run), "--max-steps", "6"]
    return [command, *where, *small, f"--{stage}.log_every", "1", f"--{stage}.accelerator", "cpu"]


@pytest.mark.parametrize("stage", COMMANDS)
def test_two_processes_give_the_curve_of_one(tiny: Trained, tmp_path: Path, stage: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    if stage == "stage2":
        for run in (one, two):
            shutil.copytree(tiny.run / "stage1", run / "stage1", symlinks=True)
    particlecast(*words(stage, tiny, one), f"--{stage}.accumulate", 2)
    ended = process(*words(stage, tiny, two), "--devices", 2, "--accelerator", "cpu")
    assert ended.returncode == 0, ended.stderr

    alone, together = curves(one, stage), curves(two, stage)
    assert alone.keys() == together.keys()
    for name, points in alone.items():
        steps, values = zip(*points, strict=True)
        assert tuple(step for step, _ in together[name]) == steps  # once, not once a process
        found = torch.tensor([value for _, value in together[name]])
        torch.testing.assert_close(found, torch.tensor(values), rtol=2e-3, atol=1e-4)
    for path in ("model.safetensors", "config.json", "training_state.pt"):
        assert (find_checkpoint(two, stage) / path).is_file()
    assert len(list((two / "tensorboard" / stage).glob("events*"))) == 1
    assert not list(two.rglob("*.partial"))
    if stage == "stage2":  # each encoded its own share; together it is what one encodes
        for name in ("train", "val"):
            whole = load_file(one / "particles" / f"{name}.safetensors")
            shared = load_file(two / "particles" / f"{name}.safetensors")
            torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-5)


def test_a_process_that_is_refused_ends_all_of_them(tiny: Trained, tmp_path: Path) -> None:
    ended = process(
        *words("stage1", tiny, tmp_path / "run"), "--stage1.devices", 2, "--stage1.batch", 0
    )
    assert ended.returncode == 2
    assert "batch must be at least 1" in ended.stderr
    assert not (tmp_path / "run").exists()
