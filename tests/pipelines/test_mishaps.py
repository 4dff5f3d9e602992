"""What goes wrong while a whole command trains: one line, and the last good checkpoint intact."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
import torch

from data.errors import UserError
from dlp.losses import Loss
from pipelines.checkpoint import last_good, list_checkpoints
from pipelines.cli import main
from pipelines.train_dlp import DLPStage
from pipelines.train_dynamics import DynamicsStage
from tests.pipelines.commands import STAGE1, STAGE2, Trained, particlecast, ready, refused, tree

COMMANDS = {
    "stage1": ["train-dlp", *STAGE1, "--max-steps", "12", "--resume"],
    "stage2": ["train-dynamics", *STAGE2, "--max-steps", "12", "--resume"],
}


def end_of(run: Path, stage: str) -> bytes:
    """The weights at the end."""
    return (run / stage / "checkpoints/step_00000012/model.safetensors").read_bytes()


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The last line of a command that trained until something went wrong."""
    assert main(list(words)) == 2
    *_, last = re.split(r"[\r\n]+", capsys.readouterr().err.strip())
    assert last.startswith("particlecast: error: ")
    return last


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_disk_that_fills_up_while_a_run_is_saved(
    own: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    root = ready(own, stage)

    def full(descriptor: int) -> None:
        if "step_" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.checkpoint.os.fsync", full)
        said = ended(capsys, *COMMANDS[stage], *own.on())
    assert f"cannot save the checkpoint of step 12 in {root}: No space left on device" in said
    assert f"the last good checkpoint is {root}/step_00000006: free some space" in said
    assert sorted(path.name for path in root.iterdir()) == ["best", "last", "step_00000006"]
    particlecast(*COMMANDS[stage], *own.on())
    assert [path.name for path in list_checkpoints(root)][-1] == "step_00000012"


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_disk_that_fills_up_while_curves_are_logged(
    own: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    root = ready(own, stage)
    before = tree(root)

    def full(*_: object) -> None:  # in TensorBoard's thread
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("threading.excepthook", threading.__excepthook__)  # as without pytest
        patch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
        assert main([*COMMANDS[stage], *own.on()]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert f"{stage} cannot go on in {own.run}: No space left on device; the last good " in told
    assert f"checkpoint is {root}/step_00000006: free some space there" in told
    assert tree(root) == before


def test_a_full_disk_is_one_line_of_any_command(
    own: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")

    monkeypatch.setattr("pipelines.lock.fcntl.flock", full)
    said = refused(capsys, *COMMANDS["stage1"], *own.on())
    assert "No space left on device: /some/file: free some space, then run the same" in said


@pytest.mark.parametrize(("stage", "kind"), [("stage1", DLPStage), ("stage2", DynamicsStage)])
def test_a_loss_that_is_not_finite_names_step_and_term(
    tiny: Trained,
    own: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    kind: type,
) -> None:
    root = ready(own, stage)
    loss = kind.loss  # type: ignore[attr-defined]

    def broken(self, batch, step, progress):
        good = loss(self, batch, step, progress)
        if step < 9:
            return good
        bad = {**good.terms, "odd": torch.tensor(torch.nan)}
        return Loss(good.total * torch.nan, bad)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "loss", broken)
        said = ended(capsys, *COMMANDS[stage], *own.on())
    assert f"{stage}: odd is not finite at step 9" in said
    assert f"the last good checkpoint is {root}/step_00000006: lower the learning rate" in said
    particlecast(*COMMANDS[stage], *own.on())
    unbroken = Trained(tiny.data, tmp_path / "unbroken")
    shutil.copytree(tiny.run, unbroken.run, symlinks=True)
    ready(unbroken, stage)
    particlecast(*COMMANDS[stage], *unbroken.on())
    assert end_of(own.run, stage) == end_of(unbroken.run, stage)


def test_an_error_of_reading_is_not_told_as_a_full_disk(tmp_path: Path) -> None:
    given = tmp_path, "cannot go on", True
    with pytest.raises(UserError, match="cannot go on: No space left"), last_good(*given):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), last_good(*given):
        raise FileNotFoundError(errno.ENOENT, "No such file", "clip.mp4")
    with pytest.raises(UserError, match="cannot save"), last_good(tmp_path, "cannot save"):
        raise PermissionError(errno.EACCES, "Permission denied")
