"""The ablation of stage 2, as a user runs it."""

import json
from pathlib import Path

import pytest
import torch

from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from pipelines.ablate import CHANGES, STEPS, forecast_errors
from tests.dynamics.made import coasting
from tests.pipelines.commands import STAGE2, Trained, particlecast, refused

SMALL = [*STAGE2, "--max-steps", "4", "--seeds", "2"]


def test_every_row_is_a_config() -> None:
    for change in CHANGES.values():
        DynamicsConfig(**change)


def test_a_model_that_coasts_is_right_about_what_coasts() -> None:
    model = GraphDynamics(DynamicsConfig(history=4, hidden=16), 3, (64, 64)).eval()
    torch.nn.init.zeros_(model.head[-1].weight)  # type: ignore[arg-type]
    errors, constant = forecast_errors(model, [coasting(30, [(0.01, 0.0), (0.0, 0.02)])], rows=3)
    assert errors.shape == constant.shape == (max(STEPS),)
    assert errors.max() < 1e-3
    assert constant.max() < 1e-3


def test_the_command_trains_each_row_and_writes_the_table(own: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out"
    particlecast("ablate", *own.on(), "--out", out, *SMALL, "--only", "conv g")
    found = json.loads((out / "ablation.json").read_text())
    assert list(found["rows"]) == ["conv gcn (the paper's)", "conv gat", "conv gatv2"]
    for row in found["rows"].values():
        assert list(row["error"]) == [str(step) for step in STEPS]
        assert all(len(errors) == 2 for errors in row["error"].values())
    page = (out / "ablation.md").read_text()
    assert "| conv gatv2 |" in page
    assert "constant velocity" in page
    # What was trained is not trained again, and tells the same.
    particlecast("ablate", *own.on(), "--out", out, *SMALL, "--only", "conv gatv2")
    again = json.loads((out / "ablation.json").read_text())
    assert again["rows"]["conv gatv2"]["error"] == found["rows"]["conv gatv2"]["error"]


def test_a_row_that_is_not_there(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "ablate", *own.on(), "--out", tmp_path / "out", "--only", "moon")
    assert "--only 'moon': no such row" in line
