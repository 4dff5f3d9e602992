"""What is the user's, or another forecast's, is never written over; what is ours is not trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data.errors import UserError
from pipelines.rollout import refuse_same_names
from tests.pipelines.commands import STAGE1, STAGE2, Trained, particlecast, refused, tree

LENGTHS = ("--context", 8, "--horizon", 2)


def test_forecasts_are_not_written_among_the_videos(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "clips"
    shutil.copytree(tiny.data, folder)
    one = sorted(folder.rglob("*.mp4"))[0]
    before = tree(folder)
    for data, out in ((folder, folder), (folder, folder / "train"), (one, one.parent)):
        words = ("--data", data, "--run", tiny.run, *LENGTHS, "--out", out)
        said = refused(capsys, "rollout", *words)
        assert f"--out {out} is where the videos of {data} are" in said
        assert tree(folder) == before
    particlecast("rollout", "--data", one, "--run", tiny.run, *LENGTHS, "--out", tmp_path / "out")


@pytest.mark.parametrize("ending", ["_compare", "_fan", "_samples", "_sample_0"])
def test_two_videos_do_not_share_a_file(ending: str) -> None:
    refuse_same_names(["a", "b", "a_c", f"a_{ending}"])
    with pytest.raises(UserError, match=f"videos a and a{ending}: .* called a{ending}: rename"):
        refuse_same_names(["a", f"a{ending}"])


def test_stage_1_stays_as_it_is_under_a_stage_2(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = own.run
    before = tree(run / "stage1")
    words = ("--data", own.data, "--run", run, *STAGE1, "--resume", "--max-steps")
    assert "copy the run without its folder stage2" in refused(capsys, "train-dlp", *words, 1000)
    assert tree(run / "stage1") == before
    particlecast("train-dlp", *words, 1)  # as a script that is run again would
    assert "is done already, at step" in capsys.readouterr().err
    assert tree(run / "stage1") == before

    shutil.rmtree(run / "stage2")  # the advice
    steps = 1 + max(int(path.name[5:]) for path in (run / "stage1/checkpoints").glob("step_*"))
    particlecast("train-dlp", *words, steps)
    where = own.on()
    particlecast("train-dynamics", *where, *STAGE2, "--max-steps", 1)
    particlecast("rollout", *where, *LENGTHS, "--out", tmp_path / "out")


def test_a_source_may_be_called_otherwise_on_resume(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, moved = own.run, tmp_path / "moved"
    shutil.copytree(own.data, moved)
    where = ("--data", moved, "--run", run, "--resume", "--max-steps")
    particlecast("train-dlp", *where, 1, *STAGE1)
    particlecast("train-dynamics", *where, 1, *STAGE2)
    sorted(moved.rglob("*.mp4"))[0].unlink()
    said = refused(capsys, "train-dlp", *where, 1000, *STAGE1)
    assert "the videos are not what it was trained on" in said
    said = refused(capsys, "train-dynamics", *where, 1000, *STAGE2)
    assert f"{moved} is not what {run} was trained on" in said


@pytest.mark.parametrize("command", ["train", "train-dlp", "train-dynamics"])
def test_what_comes_with_the_package_is_not_trained(
    command: str, tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, command, "--data", tiny.data, "--run", "pretrained/traffic")
    assert "train into another folder" in said
    assert not list(tmp_path.iterdir())


def test_a_run_that_comes_with_the_package_is_only_read(tmp_path: Path) -> None:
    where = ("--data", "synthetic:traffic,videos=3,frames=12,size=64,seed=1")
    out = tmp_path / "out"
    particlecast("detect", *where, "--run", "pretrained/traffic", "--limit", 1, "--out", out)
    assert (out / "tensorboard" / "evaluate" / "confidence").is_dir()
