"""The one small run that the tests of whole commands share; they do not write into it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipelines.commands import FRAMES, SIDE, Trained, particlecast, train_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Billiards, made and trained on by the commands themselves."""
    home = tmp_path_factory.mktemp("tiny")
    sizes = ("--videos", 6, "--frames", FRAMES, "--size", SIDE)
    particlecast("make-data", "billiards", home / "clips", *sizes)
    return train_tiny(home / "clips", home / "run")


@pytest.fixture
def own(tiny: Trained, tmp_path: Path) -> Trained:
    """A copy of that run, to be changed or broken."""
    run = shutil.copytree(tiny.run, tmp_path / "run", symlinks=True)
    return Trained(tiny.data, run)
