"""Training that is killed again and again ends as if it had never been.

PARTICLECAST_KILLS=20 kills at twenty moments; without it at six, which take seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.checkpoint import checkpoint_root, find_checkpoint, list_checkpoints
from tests.pipelines.commands import STAGE1, STAGE2, Trained, clips
from tests.pipelines.killed import start

KILLS = int(os.environ.get("PARTICLECAST_KILLS", "6"))
STEPS = 8 + 3 * KILLS
OFTEN = ("save_every_minutes", "0", "evaluate_every", "6", "log_every", "1")


def rhythm(stage: str) -> list[str]:
    """Saves at every step, evaluates often: no moment is far from one of saving."""
    return [
        word
        for name, value in zip(OFTEN[::2], OFTEN[1::2], strict=True)
        for word in (f"--{stage}.{name}", value)
    ]


def curves(run: Path, stage: str) -> dict[str, list[tuple[int, float]]]:
    """Every curve as TensorBoard shows it, but for the speed."""
    events = EventAccumulator(str(run / "tensorboard" / stage), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag.startswith(stage) and "images_per_second" not in tag
    }


def what_is_left(run: Path, stage: str) -> dict[str, object]:
    """All that a stage leaves behind, but for what depends on the clock."""
    root = checkpoint_root(run, stage)
    found: dict[str, object] = {
        "names": sorted(path.name for path in root.iterdir()),
        "links": [os.readlink(root / name) for name in ("last", "best")],
    }
    for folder in list_checkpoints(root):
        for name in ("config.json", "model.safetensors"):
            found[f"{folder.name}/{name}"] = (folder / name).read_bytes()
        state = torch.load(folder / "training_state.pt", weights_only=True)
        moments = state.pop("optimizer")
        del state["elapsed"], state["spent"]
        found[folder.name] = state
        for parameter, tensors in moments.items():
            for name, tensor in tensors.items():
                found[f"{folder.name} {parameter} {name}"] = tensor.tolist()
    return found


def killed_until_done(words: list[str], run: Path, stage: str, kills: int, seed: int) -> list[int]:
    """Kill a training `kills` times, every other time at a file operation, then let it end.

    Returns:
        The step of the last checkpoint after each kill.
    """
    draw, steps = random.Random(seed), []
    for kill in range(kills):
        moment: dict[str, float] = {"seconds": draw.uniform(0.01, 0.4)}
        if kill % 2:
            moment = {"number": draw.randint(1, 60)}
        code = start(words, checkpoint_root(run, stage), run.parent / "log", **moment)  # type: ignore[arg-type]
        assert code == -signal.SIGKILL, (code, moment, (run.parent / "log").read_text())
        found = list_checkpoints(checkpoint_root(run, stage))
        steps.append(int(found[-1].name.removeprefix("step_")) if found else 0)
    assert start(words, run, run.parent / "log") == 0, (run.parent / "log").read_text()
    return steps


@pytest.mark.parametrize("seed", [0])
def test_stage_1_killed_at_random_moments_ends_as_unbroken(tmp_path: Path, seed: int) -> None:
    clips(tmp_path / "clips.npy", 3)
    words = ["train-dlp", "--data", str(tmp_path / "clips.npy"), *STAGE1, *rhythm("stage1")]
    words += ["--max-steps", str(STEPS), "--resume"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start([*words, "--run", str(whole)], whole, tmp_path / "log") == 0
    steps = killed_until_done([*words, "--run", str(broken)], broken, "stage1", KILLS // 2, seed)
    assert steps == sorted(steps)
    assert steps[-1] < STEPS
    assert what_is_left(broken, "stage1") == what_is_left(whole, "stage1")
    assert curves(broken, "stage1") == curves(whole, "stage1")
    assert len(curves(whole, "stage1")["stage1/train/total"]) == STEPS


def test_stage_2_killed_at_random_moments_ends_as_unbroken(tiny: Trained, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        shutil.copytree(tiny.run / "stage1", run / "stage1", symlinks=True)
    words = ["train-dynamics", "--data", str(tiny.data), *STAGE2, *rhythm("stage2")]
    words += ["--max-steps", str(STEPS), "--resume"]
    assert start([*words, "--run", str(whole)], whole, tmp_path / "log") == 0
    kills = KILLS - KILLS // 2
    steps = killed_until_done([*words, "--run", str(broken)], broken, "stage2", kills, 1)
    assert steps == sorted(steps)
    assert steps[-1] < STEPS
    assert what_is_left(broken, "stage2") == what_is_left(whole, "stage2")
    assert curves(broken, "stage2") == curves(whole, "stage2")
    assert len(curves(whole, "stage2")["stage2/train/total"]) == STEPS
    assert find_checkpoint(broken, "stage1").is_dir()
