"""The ablation of stage 2, as a user runs it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from dynamics.tracks import Tracks
from pipelines.ablate import CHANGES, STEPS, WINDOWS, forecast_begins, forecast_errors
from pipelines.checkpoint import find_checkpoint, load_training_state
from pipelines.cli import main
from pipelines.marks import BEGIN, END
from pipelines.provenance import commit
from tests.dynamics.made import calmed, coasting
from tests.pipelines.commands import STAGE2, Trained, particlecast, refused

SMALL = [*STAGE2, "--max-steps", "4", "--seeds", "2"]


def test_every_row_is_a_config() -> None:
    for change in CHANGES.values():
        DynamicsConfig(**change)


def test_a_model_that_coasts_is_right_about_what_coasts() -> None:
    tracks = [coasting(30, [(0.01, 0.0), (0.0, 0.02)])]
    errors, constant = forecast_errors(calm(4), tracks, forecast_begins(tracks, 4), 3)
    assert errors.shape == constant.shape == (max(STEPS),)
    assert errors.max() < 1e-3
    assert constant.max() < 1e-3


def calm(history: int) -> GraphDynamics:
    """A model in which everything goes on at its velocity."""
    return calmed(GraphDynamics(DynamicsConfig(history=history, hidden=16), 3, (64, 64)))


def swerving(t: int) -> Tracks:
    """Three tracks of which two are seen in turn: never more than two in a frame."""
    tracks = coasting(t, [(0.01, 0.0), (0.0, 0.02), (0.01, 0.02)])
    time = torch.arange(t)[:, None]
    seen = torch.cat([time % 2 == 0, time % 2 == 1, time >= 0], 1)
    bend = torch.sin(time * torch.tensor([0.3, 0.5, 0.7]))[..., None] * 0.2
    return replace(tracks, position=tracks.position + bend, seen=seen)


def test_models_of_any_history_forecast_the_same_particles_in_the_same_frames() -> None:
    tracks = [swerving(30), swerving(24), swerving(40)]  # the second is too short for the longest
    begins = forecast_begins(tracks, 5)
    expected = [(0, t) for t in range(5, 11)] + [(2, t) for t in range(5, 21)]
    assert [tuple(begin) for begin in begins.tolist()] == expected
    _, long = forecast_errors(calm(5), tracks, begins, 2)
    _, short = forecast_errors(calm(2), tracks, begins, 2)
    assert long[-1] > 1
    np.testing.assert_allclose(short, long, rtol=1e-5)


def test_forecasts_of_long_videos_are_spread_evenly() -> None:
    begins = forecast_begins([coasting(3 * WINDOWS, [(0.0, 0.0)])], 4)
    assert len(begins) == WINDOWS
    assert begins[[0, -1], 1].tolist() == [4, 3 * WINDOWS - max(STEPS)]


def test_the_command_trains_each_row_and_writes_the_table(own: Trained, tmp_path: Path) -> None:
    out = tmp_path / "out"
    particlecast("ablate", *own.on(), "--out", out, *SMALL, "--only", "conv g")
    found = json.loads((out / "ablation.json").read_text())
    assert list(found["rows"]) == ["conv gcn (the paper's)", "conv gat", "conv gatv2"]
    for row in found["rows"].values():
        assert list(row["error"]) == [str(step) for step in STEPS]
        assert all(len(errors) == 2 for errors in row["error"].values())
    assert found["meta"]["trained at commit"] == (commit() or "unknown")
    page = (out / "ablation.md").read_text()
    assert "| conv gatv2 |" in page
    assert "constant velocity" in page
    # What was trained is not trained again, and tells the same: its seconds too.
    particlecast("ablate", *own.on(), "--out", out, *SMALL, "--only", "conv gatv2")
    again = json.loads((out / "ablation.json").read_text())
    assert again["rows"]["conv gatv2"] == found["rows"]["conv gatv2"]
    models = [out / "models" / "conv-gatv2" / seed for seed in ("0", "1")]
    states = [load_training_state(find_checkpoint(one, "stage2", "last")) for one in models]
    assert again["rows"]["conv gatv2"]["seconds"] == [one["elapsed"] for one in states]


def test_the_table_is_kept_in_a_page_of_ours(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.md", tmp_path / "out"
    words = (*own.on(), "--out", out, *STAGE2, "--max-steps", 4, "--seeds", 1, "--only", "k 1")
    page.write_text("# Ours\n")
    assert "page.md: has no place for the results" in refused(
        capsys, "ablate", *words, "--page", page
    )
    assert not out.exists()
    page.write_text(f"# Ours\n{BEGIN}\nold\n{END}\nafter\n")
    particlecast("ablate", *words, "--page", page)
    text, table = page.read_text(), (out / "ablation.md").read_text()
    assert text.startswith("# Ours\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| k 1 |" in text
    assert table.removeprefix("# Ablation of stage 2\n\n") in text


def test_rows_of_another_history_are_measured_alike(own: Trained, tmp_path: Path) -> None:
    rows = ("--only", "as configured,history 3")  # beside --dynamics.history 4
    particlecast("ablate", *own.on(), "--out", tmp_path, *SMALL, *rows)
    found = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    own_history, shorter = (found[name]["constant_velocity"] for name in found)
    assert shorter == pytest.approx(own_history)


def test_a_row_that_was_trained_for_longer_is_not_told_as_a_shorter_one(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*own.on(), "--out", tmp_path / "out", *STAGE2, "--seeds", 1, "--only", "conv gatv2"]
    particlecast("ablate", *words, "--max-steps", 4)
    before = (tmp_path / "out" / "ablation.json").read_bytes()
    assert main(["ablate", *map(str, words), "--max-steps", "2"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    where = tmp_path / "out" / "models" / "conv-gatv2" / "0"
    assert f"error: {where} was trained for 4 steps before, not 2: give --max-steps 4, or" in said
    assert (tmp_path / "out" / "ablation.json").read_bytes() == before
    particlecast("ablate", *words, "--max-steps", 4)


def test_videos_that_are_too_short_are_refused_before_training(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*own.on(), "--out", tmp_path / "out", *SMALL, "--only", "history")
    assert "forecasts of 20 steps after 5 frames" in refused(capsys, "ablate", *words)
    assert not (tmp_path / "out" / "models").exists()


def test_a_row_that_is_not_there(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "ablate", *own.on(), "--out", tmp_path / "out", "--only", "moon")
    assert "--only 'moon': no such row" in line
