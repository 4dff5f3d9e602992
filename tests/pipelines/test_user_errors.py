"""Whatever is wrong: one line that says what, where and what to do, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tests.data.files import cut, moving_square, write_video
from tests.pipelines.commands import (
    SIDE,
    STAGE1,
    STAGE2,
    Trained,
    clips,
    particlecast,
    process,
    refused,
    tree,
)

FILM = moving_square(14, 32, 48)
LENGTHS = ["--context", "8", "--horizon", "6"]


def full(*arguments: Any, **options: Any) -> NoReturn:
    """What the system says when a disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("command", ["train-dlp", "train"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.mp4", "no such file or folder: {}/nowhere.mp4: check the path given as --data"),
        ("empty", "no videos in the folder: {}/empty: expected .mp4"),
        ("cut.mp4", "video cut short: {}/cut.mp4: the file ends before its own header says: copy"),
        ("text.mp4", "not a readable video: {}/text.mp4: "),
        ("mixed", "mixed sizes: {0}/mixed/b.mp4: its frames become 32x48, but those of {0}/mixed"),
        ("synthetic:mars", "unknown world: synthetic:mars: choose one of billiards, clevrer"),
    ],
)
def test_a_bad_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, source: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a film\n" * 50)
    cut(write_video(tmp_path / "cut.mp4", FILM), 0.5)
    write_video(tmp_path / "mixed" / "a.mp4", FILM)
    write_video(tmp_path / "mixed" / "b.mp4", FILM.transpose(0, 2, 1, 3))
    before = tree(tmp_path)
    data = source if source.startswith("synthetic:") else tmp_path / source
    line = refused(capsys, command, "--data", data, "--run", tmp_path / "run")
    assert said.format(tmp_path) in line
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fly"], "no command 'fly': choose from train, train-dlp"),
        (["train-dlp", "--preset", "mars"], "no preset 'mars': --preset takes auto, billiards-"),
        (["train-dlp", "--dlp.wings", "2"], "unrecognized arguments: --dlp.wings"),
        (["train-dlp", "--max-steps", "2", "--max-minutes", "2"], "exclude each other: give one"),
        (["train-dlp", "--dlp.patch", "5"], "dlp.patch must be 4, 8, 16 or 32, found 5: set"),
        (["train-dlp", "--dlp.patch", "32"], "do not divide into patches of 32: set dlp.patch"),
        (["train-dlp", "--frames.crop", "[0,0,99,99]"], "needs at least 99x99 pixels, found 48x32"),
        (["train-dlp", "--stage1.accelerator", "abacus"], "abacus"),
        (["train-dynamics"], "no trained stage 1 in {0}/run: run `particlecast train-dlp --data"),
        (["rollout", *LENGTHS, "--out", "{0}/out"], "no trained stage 1 in {0}/run: run `parti"),
        (["evaluate", *LENGTHS, "--out", "{0}/out"], "no trained stage 1 in {0}/run: run `parti"),
    ],
)
def test_bad_words_and_a_run_without_stage_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    write_video(tmp_path / "a.mp4", FILM)
    before = tree(tmp_path)
    where = ["--data", tmp_path / "a.mp4", "--run", tmp_path / "run"]
    line = refused(capsys, words[0], *where, *(word.format(tmp_path) for word in words[1:]))
    assert said.format(tmp_path) in line
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mars", "{0}/set"], "mars"),
        (["billiards", "{0}/file"], "{0}/file"),
        (["billiards", "{0}"], "not empty"),
    ],
)
def test_worlds_that_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    line = refused(capsys, "make-data", *(word.format(tmp_path) for word in words))
    assert said.format(tmp_path) in line
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("rollout", ["--context", 15, "--horizon", 2], "a has 14 frames, context 15 needs 15: "),
        (
            "rollout",
            ["--context", 8, "--horizon", 2, "--start", 7],
            "a has 14 frames, context 8 from frame 7 needs 15: ",
        ),
        ("evaluate", ["--context", 8, "--horizon", 7], "context 8 + horizon 7 needs 15: ask for"),
        ("rollout", [*LENGTHS, "--out", "{0}/file"], "cannot make the output folder {0}/file: "),
        ("evaluate", [*LENGTHS, "--out", "{0}/file"], "cannot make the output folder {0}/file/f"),
        ("rollout", [*LENGTHS, "--data", "{0}/large.npy"], "come out as 64x64 pixels, the run was"),
        (
            "evaluate",
            [*LENGTHS, "--data", "{0}/large.npy"],
            "come out as 64x64 pixels, the run was",
        ),
    ],
)
def test_a_forecast_that_cannot_be_made(
    own: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[object],
    said: str,
) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / "films" / f"{name}.mp4", moving_square(14, SIDE, SIDE))
    (tmp_path / "file").write_text("mine")
    np.save(tmp_path / "large.npy", moving_square(30, 64, 64))
    before = tree(tmp_path)
    where = [*own.on(tmp_path / "films"), "--out", tmp_path / "out"]
    line = refused(capsys, command, *where, *(str(word).format(tmp_path) for word in words))
    assert said.format(tmp_path) in line
    assert tree(tmp_path) == before


def damage_weights(run: Path, stage: str) -> None:
    for path in run.glob(f"{stage}/checkpoints/step_*/model.safetensors"):
        cut(path, 0.5)


def damage_config(run: Path, stage: str) -> None:
    for path in run.glob(f"{stage}/checkpoints/step_*/config.json"):
        cut(path, 0.5)


def strange_config(run: Path, stage: str) -> None:
    group = {"stage1": "dlp", "stage2": "dynamics"}[stage]
    for path in run.glob(f"{stage}/checkpoints/step_*/config.json"):
        config = json.loads(path.read_text())
        config[group]["wings"] = 2
        path.write_text(json.dumps(config))


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_weights, "model.safetensors cannot be used: "),
        (damage_config, "config.json cannot be used: "),
        (strange_config, "unknown setting 'wings': remove it"),
    ],
)
def test_a_damaged_checkpoint(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str, damage, said: str
) -> None:
    damage(own.run, stage)
    before = tree(tmp_path)
    out = ["--out", tmp_path / "out"]
    lines = [refused(capsys, name, *own.on(), *LENGTHS, *out) for name in ("rollout", "evaluate")]
    if stage == "stage1":
        shutil.rmtree(own.run / "stage2")
        before = tree(tmp_path)
        lines.append(refused(capsys, "train-dynamics", *own.on(), *STAGE2, "--max-steps", 2))
    for line in lines:
        assert said in line
        assert f"{own.run}/{stage}/checkpoints/step_00000006" in line
    assert tree(tmp_path) == before


def test_a_run_without_stage_2_and_one_of_another_stage_1(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage2 = (own.run / "stage2").rename(tmp_path / "stage2")
    words = [*own.on(), *LENGTHS, "--out", tmp_path / "out"]
    for command in ("rollout", "evaluate"):
        line = refused(capsys, command, *words)
        assert f"no trained stage 2 in {own.run}: run `particlecast train-dynamics --da" in line
    shutil.rmtree(own.run / "stage1")
    particlecast("train-dlp", *own.on(), *STAGE1, "--max-steps", 1)
    stage2.rename(own.run / "stage2")
    for command in ("rollout", "evaluate"):
        assert "was trained on another stage 1 than" in refused(capsys, command, *words)
    assert not (tmp_path / "out").exists()


def test_other_data_of_another_size_is_refused_by_stage_2(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own.run / "stage2")
    np.save(tmp_path / "large.npy", moving_square(30, 64, 64))
    before = tree(own.run)
    line = refused(capsys, "train-dynamics", *own.on(tmp_path / "large.npy"), *STAGE2)
    assert "come out as 64x64 pixels, the run was trained on 32x32" in line
    assert tree(own.run) == before


def test_a_run_folder_that_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips(tmp_path / "a.npy")
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for command in ("train", "train-dlp", "train-dynamics"):
        for run in (tmp_path / "file", tmp_path / "file" / "run"):
            line = refused(capsys, command, "--data", tmp_path / "a.npy", "--run", run)
            assert f"cannot write to the run folder {run}: " in line
    assert tree(tmp_path) == before


def test_a_full_disk_while_the_cache_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("PARTICLECAST_CACHE", str(cache))
    monkeypatch.setattr("data.storage.ArrayWriter.append", full)
    write_video(tmp_path / "films" / "a.mp4", FILM)
    before = tree(tmp_path / "films")
    line = refused(capsys, "train-dlp", "--data", tmp_path / "films", "--run", tmp_path / "run")
    assert f"disk full while decoding: {cache}: nothing was kept" in line
    assert "free some space, or set PARTICLECAST_CACHE" in line
    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []
    assert tree(tmp_path / "films") == before
    assert not (tmp_path / "run").exists()


def test_a_full_disk_while_results_are_written(
    own: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data.storage.ArrayWriter.append", full)
    line = refused(capsys, "rollout", *own.on(), *LENGTHS, "--out", tmp_path / "out")
    assert f"cannot write: {tmp_path}/out/billiards_00000.npz: No space left on device: " in line
    assert tree(tmp_path / "out") == {}
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    line = refused(capsys, "evaluate", *own.on(), *LENGTHS, "--out", tmp_path / "report")
    assert f"cannot write: {tmp_path}/report/report.html" in line
    assert ": No space left on device: " in line
    shutil.rmtree(own.run / "stage2")
    (own.run / "particles" / "train.safetensors").unlink()
    before = tree(own.run)
    monkeypatch.setattr("pipelines.encode.save_file", full)
    line = refused(capsys, "train-dynamics", *own.on(), *STAGE2, "--max-steps", 2)
    assert f"cannot save the particles in {own.run}/particles/train.safetensors: " in line
    assert tree(own.run) == before


def test_a_mistake_in_a_process_of_its_own(tmp_path: Path) -> None:
    ended = process("train-dlp", "--data", tmp_path / "no.mp4", "--run", tmp_path / "run")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"particlecast: error: no such file or folder: {tmp_path}/no.mp4: "
        "check the path given as --data\n"
    )
    assert list(tmp_path.iterdir()) == []
