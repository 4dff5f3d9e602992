import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchmetrics.functional.image import lpips as reference

from data.errors import UserError
from pipelines.lpips import FILES, LPIPS, TRUNKS, Trunk, load_lpips, lpips, shapes
from tests.pipelines.commands import Trained, particlecast, refused

NETS = {"alex": ("alexnet", 12), "vgg": ("vgg16", 30)}


def drawn(trunk: str) -> dict[str, Tensor]:
    """Random weights whose features neither die nor blow up; heads are not negative."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes(trunk).items():
        noise = torch.randn(shape, generator=generator)
        fan = max(int(np.prod(shape[1:])), 1)
        weights[name] = noise.abs() if "lin" in name else noise * (2 / fan) ** 0.5
        if name.endswith("bias"):
            weights[name] = noise * 0.1
    return weights


def torchvision_features(trunk: str, weights: dict[str, Tensor]) -> nn.Sequential:
    """The trunk as torchvision builds it: convolution, ReLU, pooling, by index."""
    layers: list[nn.Module] = []
    for layer in TRUNKS[trunk]:
        if layer.pool:
            layers.append(nn.MaxPool2d(layer.pool, 2))
        outputs, inputs, side, _ = layer.shape
        conv = nn.Conv2d(inputs, outputs, side, layer.stride, layer.padding)
        conv.weight.data = weights[f"features.{layer.index}.weight"]
        conv.bias.data = weights[f"features.{layer.index}.bias"]  # type: ignore[union-attr]
        assert len(layers) == layer.index
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_it_agrees_with_torchmetrics(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = drawn(trunk)
    features = torchvision_features(trunk, weights)
    monkeypatch.setattr(reference, "_get_tv_model_features", lambda *_: features)
    theirs = reference._LPIPS(pretrained=False, net=trunk, use_dropout=True).eval()
    for head in range(5):
        theirs.lins[head].model[1].weight.data = weights[f"lin{head}.model.1.weight"]
    one, other = torch.rand(2, 3, 3, 64, 80)
    expected = theirs(one, other, normalize=True).flatten()
    assert expected.min() > 0.01
    assert torch.allclose(LPIPS(trunk, weights)(one, other), expected, rtol=1e-4)


def test_equal_frames_are_at_no_distance_and_chunks_make_no_difference(tmp_path: Path) -> None:
    model = LPIPS("alex", drawn("alex"))
    frames = np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3), np.uint8)
    assert lpips(model, frames, frames).max() == 0
    away = lpips(model, frames, frames[::-1].copy())
    assert away.min() > 0
    assert np.allclose(away[3:4], lpips(model, frames[3:4], frames[16:17]))


def test_weights_are_looked_for_and_checked(tmp_path: Path) -> None:
    assert load_lpips("alex", tmp_path) is None
    save_file(drawn("alex"), tmp_path / FILES["alex"])
    assert isinstance(load_lpips("alex", tmp_path), LPIPS)
    wrong = drawn("alex") | {"features.3.weight": torch.zeros(2, 2)}
    save_file(wrong, tmp_path / FILES["alex"])
    with pytest.raises(UserError, match=r"features\.3\.weight is of shape \(2, 2\).*get-weights"):
        load_lpips("alex", tmp_path)
    (tmp_path / FILES["alex"]).write_bytes(b"no weights")
    with pytest.raises(UserError, match="run particlecast get-weights again"):
        load_lpips("alex", tmp_path)


def test_evaluate_tells_it_where_there_are_weights(
    own: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.lpips.default_root", lambda: tmp_path)
    words = ("--context", 8, "--horizon", 4, "--limit", 1, "--lpips", "both")
    particlecast("evaluate", *own.on(), *words, "--out", tmp_path / "without")
    page = (tmp_path / "without" / "report.md").read_text()
    assert "| LPIPS, alex | not computed: run particlecast get-weights |" in page
    (tmp_path / "weights").mkdir()
    save_file(drawn("alex"), tmp_path / "weights" / FILES["alex"])
    particlecast("evaluate", *own.on(), *words, "--out", tmp_path / "with")
    page = (tmp_path / "with" / "report.md").read_text()
    assert "## LPIPS, AlexNet (less is better, 0 is equal)" in page
    assert "| LPIPS, vgg | not computed: run particlecast get-weights |" in page
    found = json.loads((tmp_path / "with" / "report.json").read_text())["per_step"]["lpips_alex"]
    assert {"model", "copy-last", "optical flow"} <= found["methods"].keys()
    assert found["methods"]["model"]["overall"]["mean"] > 0


def test_an_unknown_trunk_is_refused(own: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--context", 8, "--horizon", 4, "--out", "nowhere", "--lpips", "squeeze")
    assert "--lpips must be one of" in refused(capsys, "evaluate", *own.on(), *words)
