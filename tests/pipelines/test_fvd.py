import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from data.errors import UserError
from pipelines.conventions import PARTICLES
from pipelines.figures import FIGURES
from pipelines.fvd import VideoFeatures, frechet
from tests.pipelines.commands import SIDE, Trained, particlecast, refused


class Colours(nn.Module):
    """Mean and spread of each channel, with the call of the real network."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        assert rescale
        assert resize
        assert return_features
        x = x.flatten(2)
        return torch.cat([x.mean(2), x.std(2)], 1)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    torch.jit.script(Colours()).save(str(tmp_path / "network.pt"))
    return tmp_path / "network.pt"


def test_gaussians_that_are_known() -> None:
    """Diagonal covariances: the distance is |mu - mu'|^2 + sum (sigma - sigma')^2."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2_000, 2))
    one, other = noise * [1, 2], noise[::-1] * [3, 2] + [1, -2]
    assert frechet(one, other) == pytest.approx(5 + 4, rel=0.2)
    assert frechet(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet(one, other) == pytest.approx(frechet(other, one))


@pytest.mark.parametrize(("n", "d"), [(40, 5), (4, 6)])
def test_it_agrees_with_the_formula_written_out(n: int, d: int) -> None:
    """The second with singular covariances, of fewer videos than features."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    other = rng.normal(size=(n + 3, d)) @ rng.normal(size=(d, d)) + 1
    first, second = (np.cov(x, rowvar=False) for x in (one, other))
    root = sqrtm(first @ second).real
    apart = np.square(one.mean(0) - other.mean(0)).sum()
    expected = apart + np.trace(first + second - 2 * root)
    assert frechet(one, other) == pytest.approx(expected, rel=1e-4)


def test_the_network_sees_the_whole_video(network: Path) -> None:
    frames = np.zeros((12, 8, 8, 3), np.uint8)
    frames[:6, ..., 0] = 200
    assert VideoFeatures(network)(frames)[:3] == pytest.approx([100, 0, 0])


def test_a_file_that_is_no_network(tmp_path: Path, network: Path) -> None:
    (tmp_path / "other.pt").write_bytes(b"something")
    for path in (tmp_path / "other.pt", tmp_path / "none.pt"):
        with pytest.raises(UserError, match="TorchScript"):
            VideoFeatures(path)
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "linear.pt"))
    with pytest.raises(UserError, match="cannot be used"):
        VideoFeatures(tmp_path / "linear.pt")(np.zeros((12, 8, 8, 3), np.uint8))


def test_evaluate_tells_it(
    own: Trained, tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = f"synthetic:billiards,videos=30,frames=18,size={SIDE}"
    words = ("--data", world, "--run", own.run, "--context", 8, "--out", tmp_path / "out")
    particlecast("evaluate", *words, "--horizon", 10, "--fvd", network, "--samples", 3)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = {name: value for name, value in report["whole"].items() if "FVD" in name}
    assert set(found) == {"FVD of 3 videos, forecast", "FVD of 3 videos, copy last"}
    assert min(found.values()) > 0
    assert "FVD of 3 videos, forecast" in (tmp_path / "out" / "report.html").read_text()
    # Both conventions of PSNR are there for every method that has pixels.
    pooled = "PSNR from the mean error over all frames, dB"
    others = report["per_step"]["psnr"]["methods"].keys() - {"model"}
    assert {pooled, *(f"{pooled}, {name}" for name in others)} <= report["particles"].keys()
    # Of whatever is reported it is told how it is measured.
    for name in [*found, *report["particles"]]:
        assert any(part in name for one in PARTICLES for part in one.of), name
    assert {one.title for one in PARTICLES} == set(report["conventions"]) - {
        figure.title for figure in FIGURES
    }
    assert "at least 10" in refused(capsys, "evaluate", *words, "--horizon", 9, "--fvd", network)
