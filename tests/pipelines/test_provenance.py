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
from pipelines.checkpoint import STATE, find_checkpoint, load_training_state
from pipelines.config import EngineConfig, plain
from pipelines.load import load_dlp
from pipelines.pretrained import keep
from pipelines.provenance import commit, machine, settings, trained, training
from tests.pipelines.commands import Trained, particlecast

ASK = "from pipelines.provenance import commit; print(commit())"


def test_the_machine_is_described() -> None:
    found = machine()
    assert int(str(found["cores"])) >= 1
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


def test_another_projects_commit_is_not_ours_and_a_change_is_told(copied: Path) -> None:
    assert asked(copied) == ""
    git(copied, "add", ".")
    git(copied, "commit", "-q", "-m", "second")
    name = git(copied, "rev-parse", "--short", "HEAD")
    assert asked(copied) == name
    with (copied / "pipelines" / "film.py").open("a") as file:
        file.write("# changed\n")
    assert asked(copied) == f"{name} and changes"


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
    assert training(folder) == {"steps": 6, "seed": 0, "commit": commit()}


def test_what_is_kept_of_a_run_still_tells_it(tiny: Trained, tmp_path: Path) -> None:
    keep(tiny.run, tmp_path / "kept", "# a card")
    assert not list((tmp_path / "kept").rglob(STATE))
    assert trained(tmp_path / "kept") == trained(tiny.run)
    assert trained(tiny.run)["stage 1"].startswith("steps 6, seed 0, commit ")
    assert settings(tmp_path / "kept") == settings(tiny.run)


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
