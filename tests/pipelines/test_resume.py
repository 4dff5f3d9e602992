"""A run that was stopped or killed goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.train_dlp import DLPStage
from pipelines.train_dynamics import DynamicsStage
from tests.pipelines.commands import (
    REPOSITORY,
    STAGE1,
    STAGE2,
    Trained,
    clips,
    particlecast,
    refused,
    started,
    tree,
)


def weights(run: Path, stage: str, step: int) -> bytes:
    """A checkpoint's weights."""
    folder = run / stage / "checkpoints" / f"step_{step:08d}"
    return (folder / "model.safetensors").read_bytes()


def stop_at(step: int, stage: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process get a SIGTERM while a stage draws the batch of a step."""
    batch = stage.batch  # type: ignore[attr-defined]

    def draw(self, now, generator):
        if now == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch(self, now, generator)

    monkeypatch.setattr(stage, "batch", draw)


def stopped_and_resumed(
    words: list[str], stage: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Run a command that is stopped after four of its eight steps, then go on with --resume."""
    with monkeypatch.context() as patch:
        stop_at(3, stage, patch)
        assert main(words) == 128 + signal.SIGTERM
    assert "stopped at step 4" in capsys.readouterr().err
    particlecast(*words, "--resume")


def test_stage_1_resumed_equals_unbroken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips(tmp_path / "clips.npy", 4)
    words = ["train-dlp", "--data", str(tmp_path / "clips.npy"), "--max-steps", "8", *STAGE1]
    particlecast(*words, "--run", tmp_path / "a")
    stopped_and_resumed([*words, "--run", str(tmp_path / "b")], DLPStage, monkeypatch, capsys)
    assert weights(tmp_path / "a", "stage1", 8) == weights(tmp_path / "b", "stage1", 8)
    particlecast(*words, "--run", tmp_path / "c", "--seed", "1")
    assert weights(tmp_path / "a", "stage1", 8) != weights(tmp_path / "c", "stage1", 8)


def test_stage_2_resumed_equals_unbroken(
    own: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shorter = weights(own.run, "stage2", 6)
    (own.run / "stage2").rename(tmp_path / "shorter")
    words = ["train-dynamics", *own.on(), "--max-steps", "8", *STAGE2]
    particlecast(*words)
    unbroken = weights(own.run, "stage2", 8)
    (own.run / "stage2").rename(tmp_path / "unbroken")
    stopped_and_resumed(words, DynamicsStage, monkeypatch, capsys)
    assert weights(own.run, "stage2", 8) == unbroken
    assert unbroken != shorter


def test_a_finished_run_goes_on_when_it_is_given_more_steps(tmp_path: Path) -> None:
    clips(tmp_path / "clips.npy", 4)
    words = ["train-dlp", "--data", tmp_path / "clips.npy", "--run", tmp_path / "a", *STAGE1]
    particlecast(*words, "--max-steps", "2")
    first = weights(tmp_path / "a", "stage1", 2)
    particlecast(*words, "--max-steps", "2", "--resume")
    assert weights(tmp_path / "a", "stage1", 2) == first
    particlecast(*words, "--max-steps", "3", "--resume")
    assert weights(tmp_path / "a", "stage1", 2) == first
    assert weights(tmp_path / "a", "stage1", 3) != first


def test_a_killed_process_resumed_equals_unbroken(tmp_path: Path) -> None:
    clips(tmp_path / "clips.npy", 4)
    rhythm = ["--stage1.save_every_minutes", "0", "--stage1.evaluate_every", "500"]
    words = ["train-dlp", "--data", tmp_path / "clips.npy", *STAGE1, *rhythm]
    words += ["--max-steps", "40"]
    particlecast(*words, "--run", tmp_path / "a")
    killed = subprocess.Popen(
        started(*words, "--run", tmp_path / "b"), cwd=REPOSITORY, stderr=subprocess.DEVNULL
    )
    while killed.poll() is None and not list(tmp_path.glob("b/stage1/checkpoints/step_*[0-9]")):
        time.sleep(0.005)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    particlecast(*words, "--run", tmp_path / "b", "--resume")
    assert weights(tmp_path / "a", "stage1", 40) == weights(tmp_path / "b", "stage1", 40)


def test_a_second_training_into_the_same_run_is_refused(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(own.run)
    for command, stage, words in (
        ("train-dlp", 1, [*STAGE1, "--max-steps", "7"]),
        ("train-dynamics", 2, [*STAGE2, "--max-steps", "7"]),
        ("train", 1, [*STAGE1, *STAGE2, "--max-minutes", "0.1"]),
    ):
        said = refused(capsys, command, *own.on(), *words)
        assert f"{own.run} has a stage {stage} already (step_00000006): add --resume" in said
        assert tree(own.run) == before


def test_resuming_with_other_settings_or_other_data_is_refused(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(own.run)
    more = [*STAGE1, "--max-steps", "7", "--resume"]
    said = refused(capsys, "train-dlp", *own.on(), *more, "--dlp.particles", "6")
    assert "dlp.particles was 5 and is 6 now: give the same settings" in said
    config = own.run / "stage1/checkpoints/last/config.json"
    written = json.loads(config.read_text())
    del written["dlp"]["paper"]["vgg_weights"]  # which is None by default
    config.write_text(json.dumps(written))
    said = refused(capsys, "train-dlp", *own.on(), *more)
    assert "dlp.paper.vgg_weights was missing and is None now: give the same settings" in said
    config.write_bytes(before["stage1/checkpoints/step_00000006/config.json"])  # type: ignore[arg-type]
    clips(tmp_path / "other.npy", 4)
    assert "cannot resume" in refused(capsys, "train-dlp", *own.on(tmp_path / "other.npy"), *more)
    assert tree(own.run) == before
