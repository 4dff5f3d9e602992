"""Two commands on one run, and commands that are asked to stop."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import data.cache
from pipelines.lock import hold_run
from tests.pipelines.commands import STAGE1, STAGE2, Trained, clips, particlecast, refused, tree
from tests.pipelines.killed import LANGUAGE, run

LENGTHS = ["--context", "8", "--horizon", "400", "--samples", "3"]


def background(words: list[str], folder: Path, log: Path):
    """A command in a process of its own, while the test goes on."""
    process = LANGUAGE.Process(target=run, args=(words, folder, 0.0, 0, log))
    process.start()
    return process


def until(found, process) -> None:
    """Wait for something that a running process does."""
    while not found() and process.is_alive():
        time.sleep(0.002)


def test_the_second_command_on_a_run_is_told_that_the_first_holds_it(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own.run / "stage2")
    first = ["train-dynamics", *own.on(), *STAGE2, "--max-steps", "100000"]
    process = background([*first, "--stage2.save_every_minutes", "0"], own.run, tmp_path / "log")
    until(lambda: list(own.run.glob("stage2/checkpoints/step_*")), process)
    for command in (
        ["train-dynamics", *STAGE2, "--max-steps", "1", "--resume"],
        ["train-dlp", *STAGE1, "--max-steps", "9", "--resume"],
        ["train", *STAGE1, *STAGE2, "--max-minutes", "0.01", "--resume"],
    ):
        said = refused(capsys, *command, *own.on())
        assert f"held by another particlecast (process {process.pid})" in said
    process.terminate()
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM
    log = (tmp_path / "log").read_text()
    assert "run the same command with --resume to go on" in log
    particlecast("rollout", *own.on(), "--context", 8, "--horizon", 2, "--out", tmp_path / "out")


def test_a_run_that_came_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with hold_run(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def counted(words: list[str], folder: Path, log: Path) -> None:
    """A command that decodes into a cache beside its log, and notes there that it does."""
    os.environ["PARTICLECAST_CACHE"] = str(log.parent / "cache")
    build = data.cache._build

    def noted(*arguments: Any) -> None:
        with (log.parent / "decoded").open("a") as file:
            file.write(f"{log.name}\n")
        time.sleep(1)  # the other one comes meanwhile
        build(*arguments)

    data.cache._build = noted  # type: ignore[assignment]
    run(words, folder, 0.0, 0, log)


def test_two_trainings_that_decode_one_new_source_at_once_see_the_same(tmp_path: Path) -> None:
    clips(tmp_path / "clips.npy", 3)
    processes = []
    for name in "ab":
        words = ["train-dlp", "--data", str(tmp_path / "clips.npy"), *STAGE1, "--max-steps", "2"]
        words += ["--run", str(tmp_path / name)]
        given = (words, tmp_path / name, tmp_path / f"{name}.log")
        processes.append(LANGUAGE.Process(target=counted, args=given))
        processes[-1].start()
    for process, name in zip(processes, "ab", strict=True):
        process.join()
        assert process.exitcode == 0, (tmp_path / f"{name}.log").read_text()
    weights = [
        (tmp_path / name / "stage1/checkpoints/last/model.safetensors").read_bytes()
        for name in "ab"
    ]
    assert weights[0] == weights[1]
    assert (tmp_path / "decoded").read_text().count("\n") == 1
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_evaluation_that_is_stopped_leaves_nothing_half_written(
    own: Trained, tmp_path: Path, signum: signal.Signals
) -> None:
    words = ["evaluate", *own.on(), "--context", "8", "--horizon", "10", "--samples", "500"]
    process = background(
        [*words, "--out", str(tmp_path / "out")], tmp_path / "out", tmp_path / "log"
    )
    until(lambda: list(tmp_path.glob("out/films")), process)
    assert process.pid is not None
    os.kill(process.pid, signum)
    process.join()
    said = (tmp_path / "log").read_text()
    assert process.exitcode == 128 + signum, said
    assert "Traceback" not in said
    assert not [name for name in tree(tmp_path / "out") if Path(name).name.startswith(".")]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_rollout_that_is_stopped_leaves_nothing_half_written(
    tiny: Trained, tmp_path: Path, signum: signal.Signals
) -> None:
    words = ["rollout", *tiny.on(), *LENGTHS, "--out", str(tmp_path / "out")]
    process = background(words, tmp_path / "out", tmp_path / "log")
    until(lambda: list(tmp_path.glob("out/.*.part")), process)
    assert process.pid is not None
    os.kill(process.pid, signum)
    process.join()
    said = (tmp_path / "log").read_text()
    assert process.exitcode == 128 + signum, said
    assert "particlecast: stopped; what was finished is kept" in said
    assert "Traceback" not in said
    for name in tree(tmp_path / "out"):
        assert not name.startswith(".")
        assert ".part" not in name
