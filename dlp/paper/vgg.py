"""The distance of VGG-16's features, with weights from a file that the user has."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = {
    0: (3, 64),
    2: (64, 64),
    5: (64, 128),
    7: (128, 128),
    10: (128, 256),
    12: (256, 256),
    14: (256, 256),
    17: (256, 512),
    19: (512, 512),
    21: (512, 512),
    24: (512, 512),
    26: (512, 512),
    28: (512, 512),
}
"""Layers of torchvision's `vgg16().features` that are 3x3 convolutions: inputs, outputs."""
POOLS = (4, 9, 16, 23, 30)
COMPARED = (2, 7, 12, 21, 30)
"""The paper's layers. The ReLU after 2, 7, 12 and 21 works in place in torchvision, so what the
paper's code compares is what it left; so is it here."""
SMALLEST = 32
"""Side in pixels that five poolings leave something of."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, on which the network was trained."""


class VGGDistance(nn.Module):
    """Squared distance of the features of two images, summed over five layers.

    The weights are no part of a checkpoint: they are constant, large, and the user's own file.

    Args:
        weights: `features.N.weight` and `features.N.bias` for each N of CONVOLUTIONS.

    Shapes:
        two images [b, 3, h, w] in [0, 1] -> [b]; no gradient reaches the second one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "_"), tensor.float(), persistent=False)

    def features(self, image: Tensor) -> list[Tensor]:
        """What the compared layers say."""
        x, found = (image - self.mean) / self.std, []
        if min(x.shape[-2:]) < SMALLEST:
            x = F.interpolate(x, size=(SMALLEST, SMALLEST), mode="bilinear", align_corners=False)
        for layer in range(COMPARED[-1] + 1):
            if layer in CONVOLUTIONS:
                weight = getattr(self, f"features_{layer}_weight")
                bias = getattr(self, f"features_{layer}_bias")
                x = F.conv2d(x, weight, bias, padding=1).relu()
            elif layer in POOLS:
                x = F.max_pool2d(x, 2)
            if layer in COMPARED:
                found.append(x)
        return found

    def forward(self, image: Tensor, truth: Tensor) -> Tensor:
        """The distance of each pair."""
        with torch.no_grad():
            aims = self.features(truth)
        pairs = zip(self.features(image), aims, strict=True)
        return torch.stack([(x - y).square().sum((1, 2, 3)) for x, y in pairs]).sum(0)


def load_vgg(path: str | None) -> VGGDistance:
    """VGG-16 from torchvision's state dict, as .safetensors or as .pth (weights only, no code).

    Raises:
        ValueError: no file is named, it cannot be read, or it is not VGG-16's.
    """
    if path is None:
        raise ValueError(
            "dlp.paper.rec is vgg, which needs the weights of VGG-16: name the file of "
            "torchvision's vgg16 state dict with --dlp.paper.vgg_weights FILE, or train with "
            "--dlp.paper.rec mse"
        )
    try:
        return VGGDistance(_checked(read_state_dict(Path(path))))
    except ValueError as error:
        hint = "give torchvision's vgg16 state dict (.safetensors or .pth)"
        raise ValueError(f"dlp.paper.vgg_weights: {path}: {error}: {hint}") from error


def read_state_dict(file: Path) -> dict[str, object]:
    """A stranger's state dict, as .safetensors or as .pth (weights only, no code).

    Raises:
        ValueError: what is wrong, in one line that does not name the file.
    """
    try:
        if file.suffix == ".safetensors":
            found: object = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or type(error).__name__}") from error
    except Exception as error:  # torch raises nearly any type for a file that is not its own
        kind = "a .safetensors file" if file.suffix == ".safetensors" else "a .pth of tensors alone"
        raise ValueError(f"is not {kind}, or damaged") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected a state dict, found {type(found).__name__}")
    return found


def _checked(found: dict[str, object]) -> dict[str, Tensor]:
    """The convolutions' weights, the rest left out."""
    weights = {}
    for layer, (inputs, outputs) in CONVOLUTIONS.items():
        for kind, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,))):
            name = f"features.{layer}.{kind}"
            tensor = found.get(name)
            if not isinstance(tensor, Tensor):
                raise ValueError(f"it has no tensor {name}")
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
            weights[name] = tensor
    return weights
