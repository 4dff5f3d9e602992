"""The paper's model through the commands: trained, saved, loaded, resumed, forecast."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dlp.paper.model import PaperDLP
from pipelines.checkpoint import find_checkpoint
from pipelines.encode import encode_frames
from pipelines.load import load_dlp
from pipelines.train_dlp import DLPStage
from tests.pipelines.commands import STAGE1, STAGE2, arrays, clips, particlecast, refused
from tests.pipelines.test_resume import stopped_and_resumed, weights

PAPER = [*STAGE1, "--dlp.model", "paper", "--dlp.paper.neighbours", "3"]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A source and a run of both stages on it."""
    home = tmp_path_factory.mktemp("paper")
    clips(home / "clips.npy", videos=4)
    given = ["--data", str(home / "clips.npy"), "--run", str(home / "run")]
    particlecast("train-dlp", *given, *PAPER, "--max-steps", "2")
    particlecast("train-dynamics", *given, *STAGE2, "--max-steps", "2")
    return given


def test_what_was_trained_is_loaded_and_encodes_the_same(where: list[str]) -> None:
    run = Path(where[3])
    config = json.loads((find_checkpoint(run, "stage1") / "config.json").read_text())["dlp"]
    assert (config["model"], config["paper"]["neighbours"]) == ("paper", 3)
    model = load_dlp(run).model
    assert isinstance(model, PaperDLP)
    assert not model.training
    frames = np.load(where[1])[0]
    assert model.background_image().std() > 0  # the median of the data came along
    assert model.background_mean.abs().max() > 0
    one, other = encode_frames(model, frames), encode_frames(load_dlp(run).model, frames)
    assert one.position.shape == (len(frames), 5, 2)
    assert torch.equal(one.position, other.position)
    assert torch.equal(one.appearance, other.appearance)


def test_it_forecasts(where: list[str], tmp_path: Path) -> None:
    lengths = ["--context", "4", "--horizon", "3", "--out", str(tmp_path), "--limit", "1"]
    particlecast("rollout", *where, *lengths)
    film = arrays(next(tmp_path.glob("*.npz")))
    assert film["frames"].shape == (3, 32, 32, 3)
    assert np.isfinite(film["position"]).all()


def test_resumed_it_equals_an_unbroken_run(
    where: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train-dlp", *where[:2], *PAPER, "--max-steps", "8", "--run"]
    particlecast(*words, tmp_path / "whole")
    stopped_and_resumed([*words, str(tmp_path / "broken")], DLPStage, monkeypatch, capsys)
    assert weights(tmp_path / "whole", "stage1", 8) == weights(tmp_path / "broken", "stage1", 8)


def test_vgg_without_its_weights_is_told_in_a_line(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train-dlp", *where[:2], "--run", tmp_path / "run", *PAPER, "--dlp.paper.rec", "vgg"]
    assert "--dlp.paper.vgg_weights FILE" in refused(capsys, *words)
    absent = ["--dlp.paper.vgg_weights", tmp_path / "absent.pth"]
    assert "absent.pth: no such file" in refused(capsys, *words, *absent)
    assert "found 2.0: set --dlp.paper.noise_until" in refused(
        capsys, *words, "--dlp.paper.noise_until", "2"
    )
