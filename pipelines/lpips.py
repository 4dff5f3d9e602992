"""LPIPS, the perceptual distance of two images (Zhang et al., CVPR 2018; version 0.1, linear)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from data.cache import default_root
from data.errors import UserError
from pipelines.frames import to_tensor

CHUNK = 16
SMALLEST = 31
"""Side in pixels that AlexNet's poolings leave something of."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the input, which LPIPS takes from -1 to 1."""
Trunk = Literal["alex", "vgg"]


@dataclass(frozen=True)
class Layer:
    """A convolution of a trunk, and what goes before it.

    Args:
        index: of torchvision's `features`.
        shape: of its weight.
        stride, padding: its own.
        pool: side of a max-pooling before it, stride 2; 0: none.
        compared: whether LPIPS looks at what it says.
    """

    index: int
    shape: tuple[int, int, int, int]
    stride: int = 1
    padding: int = 1
    pool: int = 0
    compared: bool = True


def _vgg() -> tuple[Layer, ...]:
    layers, channels = [], 3
    rounds = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    for indices, width in zip(rounds, (64, 128, 256, 512, 512), strict=True):
        for index in indices:
            pool = 2 if index == indices[0] and index else 0
            last = index == indices[-1]
            layers.append(Layer(index, (width, channels, 3, 3), pool=pool, compared=last))
            channels = width
    return tuple(layers)


TRUNKS: dict[str, tuple[Layer, ...]] = {
    "alex": (
        Layer(0, (64, 3, 11, 11), stride=4, padding=2),
        Layer(3, (192, 64, 5, 5), padding=2, pool=3),
        Layer(6, (384, 192, 3, 3), pool=3),
        Layer(8, (256, 384, 3, 3)),
        Layer(10, (256, 256, 3, 3)),
    ),
    "vgg": _vgg(),
}
"""The convolutions of AlexNet and VGG-16; each is followed by a ReLU."""
FILES = {"alex": "alexnet.safetensors", "vgg": "vgg16.safetensors"}
"""What `particlecast get-weights` leaves in `weights_folder()`."""


def weights_folder() -> Path:
    """Where weights that are not ours lie."""
    return default_root() / "weights"


def shapes(trunk: str) -> dict[str, tuple[int, ...]]:
    """Every tensor of a file of weights: torchvision's names, and the official heads' own."""
    named: dict[str, tuple[int, ...]] = {}
    heads = 0
    for layer in TRUNKS[trunk]:
        named[f"features.{layer.index}.weight"] = layer.shape
        named[f"features.{layer.index}.bias"] = layer.shape[:1]
        if layer.compared:
            named[f"lin{heads}.model.1.weight"] = (1, layer.shape[0], 1, 1)
            heads += 1
    return named


def checked(weights: Mapping[str, object], wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors that are wanted, as float32; others are not looked at.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    found = {}
    for name, shape in wanted.items():
        tensor = weights.get(name)
        if not isinstance(tensor, Tensor):
            raise ValueError(f"tensor {name} is missing, expected shape {shape}")
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"tensor {name} is of shape {tuple(tensor.shape)}, expected shape {shape}"
            )
        found[name] = tensor.float()
    return found


class LPIPS(nn.Module):
    """The distance of pairs of images.

    Args:
        trunk: which network looks at them.
        weights: tensors of `shapes(trunk)`; others are not looked at.

    Shapes:
        two images [b, 3, h, w] in [0, 1] -> [b], 0 for equal ones.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: str, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.layers = TRUNKS[trunk]
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)
        for name, tensor in checked(weights, shapes(trunk)).items():
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)

    def features(self, image: Tensor) -> list[Tensor]:
        """What the compared layers say, of length 1 at each pixel."""
        x, found = (2 * image - 1 - self.shift) / self.scale, []
        for layer in self.layers:
            if layer.pool:
                x = F.max_pool2d(x, layer.pool, 2)
            weight = getattr(self, f"features_{layer.index}_weight")
            bias = getattr(self, f"features_{layer.index}_bias")
            x = F.conv2d(x, weight, bias, layer.stride, layer.padding).relu()
            if layer.compared:
                length = x.square().sum(1, keepdim=True).sqrt()
                found.append(x / (length + 1e-10))
        return found

    def forward(self, image: Tensor, truth: Tensor) -> Tensor:
        """The distance of each pair."""
        total = image.new_zeros(len(image))
        for i, (x, y) in enumerate(zip(self.features(image), self.features(truth), strict=True)):
            head = getattr(self, f"lin{i}_model_1_weight")
            total = total + F.conv2d((x - y).square(), head).mean((1, 2, 3))
        return total


def load_lpips(trunk: Trunk, folder: Path | None = None) -> LPIPS | None:
    """LPIPS with the weights that `particlecast get-weights` left; None if it was not run.

    Raises:
        UserError: the file is not what it should be.
    """
    path = (folder or weights_folder()) / FILES[trunk]
    if not path.exists():
        return None
    try:
        return LPIPS(trunk, load_file(path)).eval()
    except Exception as error:  # safetensors raises several types for a file that is not its own
        text = " ".join(str(error).split())
        raise UserError(f"{path}: {text}: run particlecast get-weights again") from error


@torch.no_grad()
def lpips(model: LPIPS, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The distance of each frame.

    Args:
        prediction, truth: [t, h, w, 3] uint8, h and w at least SMALLEST.

    Returns:
        [t].
    """
    parts = [
        model(to_tensor(prediction[i : i + CHUNK]), to_tensor(truth[i : i + CHUNK]))
        for i in range(0, len(truth), CHUNK)
    ]
    return torch.cat(parts).numpy()
