"""Runs and caches from strangers: refused with the reason, or not used; nothing is run or taken."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.pipelines.commands import STAGE1, STAGE2, Trained, particlecast, refused, tree

LENGTHS = ["--context", "8", "--horizon", "4"]


def checkpoint(run: Path, stage: str) -> Path:
    """The folder of a stage's only checkpoint."""
    (folder,) = (run / stage / "checkpoints").glob("step_*")
    return folder


def change(run: Path, stage: str, group: str, values: Any) -> None:
    """Write into a checkpoint's config.json."""
    path = checkpoint(run, stage) / "config.json"
    config = json.loads(path.read_text())
    if isinstance(values, dict) and isinstance(config.get(group), dict):
        config[group] |= values
    else:
        config[group] = values
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("stage", "group", "values", "said"),
    [
        ("stage1", "dlp", {"width": 10**6}, "larger than 4096"),
        ("stage1", "dlp", {"width": 4096}, "the model expects"),
        ("stage1", "dlp", {"features": 4000}, "the model expects"),
        ("stage1", "dlp", {"glimpse": 8 * 10**8}, "larger than 4096"),
        ("stage1", "dlp", {"particles": 10**9, "n_prior": 10**9}, "larger than 4096"),
        ("stage1", "dlp", {"particles": f"{10**9}", "n_prior": 10**9}, "larger than 4096"),
        ("stage1", "dlp", {"particles": -1}, "particles must be at least 1"),
        ("stage1", "dlp", {"particles": "../../secret"}, "particles"),
        ("stage1", "dlp", {"width": None}, "width"),
        ("stage1", "dlp", {"price": math.nan}, "price must be 0 or more"),
        ("stage1", "dlp", {"max_scale": math.inf}, "max_scale is inf, not finite"),
        ("stage1", "dlp", {"patch": [8]}, "patch"),
        ("stage1", "dlp", {"model": "__import__('os')"}, "model"),
        ("stage1", "dlp", {"paper": {"rec": {"class_path": "os.system"}}}, "rec"),
        (
            "stage1",
            "dlp",
            {"paper": {"neighbours": 10**9}},
            "dlp.paper.neighbours is 1e+09, larger",
        ),
        ("stage1", "dlp", {"paper": {"beta_rec": math.inf}}, "dlp.paper.beta_rec is inf"),
        ("stage1", "dlp", {"class_path": "os.system"}, "unknown setting 'class_path'"),
        ("stage1", "dlp", "../../../etc/passwd", "expected names and values, found str"),
        ("stage1", "frames", {"size": 10**9}, "size must be"),
        ("stage1", "frames", {"crop": [0, 0, 10**12, 10**12]}, "crop outside the frame"),
        ("stage1", "frames", {"skip": 10**30}, "no frames|too short"),
        ("stage1", "frames", [], "expected names and values, found list"),
        ("stage1", "size", [10**9, 10**9], "size must be two whole numbers from 8 to 4096"),
        ("stage1", "size", "large", "size must be two whole numbers"),
        ("stage1", "size", [True, True], "size must be two whole numbers"),
        ("stage2", "dynamics", {"hidden": 10**9}, "larger than 4096"),
        ("stage2", "dynamics", {"hidden": 4096}, "the model expects"),
        ("stage2", "dynamics", {"layers": 4000}, "dynamics.layers is 4000, larger than 64"),
        ("stage2", "dynamics", {"history": 4000}, "the model expects"),
        ("stage2", "dynamics", {"conv": "os.system"}, "conv"),
        ("stage2", "dynamics", {"noise": "loud"}, "noise"),
        ("stage2", "dynamics", None, "expected names and values, found NoneType"),
        ("stage2", "stage1", ["..", ".."], "was trained on another stage 1"),
    ],
)
def test_a_hostile_config_is_refused_with_the_reason(
    own: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    group: str,
    values: Any,
    said: str,
) -> None:
    change(own.run, stage, group, values)
    before = tree(tmp_path)
    line = refused(capsys, "rollout", *own.on(), *LENGTHS, "--out", tmp_path / "out")
    assert any(part in line for part in said.split("|")), line
    assert len(line) < 800
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("group", "setting", "value", "most"),
    [
        ("dlp", "particles", "5000", 4096),
        ("dlp", "n_prior", "4097", 4096),
        ("dlp", "glimpse", "4104", 4096),
        ("dlp", "features", "4097", 4096),
        ("dlp", "width", "4104", 4096),
        ("dlp", "paper.neighbours", "4097", 4096),
        ("dlp", "max_scale", ".inf", None),
        ("dlp", "beta_kl", ".inf", None),
        ("dlp", "paper.beta_rec", ".inf", None),
        ("dynamics", "neighbours", "4097", 4096),
        ("dynamics", "history", "4097", 4096),
        ("dynamics", "hidden", "4100", 4096),
        ("dynamics", "edge", "4100", 4096),
        ("dynamics", "layers", "65", 64),
        ("dynamics", "horizon", "4097", 4096),
        ("dynamics", "chance", "4098", 4096),
        ("dynamics", "noise", ".inf", None),
        ("dynamics", "image", ".inf", None),
    ],
)
def test_what_could_not_be_loaded_is_not_trained(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    group: str,
    setting: str,
    value: str,
    most: int | None,
) -> None:
    option, run = f"--{group}.{setting}", tmp_path / "run"
    words = ["--data", "synthetic:billiards,size=32", "--run", run, f"{option}={value}"]
    if setting == "particles":  # else it is refused for being more than there are proposals
        words.append(f"--dlp.n_prior={value}")
    why = f"{value}, larger than {most}" if most else "inf, not finite"
    for command in ("train", {"dlp": "train-dlp", "dynamics": "train-dynamics"}[group]):
        said = refused(capsys, command, *words)
        assert said == f"particlecast: error: {option} is {why}: choose another value\n"
        assert not run.exists()


def test_a_weight_may_be_larger_than_any_size(own: Trained, tmp_path: Path) -> None:
    change(own.run, "stage1", "dlp", {"beta_kl": 5000.0, "centre": 10000})
    particlecast("rollout", *own.on(), *LENGTHS, "--limit", "1", "--out", tmp_path / "out")


def other_shapes(path: Path) -> None:
    """Every tensor one row longer."""
    save_file(
        {name: torch.cat([t[:1], t]) if t.ndim else t for name, t in load_file(path).items()}, path
    )


def other_types(path: Path) -> None:
    """Every tensor of whole numbers."""
    save_file({name: t.to(torch.int8) for name, t in load_file(path).items()}, path)


def not_numbers(path: Path) -> None:
    """Every tensor NaN."""
    save_file(
        {n: t * torch.nan if t.is_floating_point() else t for n, t in load_file(path).items()}, path
    )


def long_header(path: Path) -> None:
    """A header that claims the length of the whole address space."""
    path.write_bytes((2**63).to_bytes(8, "little") + path.read_bytes()[8:])


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (other_shapes, "the model expects"),
        (other_types, "is of torch.int8, the model's of torch.float32"),
        (not_numbers, "is not finite"),
        (long_header, "cannot be used"),
    ],
)
def test_weights_that_are_not_the_models_are_refused(
    own: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    damage(checkpoint(own.run, stage) / "model.safetensors")
    line = refused(capsys, "rollout", *own.on(), *LENGTHS, "--out", tmp_path / "out")
    assert said in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", 10**9),
        ("step", "6"),
        ("seed", -1),
        ("seed", 0.5),
        ("elapsed", math.nan),
        ("elapsed", -3.0),
        ("spent", math.inf),
        ("best", "high"),
        ("best_step", "../../x"),
        ("optimizer", []),
        ("optimizer", {0: {"step": torch.ones(()), "exp_avg": torch.ones(3)}}),
        ("optimizer", {0: {"step": torch.ones(()), "exp_avg": torch.ones(3), "exp_avg_sq": 3}}),
        ("optimizer", {10**6: {}}),
        ("optimizer", {"a": 1}),
        ("precision", 3),
    ],
)
def test_a_hostile_training_state_is_refused(
    own: Trained, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    path = checkpoint(own.run, "stage1") / "training_state.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, field: value}, path)
    before = tree(own.run)
    line = refused(capsys, "train-dlp", *own.on(), *STAGE1, "--max-steps", 8, "--resume")
    assert "cannot resume" in line
    assert field in line or "optimiser" in line
    assert tree(own.run) == before


def test_a_checkpoint_that_is_a_link_elsewhere_is_none(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoint(own.run, "stage1")
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    assert "no trained stage 1" in refused(
        capsys, "rollout", *own.on(), *LENGTHS, "--out", tmp_path / "out"
    )


def test_a_folder_that_is_only_called_like_a_checkpoint_is_passed_over(own: Trained) -> None:
    for name in ("step_x9", "step_9", "step_-0000001", "step_000000009x9"):
        (own.run / "stage1" / "checkpoints" / name).mkdir()
    shutil.rmtree(own.run / "stage2")
    particlecast("train-dlp", *own.on(), *STAGE1, "--max-steps", 7, "--resume")
    assert (own.run / "stage1" / "checkpoints" / "step_00000007").is_dir()


def test_particles_of_other_shapes_are_not_used(own: Trained) -> None:
    shutil.rmtree(own.run / "stage2")
    cache = own.run / "particles" / "train.safetensors"
    good = load_file(cache)
    with safe_open(cache, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: tensor[:-1].contiguous() for name, tensor in good.items()}, cache, metadata)
    particlecast("train-dynamics", *own.on(), *STAGE2, "--max-steps", 1)
    torch.testing.assert_close(load_file(cache), good, rtol=0, atol=0)


def test_a_cache_index_that_leads_out_of_the_output_folder_is_not_used(
    own: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTICLECAST_CACHE", str(tmp_path / "cache"))
    words = ["rollout", *own.on(), *LENGTHS, "--limit", "1", "--out"]
    particlecast(*words, tmp_path / "a" / "out")
    (index,) = tmp_path.glob("cache/*/index.json")
    found = json.loads(index.read_text())
    for video in found["videos"]:
        video["name"] = f"../{video['name']}"
    index.write_text(json.dumps(found))
    particlecast(*words, tmp_path / "b" / "out")
    assert os.listdir(tmp_path / "b") == ["out"]
    assert sorted(os.listdir(tmp_path / "a/out")) == sorted(os.listdir(tmp_path / "b/out"))
