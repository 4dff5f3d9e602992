"""The error that stage 2 is judged by."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.write import write_mp4
from dynamics.windows import Window, gather
from pipelines.boards import Board
from pipelines.train_dynamics import errors_by_step
from tests.dynamics.made import coasting
from tests.pipelines.commands import (
    FRAMES,
    STAGE2,
    Trained,
    clips,
    particlecast,
    refused,
    train_tiny,
)
from tests.pipelines.test_image_training import CONFIG, HISTORY, HORIZON, stage

SIDE = torch.tensor([32.0, 32.0])


def window() -> Window:
    """Two particles that coast, all seen."""
    tracks = coasting(12, [(0.02, 0.0), (0.0, -0.03)])
    return gather([tracks], torch.tensor([[0, 0]]), HISTORY, HORIZON, 2)


def test_a_step_whose_targets_nobody_saw_has_no_error() -> None:
    given = window()
    off = given.position + torch.tensor([0.0, 0.25])  # 8 pixels
    assert errors_by_step(off, given, SIDE).tolist() == pytest.approx([8.0] * HORIZON)
    given.mask[:, 1] = 0
    given.mask[:, 2, 0] = 0
    found = errors_by_step(off, given, SIDE)
    assert np.isnan(found).tolist() == [False, True, False]
    assert found[[0, 2]].tolist() == pytest.approx([8.0, 8.0])


@torch.no_grad()
@pytest.mark.filterwarnings("error")
def test_the_score_is_of_the_steps_that_were_seen_and_of_none_is_none(tmp_path) -> None:
    made = stage(replace(CONFIG, image=0.0))
    made.board = Board(tmp_path)
    whole = made.evaluate(0)
    for one in made.validation:
        one.seen[HISTORY + 1] = False
    made.held_out = torch.tensor([[0, 0], [1, 0]])  # nothing is seen at their second step
    some = made.evaluate(1)
    assert some["copy_last"] == pytest.approx(whole["copy_last"], rel=1e-3)  # steps 1 and 3, of 3
    for one in made.validation:
        one.seen[HISTORY:] = False
    assert np.isnan(list(made.evaluate(2).values())).all()
    made.board.close()


@torch.no_grad()
def test_short_validation_videos_are_judged_over_what_they_have() -> None:
    made = stage(replace(CONFIG, image=0.0))
    short = coasting(HISTORY + 1, [(0.02, 0.0), (0.0, -0.03)])
    mixed = replace(made, validation=[short])
    assert np.isfinite(mixed.evaluate(0)["position_error"])


def test_videos_too_short_to_learn_from_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = clips(tmp_path / "clips.npy")[0]
    for split, lengths in {"train": (FRAMES, FRAMES, 6), "val": (FRAMES,), "test": (9,)}.items():
        (tmp_path / "films" / split).mkdir(parents=True)
        for index, length in enumerate(lengths):
            write_mp4(tmp_path / "films" / split / f"{index}.mp4", frames[:length], fps=10)
    train_tiny(tmp_path / "films", tmp_path / "run", "--frames.size", 32)
    said = capsys.readouterr().err
    assert "1 of 3 training videos are left out: they have fewer than 8 frames" in said


def test_a_stage_2_of_an_earlier_version_is_told(
    own: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    for config in (own.run / "stage2").rglob("config.json"):
        saved = json.loads(config.read_text())
        del saved["dynamics"]["appearance_noise"]
        config.write_text(json.dumps(saved))
    words = ("--context", 8, "--horizon", 2, "--out", own.run / "out")
    assert "was trained by an earlier version" in refused(capsys, "rollout", *own.on(), *words)


def test_a_copy_of_the_source_trains_on(own: Trained, tmp_path: Path) -> None:
    copy = shutil.copytree(own.data, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, (1, 1))
    shutil.rmtree(own.run / "stage2")
    particlecast("train-dynamics", *own.on(copy), *STAGE2, "--max-steps", 1)
