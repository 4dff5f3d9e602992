"""Stage 1's evaluation: known answers of a made model, and the command from words to files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data.videos import Truth, Video
from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.model import DLP
from dlp.particles import Particles, from_pixels
from pipelines.evaluate_dlp import judge, linked
from pipelines.provenance import trained
from pipelines.report_dlp import ROBUST, ROWS, collect, head, page, scalars
from tests.pipelines.commands import Trained, clips, particlecast, refused
from tests.pipelines.test_commands import logged

STEPS, SIDE, HALF, NOISE = 160, 64, 3, 0.3
GREY = 64


def squares() -> Video:
    """A red, a green and a blue square that move evenly, one after another leaving the last."""
    start, way = np.array([[20, 14], [20, 32], [22, 50]]), np.array([[0.1, 0], [0.05, 0], [0, 0]])
    position = start + np.arange(STEPS)[:, None, None] * way
    frames = np.full((STEPS, SIDE, SIDE, 3), GREY, np.uint8)
    mask = np.zeros((STEPS, SIDE, SIDE), np.uint8)
    for t, index in np.ndindex(STEPS, 3):
        x, y = position[t, index].round().astype(int)
        cut = (t, slice(y - HALF, y + HALF + 1), slice(x - HALF, x + HALF + 1))
        frames[cut] = 0
        frames[(*cut, index)] = 255
        mask[cut] = index + 1
    position = position.round().astype(np.float32)
    radius = np.full((STEPS, 3), (2 * HALF + 1) / np.sqrt(np.pi), np.float32)
    return Video("squares", frames, 10.0, Truth(position, np.ones((STEPS, 3), bool), radius, mask))


class Made(DLP):
    """Finds each colour's centroid, adds noise of a known deviation, and draws it perfectly."""

    def __init__(self, noise: float, claimed: float) -> None:
        super().__init__(DLPConfig(particles=4, width=8), (SIDE, SIDE))
        self.noise, self.claimed = noise, claimed
        self.generator = torch.Generator().manual_seed(0)

    def encode(self, image: Tensor, explore: float = 0.0, widen: float = 1.0) -> Any:
        b = len(image)
        weight = ((image - image.mean(1, keepdim=True)) > 0.3).float() + 1e-6  # (b, 3, h, w)
        weight = torch.cat([weight, torch.ones_like(weight[:, :1])], 1)
        step = torch.arange(SIDE).float()
        x = (weight.sum(2) * step).sum(-1) / weight.sum((2, 3))
        y = (weight.sum(3) * step).sum(-1) / weight.sum((2, 3))
        place = torch.stack([x, y], -1)
        place = place + self.noise * torch.randn(place.shape, generator=self.generator)
        log_variance = 2 * np.log(self.claimed * 2 / SIDE)
        particles = Particles(
            from_pixels(place, SIDE, SIDE),
            torch.full((b, 4, 2), float(log_variance)),
            10 * torch.eye(4).repeat(b, 1, 1),
            torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(b, 1),
            torch.ones(b, 4),
            torch.zeros(b, 4),
        )
        return SimpleNamespace(particles=particles)

    def decode(self, particles: Particles) -> Scene:
        b = len(particles.position)
        image = torch.full((b, 3, SIDE, SIDE), 0.25)
        return Scene(image, image, image[:, :1], torch.ones(b, 4, 4, 16, 16))


def judged(noise: float = NOISE, claimed: float = NOISE) -> dict[str, Any]:
    torch.manual_seed(0)
    one = judge(Made(noise, claimed).eval(), squares(), np.random.default_rng(0))
    return collect([one], {"data": "squares"})


def test_a_made_model_gets_the_figures_that_its_noise_makes() -> None:
    found = {key: one["value"] for key, one in judged()["figures"].items()}
    assert found["coverage"] == found["precision"] == found["live_per_object"] == 1
    assert found["identity"] == found["identity_unbroken"] == 1
    rayleigh = NOISE * np.sqrt(np.pi / 2)
    assert found["position_error"] == pytest.approx(rayleigh, rel=0.05)
    assert found["position_error_95"] == pytest.approx(NOISE * np.sqrt(2 * np.log(20)), rel=0.1)
    assert found["jitter"] == pytest.approx(NOISE, rel=0.05)
    assert found["shift_error"] == pytest.approx(rayleigh * np.sqrt(2), rel=0.15)
    assert found["shift_lost"] == 0
    assert found["within_1_sigma"] == pytest.approx(0.683, abs=0.04)
    assert found["within_2_sigma"] == pytest.approx(0.954, abs=0.03)
    assert found["spearman"] is None  # it always claims the same
    assert found["hand_outside"] == 0


def test_a_perfect_model_that_is_too_unsure() -> None:
    found = {key: one["value"] for key, one in judged(0.0, 1.0)["figures"].items()}
    assert found["position_error"] == pytest.approx(0, abs=0.01)
    assert found["jitter"] == pytest.approx(0, abs=0.01)
    assert found["within_1_sigma"] == 1


def test_truth_is_shaken_with_the_camera() -> None:
    disturbed = judged(0.0)["disturbed"]
    assert list(disturbed) == ["clean", "light", "noise", "jpeg", "shake"]
    assert disturbed["clean"]["position_error"]["value"] == pytest.approx(0, abs=0.01)
    assert disturbed["shake"]["coverage"]["value"] == 1
    assert disturbed["shake"]["position_error"]["value"] < 0.5  # of up to 2.8 px


def test_without_truth_what_needs_it_is_left_out() -> None:
    video = squares()
    bare = Video(video.name, video.frames, video.fps)
    result = collect([judge(Made(0.1, 0.1).eval(), bare, np.random.default_rng(0))], {})
    known = {key for key, one in result["figures"].items() if one["value"] is not None}
    # The made decoder's picture is blank: there is no object whose likeness could be measured.
    assert known - {"hand_psnr"} == {"psnr", "psnr_moving", "shift_error", "shift_lost"} | {
        "hand_outside"
    }
    text = page(result)
    assert "| coverage | - |" in text
    assert "(nan" not in text
    assert [line.split()[-1] for line in head(result)][:4] == ["-", "-", "-", "-"]
    assert not any("coverage" in tag for tag in scalars(result))


def test_losses_stand_beside_the_disturbed_figures() -> None:
    result = judged()
    text = page(result)
    clean, jpeg = (result["disturbed"][name]["psnr"]["value"] for name in ("clean", "jpeg"))
    assert f"{jpeg:.2f} ({jpeg - clean:+.2f})" in text
    assert all(row.words in text for row in ROWS.values())


def test_the_command_writes_its_table_and_its_curves(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    capsys.readouterr()
    particlecast("evaluate-dlp", *own.on(), "--out", out)
    result = json.loads((out / "stage1.json").read_text())
    assert result["meta"]["videos"] == 1  # of six, one is held out by the tool's own split
    assert result["meta"]["stage 1"] == trained(own.run)["stage 1"]
    assert "stage 2" not in result["meta"]
    assert "| stage 1 | steps 6, seed 0" in (out / "stage1.md").read_text()
    assert result["figures"].keys() == ROWS.keys()
    assert 0 <= result["figures"]["coverage"]["value"] <= 1
    assert all(figures.keys() == set(ROBUST) for figures in result["disturbed"].values())
    assert "| PSNR, dB |" in (out / "stage1.md").read_text()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].startswith("coverage")
    assert said.err.splitlines()[-1] == f"the table is {out / 'stage1.md'}"
    log = logged(own.run / "tensorboard" / "evaluate" / "stage1")
    shown = log.Scalars("evaluate_dlp/psnr")[0].value
    assert shown == pytest.approx(result["figures"]["psnr"]["value"])


def test_a_source_without_truth_that_was_not_trained_on_takes_what_is_asked_for(
    own: Trained, tmp_path: Path
) -> None:
    clips(tmp_path / "a.npy", 3)
    particlecast("evaluate-dlp", *own.on(tmp_path / "a.npy"), "--out", tmp_path, "--limit", 2)
    result = json.loads((tmp_path / "stage1.json").read_text())
    assert len(result["figures"]["psnr"]["per_video"]) == 2
    assert result["figures"]["coverage"]["value"] is None


def test_a_source_of_another_size_is_refused(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips(tmp_path / "a.npy", 1)
    frames = np.load(tmp_path / "a.npy")[:, :, :16]
    np.save(tmp_path / "a.npy", frames)
    line = refused(capsys, "evaluate-dlp", *tiny.on(tmp_path / "a.npy"), "--out", tmp_path / "out")
    assert "give videos of the same shape" in line


def test_parts_that_are_linked_one_by_one_weigh_what_was_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second part has six frames, and noise."""
    truth = squares().truth
    assert truth is not None
    model = Made(0.0, 0.1).eval()
    frames, last = STEPS - 6, np.arange(STEPS) >= STEPS - 6
    place = truth.position.copy()
    place[last] += np.random.default_rng(0).normal(0, 1, (6, 3, 2))
    k = place.shape[1]
    one = torch.ones(STEPS, k)
    where = from_pixels(torch.from_numpy(place).float(), SIDE, SIDE)
    looks = torch.eye(k).expand(STEPS, k, k)
    given = Particles(where, torch.full((STEPS, k, 2), -9.0), looks, one, one, 0 * one)
    monkeypatch.setattr("pipelines.evaluate_dlp.LINKED", frames)
    first, second, both = (
        linked(model, given[part], truth.at(part), 4.0)
        for part in (slice(0, frames), slice(frames, STEPS), slice(0, STEPS))
    )
    assert first["jitter"] < 0.05 < 0.4 < second["jitter"]
    share = 6 / STEPS
    expected = (1 - share) * first["jitter"] + share * second["jitter"]
    assert both["jitter"] == pytest.approx(expected, rel=1e-6)
    assert both["identity"] == 1
    # Three frames are too few for jitter: they have no say in it.
    some = slice(0, frames + 3)
    assert linked(model, given[some], truth.at(some), 4.0)["jitter"] == first["jitter"]
