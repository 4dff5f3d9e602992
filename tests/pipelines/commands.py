"""Whole commands as a user runs them, on the smallest data and models that exercise all of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from data.worlds import simulate
from pipelines.cli import main
from pipelines.schedule import Budget

REPOSITORY = Path(__file__).parents[2]
FRAMES, SIDE, PARTICLES, FEATURES = 24, 32, 5, 4
DLP = ["--dlp.width", "8", "--dlp.particles", f"{PARTICLES}", "--dlp.features", f"{FEATURES}"]
STAGE1 = [*DLP, "--stage1.batch", "4", "--stage1.evaluate_every", "6"]
DYNAMICS = ["--dynamics.hidden", "16", "--dynamics.history", "4", "--dynamics.horizon", "4"]
STAGE2 = [*DYNAMICS, "--stage2.batch", "4", "--stage2.evaluate_every", "6"]


@dataclass(frozen=True)
class Trained:
    """A source and the run that was trained on it."""

    data: Path
    run: Path

    def on(self, data: Path | None = None) -> list[str]:
        """The options that name them, or another source."""
        return ["--data", str(data or self.data), "--run", str(self.run)]


def particlecast(*words: object) -> None:
    """A command that must succeed."""
    assert main([str(word) for word in words]) == 0


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that a command must end with."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("particlecast: error: ")
    assert said.err.count("\n") == 1
    return said.err


def ticking(budget: Budget) -> float:
    """Seconds that pass with every look at the clock, so that a slow machine does as many steps."""
    budget.ticks = getattr(budget, "ticks", -1) + 1  # type: ignore[attr-defined]
    return budget.before + 2.0 * budget.ticks  # type: ignore[attr-defined]


def process(*words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(started(*words), cwd=REPOSITORY, capture_output=True, text=True)


def started(*words: object) -> list[str]:
    """What a shell would start."""
    return [sys.executable, "-m", "pipelines.cli", *(str(word) for word in words)]


def train_tiny(data: Path, run: Path, *words: object) -> Trained:
    """Both stages, six steps each; `words` are for stage 1."""
    where = ("--data", data, "--run", run, "--max-steps", "6")
    particlecast("train-dlp", *where, *STAGE1, *words)
    particlecast("train-dynamics", *where, *STAGE2)
    return Trained(data, run)


def ready(own: Trained, stage: str) -> Path:
    """The stage's checkpoints, of a copy that may be trained further: no stage 2 stands on it."""
    if stage == "stage1":
        shutil.rmtree(own.run / "stage2")
    return own.run / stage / "checkpoints"


def clips(path: Path, videos: int = 2, seed: int = 0) -> np.ndarray:
    """[n, t, h, w, 3] uint8 of billiards, also written to a .npy file."""
    frames = [simulate("billiards", FRAMES, SIDE, seed + index).frames for index in range(videos)]
    np.save(path, np.stack(frames))
    return np.stack(frames)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """What a .npz file holds."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def film_facts(path: Path) -> tuple[str, str | None, int, float]:
    """Codec, pixel format, decoded frames, frames a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 0)
        count = sum(1 for _ in container.decode(stream))
        return stream.codec_context.name, stream.codec_context.pix_fmt, count, rate


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file and link under a folder, with what it holds; folders too."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found
