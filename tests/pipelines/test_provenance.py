"""Who made a figure: the machine, the commit, the run's own training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pipelines
from pipelines import provenance
from pipelines.checkpoint import STATE, find_checkpoint, load_training_state
from pipelines.config import EngineConfig, plain
from pipelines.load import load_dlp
from pipelines.pretrained import keep
from pipelines.provenance import (
    commit,
    machine,
    settings,
    trained,
    training,
    training_columns,
)
from tests.pipelines.commands import Trained, particlecast

ASK = "from pipelines.provenance import commit; print(commit())"


def test_the_machine_is_described() -> None:
    found = machine()
    assert int(str(found["cores"])) >= 1
    assert found["threads"] == torch.get_num_threads()
    assert str(found["torch"]) == torch.__version__
    assert found.get("commit", "") == commit()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package's own code in a folder of another project, which has a commit."""
    home = tmp_path / "project" / "packages"
    for name in ("pipelines", "data", "dlp", "dynamics"):
        source = Path(pipelines.__file__).parents[1] / name
        shutil.copytree(source, home / name, ignore=shutil.ignore_patterns("pretrained", "__py*"))
    (home.parent / "own.txt").write_text("theirs")
    git(home.parent, "init", "-q")
    git(home.parent, "add", "own.txt")
    git(home.parent, "commit", "-q", "-m", "first")
    return home


def git(home: Path, *words: str) -> str:
    named = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    return subprocess.run(
        ["git", *named, *words], cwd=home, check=True, capture_output=True, text=True
    ).stdout.strip()


def asked(home: Path) -> str:
    """What the code in a folder says of its commit."""
    return subprocess.run(
        [sys.executable, "-c", ASK], cwd=home, check=True, capture_output=True, text=True
    ).stdout.strip()


def committed(home: Path) -> str:
    """Commit the packages; the name of the commit."""
    git(home, "add", ".")
    git(home, "commit", "-q", "-m", "second")
    return git(home, "rev-parse", "--short", "HEAD")


def test_another_projects_commit_is_not_ours(copied: Path) -> None:
    assert asked(copied) == ""
    others = ("tests/test_film.py", "benchmarks/speed.py", "packages/pipelines/pretrained/a.md")
    for path in others[:2]:
        (copied.parent / path).parent.mkdir(parents=True)
        (copied.parent / path).write_text("")
    name = committed(copied)
    for path in others:  # two are changed, one is new: no part of what a figure is made with
        (copied.parent / path).parent.mkdir(exist_ok=True)
        (copied.parent / path).write_text("# changed\n")
    assert asked(copied) == name  # asking leaves byte code beside the packages, too


@pytest.mark.parametrize(
    "path", ["pipelines/film.py", "pipelines/presets/video.yaml", "data/new.py", "dlp/a/new.py"]
)
def test_a_change_of_the_packages_is_told_and_so_is_a_new_file(
    copied: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = committed(copied)
    monkeypatch.setattr(provenance, "__file__", str(copied / "pipelines" / "provenance.py"))
    assert commit() == name
    (copied / path).parent.mkdir(exist_ok=True)
    with (copied / path).open("a") as file:
        file.write("# changed\n")
    assert commit() == f"{name} and changes"


def test_a_run_tells_how_it_was_trained(own: Trained) -> None:
    folder = find_checkpoint(own.run, "stage1")
    found = training(folder)
    state = load_training_state(folder)
    assert (found["steps"], found["seed"]) == (6, 0)
    assert found["minutes"] == round(state["elapsed"] / 60, 1)
    assert found["commit"] == commit()
    # No forecast needs a training state.
    (folder / STATE).write_bytes(b"cut short")
    assert "minutes" not in training(folder)
    (folder / STATE).unlink()
    assert training(folder) == {"steps": 6, "seed": 0, "commit": commit(), "threads": 1}


def test_what_is_kept_of_a_run_still_tells_it(tiny: Trained, tmp_path: Path) -> None:
    keep(tiny.run, tmp_path / "kept", "# a card")
    assert not list((tmp_path / "kept").rglob(STATE))
    assert trained(tmp_path / "kept") == trained(tiny.run)
    assert trained(tiny.run)["stage 1"].startswith("steps 6, seed 0, commit ")
    assert settings(tmp_path / "kept") == settings(tiny.run)


def test_the_training_stands_in_a_column_each(tiny: Trained) -> None:
    found = training_columns(tiny.run)
    assert (found["stage1.seed"], found["stage1.steps"]) == (0, 6)
    assert (found["stage2.seed"], found["stage2.steps"]) == (0, 6)
    assert found["stage1.commit"] == found["stage2.commit"]
    assert not set(found) & set(settings(tiny.run))  # no column hides another


def test_settings_are_all_that_the_command_line_sets(tiny: Trained) -> None:
    found = settings(tiny.run)
    assert found["dlp.particles"] == load_dlp(tiny.run).model.config.particles
    assert found["dlp.paper.rec"] == "mse"
    assert found["frames.skip"] == 1
    assert found["dynamics.hidden"] == 16
    engine = {f"stage2.{name}" for name in plain(EngineConfig())}
    assert engine <= set(found)


def test_an_evaluation_tells_them(tiny: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out"
    particlecast("evaluate", *tiny.on(), "--context", 8, "--horizon", 3, "--out", out)
    report = json.loads((out / "report.json").read_text())
    assert report["settings"] == settings(tiny.run)
    assert report["meta"]["stage 2"] == trained(tiny.run)["stage 2"]
    assert "<summary>Settings of the run</summary>" in (out / "report.html").read_text()
