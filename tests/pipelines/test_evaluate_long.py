"""A thousand steps, counted and measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dynamics.config import DynamicsConfig
from pipelines.evaluate_long import AT, endure, gather
from pipelines.provenance import trained
from tests.dynamics.made import calmed, roused, state
from tests.pipelines.commands import Trained, particlecast, refused

CONFIG = DynamicsConfig(history=4, hidden=16)


def test_what_coasts_keeps_its_energy_and_looks_and_what_drives_out_is_gone() -> None:
    dynamics, given = calmed(roused(CONFIG, by=0.0)), state(b=1, n=3)
    position = torch.zeros_like(given.position)
    position[0, :, 0, 0] = 0.0001 * torch.arange(4)  # 1,000 steps lead it to 0.1,
    position[0, :, 1, 0] = 0.002 * torch.arange(4)  # and this one out after some 522
    found = endure(dynamics, replace(given, position=position), 1000)
    assert found["sound"]
    assert found["live"].tolist() == [2, 2, 2, 1]
    one, other = (24 * 0.0001) ** 2, (24 * 0.002) ** 2  # squared pixels
    assert found["start"] == pytest.approx((one + other) / 2, rel=1e-2)
    assert found["speed"][:3] == pytest.approx([(one + other) / 2] * 3, rel=1e-2)
    assert found["speed"][3] == pytest.approx(one, rel=0.1)
    assert found["drift"] == 0


def test_looks_that_change_drift() -> None:
    dynamics, given = calmed(roused(CONFIG, by=0.0)), state(b=1, n=3)
    last = dynamics.head[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias[2:8], last.bias[8:] = 0.1, 100.0  # each look by 0.1 a step, 0.04 of it taken back
    found = endure(dynamics, replace(given, position=torch.zeros_like(given.position)), 1000)
    assert found["drift"] == pytest.approx(0.1 * 0.96 / 0.04, rel=0.01)


def test_what_is_not_finite_is_not_sound() -> None:
    dynamics, given = calmed(roused(CONFIG, by=0.0)), state(b=1, n=3)
    code = given.code.clone()
    code[0, 1, 0] = torch.nan
    assert not endure(dynamics, replace(given, code=code), 20)["sound"]


def test_the_energy_is_of_all_videos_together() -> None:
    still = {"sound": True, "live": [1.0] * 4, "start": 0.0, "speed": [0.0] * 4, "drift": 0.2}
    going = {**still, "start": 2.0, "speed": [2.0, 1.0, float("nan"), 0.0], "drift": float("nan")}
    found = gather([still, going])
    assert found["energy"] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert found["drift"] == 0.2
    assert found["sound"]
    assert not gather([still, {**going, "sound": False}])["sound"]


def test_the_command_tells_it_of_held_out_videos(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    particlecast("evaluate-long", *tiny.on(), "--out", tmp_path / "out", "--limit", 1)
    found = json.loads((tmp_path / "out" / "long.json").read_text())
    assert found["at"] == list(AT)
    assert found["meta"]["videos"] == 1
    assert len(found["live"]) == len(found["energy"]) == len(AT)
    assert found["meta"]["stage 2"] == trained(tiny.run)["stage 2"]
    page = (tmp_path / "out" / "long.md").read_text()
    assert "live particles" in page
    assert "| stage 1 | steps 6, seed 0" in page
    missing = ("--data", tiny.data, "--run", tmp_path / "none", "--out", tmp_path / "out")
    assert "no trained stage 1" in refused(capsys, "evaluate-long", *missing)
