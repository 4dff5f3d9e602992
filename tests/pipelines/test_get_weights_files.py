"""LPIPS with the user's own files: a trunk's state dict and its heads'."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchmetrics.functional.image import lpips as reference

from dlp.paper.vgg import load_vgg
from pipelines.lpips import FILES, LPIPS, Trunk, load_lpips
from tests.pipelines.commands import particlecast, refused
from tests.pipelines.test_lpips import drawn

State = dict[str, Tensor]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTICLECAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def parts(weights: State) -> tuple[State, State]:
    """The trunk, with a classifier that nobody needs, and the heads."""
    heads = {name: tensor for name, tensor in weights.items() if name.startswith("lin")}
    trunk = {name: tensor for name, tensor in weights.items() if name not in heads}
    return {**trunk, "classifier.6.bias": torch.zeros(1000)}, heads


def written(folder: Path, kind: str, suffix: str = ".pth") -> tuple[Path, Path]:
    """Both files, of the weights that `drawn` makes."""
    files = folder / f"trunk{suffix}", folder / f"heads{suffix}"
    for file, tensors in zip(files, parts(drawn(kind)), strict=True):
        save_file(tensors, file) if suffix == ".safetensors" else torch.save(tensors, file)
    return files


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_own_files_give_the_same_distances(
    cache: Path, tmp_path: Path, kind: Trunk, suffix: str
) -> None:
    trunk, heads = written(tmp_path, kind, suffix)
    particlecast("get-weights", "--trunk", trunk, "--heads", heads)
    assert [path.name for path in cache.iterdir()] == [FILES[kind]]
    model = load_lpips(kind)
    assert model is not None
    one, other = torch.rand(2, 2, 3, 48, 40)
    expected = LPIPS(kind, drawn(kind))(one, other)
    assert expected.min() > 0
    assert torch.equal(model(one, other), expected)
    if kind == "vgg":
        load_vgg(str(cache / FILES[kind]))


@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_the_heads_that_torchmetrics_brings_are_taken(
    cache: Path, tmp_path: Path, kind: Trunk
) -> None:
    heads = Path(reference.__file__).with_name("lpips_models") / f"{kind}.pth"
    particlecast("get-weights", "--trunk", written(tmp_path, kind)[0], "--heads", heads)
    assert load_lpips(kind) is not None
    given = torch.load(heads, map_location="cpu", weights_only=True)["lin3.model.1.weight"]
    assert torch.equal(load_file(cache / FILES[kind])["lin3.model.1.weight"], given)


def test_the_other_trunk_stays(cache: Path, tmp_path: Path) -> None:
    for kind in ("alex", "vgg"):
        trunk, heads = written(tmp_path, kind)
        particlecast("get-weights", "--trunk", trunk, "--heads", heads)
    assert {path.name for path in cache.iterdir()} == set(FILES.values())


Break = Callable[[State, State], tuple[object, object]]
BROKEN: dict[str, tuple[Break, str]] = {
    "trunk of code": (lambda t, h: ({"features.0.weight": print}, h), "--trunk: .*trunk.pth: "),
    "trunk of a list": (lambda t, h: ([1], h), "--trunk: .*expected a state dict, found list"),
    "another network": (
        lambda t, h: ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, h),
        r"features\.0\.weight is missing, expected shape \(64, 3, 11, 11\) \(alex\) or .*\(vgg\)",
    ),
    "another trunk": (
        lambda t, h: ({"features.0.weight": torch.zeros(96, 3, 7, 7)}, h),
        r"features\.0\.weight is of shape \(96, 3, 7, 7\)",
    ),
    "trunk without a layer": (
        lambda t, h: ({n: x for n, x in t.items() if n != "features.8.bias"}, h),
        r"--trunk: .*features\.8\.bias is missing.*torchvision's alexnet",
    ),
    "heads of code": (lambda t, h: (t, {"lin0.model.1.weight": print}), "--heads: .*heads.pth: "),
    "heads of the other": (
        lambda t, h: (t, parts(drawn("vgg"))[1]),
        r"--heads: .*lin1\.model\.1\.weight is of shape \(1, 128, 1, 1\), .*heads of alex",
    ),
    "files swapped": (lambda t, h: (h, t), "--trunk: .*missing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unfit_files_are_refused_in_one_line(
    cache: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, expected = BROKEN[name]
    files = tmp_path / "trunk.pth", tmp_path / "heads.pth"
    for file, tensors in zip(files, change(*parts(drawn("alex"))), strict=True):
        torch.save(tensors, file)
    said = refused(capsys, "get-weights", "--trunk", files[0], "--heads", files[1])
    assert re.search(expected, said), said
    assert not cache.exists()


def test_the_options_go_together(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trunk, heads = written(tmp_path, "alex")
    for words in (
        ("--trunk", trunk),
        ("--heads", heads),
        ("--trunk", trunk, "--heads", heads, "--file", "x.tar.gz"),
    ):
        assert "--trunk goes with --heads" in refused(capsys, "get-weights", *words)
    said = refused(capsys, "get-weights", "--trunk", trunk, "--heads", tmp_path / "no.pth")
    assert "no.pth: no such file: give the heads of alex" in said
    assert not cache.exists()
