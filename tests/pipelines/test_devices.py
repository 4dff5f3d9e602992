"""Two real processes (gloo) train as one does with the same global batch, and end together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.checkpoint import find_checkpoint
from tests.pipelines.commands import (
    REPOSITORY,
    STAGE1,
    STAGE2,
    Trained,
    particlecast,
    process,
    ready,
    tree,
)
from tests.pipelines.test_kill import curves

COMMANDS = {
    "stage1": ("train-dlp", STAGE1),
    "stage2": ("train-dynamics", STAGE2),
    "joint": ("fine-tune", ["--joint.batch", "2", "--joint.evaluate_every", "2"]),
}
VIDEOS = {"train": 4, "val": 1}  # of the six that `tiny` was trained on
TWO = ["--devices", "2", "--accelerator", "cpu"]


def words(stage: str, tiny: Trained, run: Path, steps: int = 6) -> list[str]:
    """Some steps on the CPU, every one of them logged."""
    command, small = COMMANDS[stage]
    where = ["--data", str(tiny.data), "--max-steps", str(steps)]
    where += ["--run", str(run)] if stage != "joint" else [*tiny.on()[2:], "--out", str(run)]
    return [command, *where, *small, f"--{stage}.log_every", "1", f"--{stage}.accelerator", "cpu"]


def meddled(how: str, *rest: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of two processes, of which `tests.pipelines.meddled` tells what is odd."""
    return subprocess.run(
        [sys.executable, "-m", "tests.pipelines.meddled", *rest, *TWO],
        cwd=REPOSITORY,
        env={**os.environ, "MEDDLE": how, **environment},
        capture_output=True,  # until all its processes have ended
        text=True,
        timeout=300,
    )


def assert_same_curves(one: Path, two: Path, stage: str) -> None:
    """Every curve has the same points within floating error, and each of them once."""
    alone, together = curves(one, stage), curves(two, stage)
    assert alone.keys() == together.keys() != set()
    for name, points in alone.items():
        steps, values = zip(*points, strict=True)
        assert tuple(step for step, _ in together[name]) == steps  # once, not once a process
        found = torch.tensor([value for _, value in together[name]])
        torch.testing.assert_close(found, torch.tensor(values), rtol=2e-3, atol=1e-4)
    for path in ("model.safetensors", "config.json", "training_state.pt"):
        assert (find_checkpoint(two, stage) / path).is_file()
    assert len(list((two / "tensorboard" / stage).glob("events*"))) == 1
    assert not list(two.rglob("*.partial"))


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_two_processes_give_the_curve_of_one(tiny: Trained, tmp_path: Path, stage: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    if stage == "stage2":
        for run in (one, two):
            shutil.copytree(tiny.run / "stage1", run / "stage1", symlinks=True)
    particlecast(*words(stage, tiny, one), f"--{stage}.accumulate", 2)
    log = tmp_path / "log"
    ended = meddled("watched", *words(stage, tiny, two), WATCHED=str(log))
    assert ended.returncode == 0, ended.stderr
    assert_same_curves(one, two, stage)
    if stage == "stage2":  # each encoded its own share; together it is what one encodes
        assert_shared(log, sets=1)
        for name in VIDEOS:
            whole = load_file(one / "particles" / f"{name}.safetensors")
            shared = load_file(two / "particles" / f"{name}.safetensors")
            torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-5)


def assert_shared(log: Path, sets: int, again: int = 0) -> None:
    """Each video was encoded `sets` times in all, those for training `again` times more."""
    shares = Counter(log.read_text().split())
    first = {name: (count + 1) // 2 for name, count in VIDEOS.items()}
    later = {name: count // 2 for name, count in VIDEOS.items()}
    assert shares == {
        "leader": sets * sum(first.values()) + again * first["train"],
        "follower": sets * sum(later.values()) + again * later["train"],
    }


def test_two_processes_fine_tune_as_one_does_and_share_the_encoding(
    tiny: Trained, tmp_path: Path
) -> None:
    one, two, log = tmp_path / "one", tmp_path / "two", tmp_path / "log"
    particlecast(*words("joint", tiny, one, 2), "--joint.accumulate", 2)
    ended = meddled("watched", *words("joint", tiny, two, 2), WATCHED=str(log))
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("dB before") == 1
    assert_same_curves(one, two, "joint")
    assert_shared(log, sets=1, again=1)  # before, and those for training by the new encoder
    for cache in ("joint/particles/train", "joint/particles/val", "particles/train"):
        whole, shared = (load_file(run / f"{cache}.safetensors") for run in (one, two))
        torch.testing.assert_close(shared, whole, rtol=1e-2, atol=1e-3)
    lengths = ("--context", 8, "--horizon", 4, "--limit", 1, "--out", tmp_path / "out")
    particlecast("rollout", "--data", tiny.data, "--run", two, *lengths)


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("full", 2, "particlecast: error: cannot save the checkpoint of step 12 in {root}: No space"
         " left on device; the last good checkpoint is {root}/step_00000006: free some space there,"
         " then run the same command with --resume"),
        ("broken", 1, "[rank0]: ValueError: a mistake"),
        ("refused", 2, "particlecast: error: not with me"),
        ("killed", 2, "particlecast: error: another process of this run was killed (signal 9), "
         "perhaps for want of memory: run the same command with --resume, with fewer --devices if "
         "need be"),
        ("alone", -signal.SIGKILL, "particlecast: error: the first process of this run was killed,"
         " perhaps for want of memory: run the same command with --resume, with fewer --devices if"
         " need be"),
    ],
)  # fmt: skip
def test_when_one_of_two_processes_fails_both_end_and_the_reason_is_told_once(
    own: Trained, how: str, status: int, said: str
) -> None:
    root = ready(own, "stage1")
    before = tree(root)
    ended = meddled(how, *words("stage1", own, own.run, 12), "--resume")
    assert ended.returncode == status
    assert ended.stderr.count(said.format(root=root)) == 1
    assert ended.stderr.count("particlecast: error: ") == (how != "broken")
    assert ended.stderr.count("Traceback") == (how == "broken")
    assert "[rank1]" not in ended.stderr
    assert tree(root) == before


def test_a_process_that_is_refused_ends_all_of_them(tiny: Trained, tmp_path: Path) -> None:
    ended = process(
        *words("stage1", tiny, tmp_path / "run"), "--stage1.devices", 2, "--stage1.batch", 0
    )
    assert ended.returncode == 2
    assert "batch must be at least 1" in ended.stderr
    assert not (tmp_path / "run").exists()
