"""What a run was trained on is never what it is measured on."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.errors import UserError
from data.synthetic import shown
from data.videos import Dataset, Video
from data.worlds import split_of
from pipelines.checkpoint import find_checkpoint
from pipelines.load import held_out, load_dlp
from pipelines.rollout import select
from tests.pipelines.commands import SIDE, Trained, particlecast, refused

LARGE = "synthetic:billiards,size=32,videos=20"  # 0-15 to train, 16-17 to validate, 18-19 to test


def names(*indices: int) -> list[str]:
    return [f"billiards_{index:05d}" for index in indices]


def opened(source: str, videos: int, **rest: Any) -> Dataset:
    """A source's frames are not looked at here."""
    made = [Video(name, np.zeros((1, 1, 1, 3), np.uint8)) for name in names(*range(videos))]
    sets = {
        split: tuple(v for i, v in enumerate(made) if split_of(i, videos) == split)
        for split in ("train", "val", "test")
    }
    return Dataset(source, "its own", **{**sets, "whole": tuple(made), "named": True, **rest})


def trained_on(source: str, fingerprint: str = "another") -> Any:
    return SimpleNamespace(source=source, fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", names(15, 16, 17)),
        (",size=64,frames=9,disturb=shake", names(15, 16, 17)),
        (",seed=0,physics=plain,objects=0", names(15, 16, 17)),
        (",seed=1", []),
        (",objects=4", []),
        (",physics=mujoco", []),
    ],
)
def test_the_videos_that_two_sets_share(options: str, expected: list[str]) -> None:
    listed = names(15, 16, 17, 18, 19, 20, 99)
    assert shown(listed, "synthetic:billiards", LARGE + options) == expected


@pytest.mark.parametrize(
    "trained",
    [
        "",
        "billiards",
        "synthetic:",
        "synthetic:mars",
        "synthetic:traffic",
        f"{LARGE},x=\0",
        f"{LARGE},videos=0",
        f"{LARGE},videos={'9' * 50}",
    ],
)
def test_a_source_that_is_not_understood_shares_none(trained: str) -> None:
    assert shown(names(0, 1), "synthetic:billiards", trained) == []
    assert shown(names(0, 1), "billiards", LARGE) == []  # a folder of that name


@pytest.mark.parametrize("choose", [held_out, select])
def test_what_a_run_knows_is_left_out(choose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    source = "synthetic:billiards,videos=19"  # its tests are 17 and 18
    chosen = choose(opened(source, 19), trained_on(LARGE))
    assert [video.name for video in chosen] == names(18)
    said = f"left out: billiards_00017 of {source}, which the run was trained on\n"
    assert capsys.readouterr().err == said
    chosen = choose(opened(source, 19), trained_on(f"{LARGE},seed=1"))
    assert [video.name for video in chosen] == names(17, 18)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("choose", [held_out, select])
def test_of_its_own_source_nothing_is_left_out(
    choose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = choose(opened(LARGE, 20), trained_on(LARGE, "its own"))
    assert [video.name for video in chosen] == names(18, 19)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seed", "other"), [("", 1), (",seed=1", 0)])
@pytest.mark.parametrize("choose", [held_out, select])
def test_if_none_remains_another_seed_is_asked_for(choose: Any, seed: str, other: int) -> None:
    source = f"synthetic:billiards,videos=10{seed}"
    with pytest.raises(UserError, match=rf"billiards_00009.*add ,seed={other} to it"):
        choose(opened(source, 10), trained_on(f"{LARGE}{seed}"))


def test_training_data_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    whole = opened("clips", 4).whole
    alike = opened("clips", 4, train=whole, val=whole, test=whole, named=False)
    assert held_out(alike, trained_on("clips", "its own")) == whole
    said = "nothing was held out of clips: what follows is of training data\n"
    assert capsys.readouterr().err == said
    held_out(alike, trained_on("clips"))
    held_out(opened("clips", 4, named=False), trained_on("clips", "its own"))
    assert capsys.readouterr().err == ""


def rewrite(run: Path, source: Any) -> None:
    """Another text in the run's config.json; None: none."""
    file = find_checkpoint(run, "stage1") / "config.json"
    config = json.loads(file.read_text())
    del config["source"]
    file.write_text(json.dumps(config if source is None else {**config, "source": source}))


@pytest.mark.parametrize("source", [None, 3, ["synthetic:billiards"], {"a": 1}, True])
def test_a_strangers_source_that_is_no_text(own: Trained, source: Any) -> None:
    assert load_dlp(own.run).source == str(own.data)
    rewrite(own.run, source)
    assert load_dlp(own.run).source == ""


def test_commands_leave_out_or_refuse(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(own.run, "synthetic:billiards,videos=6")  # 0-3 to train, 4 to validate, 5 to test
    small = f"synthetic:billiards,videos=5,frames=12,size={SIDE}"
    lengths = ("--context", 8, "--horizon", 4)
    for command, *rest in (("rollout", *lengths), ("evaluate", *lengths), ("detect",)):
        words = (command, "--data", small, "--run", own.run, "--out", tmp_path / "out", *rest)
        assert "billiards_00004" in refused(capsys, *words).splitlines()[-1]
    assert not (tmp_path / "out").exists()
    other = f"{small},seed=1"
    words = ("rollout", "--data", other, "--run", own.run, "--out", tmp_path / "out", *lengths)
    particlecast(*words)
    assert (tmp_path / "out" / "billiards_00004.npz").exists()


def test_stage_2_is_of_the_videos_of_stage_1(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own.run / "stage2")
    other = f"synthetic:billiards,videos=6,frames=24,size={SIDE}"  # all of it new to stage 1
    for command, *rest in (("train-dynamics",), ("ablate", "--out", tmp_path / "out")):
        words = (command, "--data", other, "--run", own.run, "--max-steps", 1, *rest)
        line = refused(capsys, *words).splitlines()[-1]
        assert f"is not what {own.run} was trained on" in line
        assert f"its own source, {own.data}," in line
    assert not (own.run / "stage2").exists()
    assert not (tmp_path / "out").exists()
