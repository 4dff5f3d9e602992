"""Every preset and every layout of data, trained a little; the published ones laid out as such."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dlp.paper.vgg import CONVOLUTIONS
from pipelines.config import load_preset, presets
from tests.data.faces_files import celeba
from tests.data.files import moving_square, write_video
from tests.pipelines.commands import STAGE1, STAGE2, film_facts, particlecast

QUICK1 = ["--stage1.batch", "2", "--stage1.evaluate_every", "2", "--max-steps", "2"]
QUICK2 = ["--stage2.batch", "2", "--stage2.evaluate_every", "2", "--max-steps", "2"]
SMALL1, SMALL2 = [*STAGE1, *QUICK1], [*STAGE2, *QUICK2]


def traffic(folder: Path) -> Path:
    """The public set as one array: frames of 480x420, of which the crop takes the right part."""
    np.save(folder / "traffic.npy", moving_square(40, 420, 480))
    return folder / "traffic.npy"


def traffic_folder(folder: Path) -> Path:
    """The public set as a folder of frames."""
    (folder / "frames").mkdir()
    for index, frame in enumerate(moving_square(40, 420, 480)):
        Image.fromarray(frame).save(folder / "frames" / f"{index}.jpg")
    return folder / "frames"


def clevrer(folder: Path) -> Path:
    """The official folders: 480x320 H.264, frame 26 and every third one after it."""
    film = moving_square(26 + 3 * 20)
    for part, numbers in (("train", (0, 1)), ("validation", (10000, 11000))):
        for number in numbers:
            thousand = number // 1000 * 1000
            inner = f"video_{part}/video_{thousand:05d}-{thousand + 1000:05d}"
            write_video(folder / inner / f"video_{number:05d}.mp4", film)
    return folder


def hdf5(folder: Path) -> Path:
    """An array `imgs` [N, T, H, W, 3]."""
    with h5py.File(folder / "set.h5", "w") as file:
        file["imgs"] = np.stack([moving_square(14, 32, 48)] * 4)
    return folder / "set.h5"


def gifs(folder: Path) -> Path:
    """A folder of GIFs."""
    for name in "abcd":
        write_video(folder / f"{name}.gif", moving_square(14, 32, 48))
    return folder


def subfolders(folder: Path) -> Path:
    """A folder that says what is for training, validation and testing."""
    for name in ("train/a.mp4", "train/b.avi", "val/c.mkv", "test/d.webm"):
        write_video(folder / name, moving_square(14, 32, 48))
    return folder


def source(preset: str, folder: Path) -> str:
    """A small source that fits a preset."""
    preset = {"paper-shapes": "shapes-world"}.get(preset, preset).removeprefix("paper-")
    if preset.endswith("-world"):
        return f"synthetic:{preset.removesuffix('-world')},videos=4,frames=14"
    layouts: dict[str, Callable[[Path], Path]]
    layouts = {"traffic": traffic, "clevrer": clevrer, "video": subfolders, "celeba": celeba}
    return str(layouts[preset](folder))


def weights(preset: str, folder: Path) -> list[str]:
    """The file of VGG-16's weights that a preset asks for, drawn by luck."""
    if load_preset(preset).get("dlp", {}).get("paper", {}).get("rec") != "vgg":
        return []
    made = {}
    for layer, (inputs, outputs) in CONVOLUTIONS.items():
        made[f"features.{layer}.weight"] = torch.randn(outputs, inputs, 3, 3) / inputs**0.5 / 3
        made[f"features.{layer}.bias"] = torch.zeros(outputs)
    save_file(made, folder / "vgg16.safetensors")
    return ["--dlp.paper.vgg_weights", str(folder / "vgg16.safetensors")]


@pytest.mark.parametrize("preset", presets())
def test_every_preset_trains_both_stages(preset: str, tmp_path: Path) -> None:
    where = ["--data", source(preset, tmp_path), "--run", str(tmp_path / "run")]
    particlecast("train-dlp", *where, "--preset", preset, *QUICK1, *weights(preset, tmp_path))
    particlecast("train-dynamics", *where, "--preset", preset, *QUICK2)
    stage1 = tmp_path / "run" / "stage1" / "checkpoints" / "last" / "config.json"
    assert json.loads(stage1.read_text())["size"] == {
        "traffic": [128, 128],
        "clevrer": [128, 128],
        "celeba": [128, 128],
        "video": [32, 48],
    }.get(preset.removeprefix("paper-"), [64, 64])
    if preset.removeprefix("paper-") in ("traffic", "clevrer"):
        lengths = ["--context", "2", "--horizon", "2", "--out", str(tmp_path / "out")]
        particlecast("rollout", *where, *lengths)
        particlecast("evaluate", *where, *lengths)
        # Traffic: windows of the last tenth, 4 of 40 frames. CLEVRER: the test video alone.
        known = {"traffic": ("traffic_00000", 10), "clevrer": ("video_11000", 25 / 3)}
        name, rate = known[preset.removeprefix("paper-")]
        films = list((tmp_path / "out" / "films").iterdir())
        assert [film.stem for film in films] == [name]
        assert film_facts(films[0]) == ("h264", "yuv420p", 4, pytest.approx(rate, rel=0.01))


@pytest.mark.parametrize("layout", [traffic_folder, hdf5, gifs, subfolders])
def test_every_layout_trains_both_stages(layout: Callable[[Path], Path], tmp_path: Path) -> None:
    where = ["--data", str(layout(tmp_path)), "--run", str(tmp_path / "run")]
    preset = ["--preset", "traffic"] if layout is traffic_folder else []
    particlecast("train-dlp", *where, *preset, *SMALL1)
    particlecast("train-dynamics", *where, *SMALL2)
    for stage in ("stage1", "stage2"):
        folder = tmp_path / "run" / stage / "checkpoints" / "step_00000002"
        assert (folder / "model.safetensors").is_file()
