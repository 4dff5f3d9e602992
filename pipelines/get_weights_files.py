"""The weights of LPIPS out of files that the user has: a trunk's state dict, and its heads'.

particlecast get-weights --trunk alexnet.pth --heads alex.pth
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from data.errors import UserError
from dlp.paper.vgg import read_state_dict
from pipelines.lpips import TRUNKS, checked, shapes


def from_files(trunk: Path, heads: Path) -> tuple[str, dict[str, Tensor]]:
    """Which trunk it is, told by its shapes, and the tensors of `shapes` of it.

    Args:
        trunk: torchvision's state dict of alexnet or vgg16 (features.N.weight and .bias).
        heads: the lpips package's or torchmetrics' alex.pth or vgg.pth (lin0.model.1.weight ...).
            Both are .safetensors, or .pth of which nothing but tensors is read.

    Raises:
        UserError: a file is missing, cannot be read, or holds other tensors.
    """
    hint = "give torchvision's alexnet or vgg16 state dict (.safetensors or .pth)"
    try:
        found = read_state_dict(trunk)
        kind = _kind(found)
        wanted = shapes(kind)
        features = checked(found, {n: s for n, s in wanted.items() if n.startswith("features.")})
    except ValueError as error:
        raise UserError(f"--trunk: {trunk}: {error}: {hint}") from error
    hint = f"give the heads of {kind}, as the lpips package has them ({kind}.pth)"
    try:
        found = read_state_dict(heads)
        lines = checked(found, {n: s for n, s in wanted.items() if n.startswith("lin")})
    except ValueError as error:
        raise UserError(f"--heads: {heads}: {error}: {hint}") from error
    return kind, features | lines


def _kind(found: dict[str, object]) -> str:
    """The trunk whose first convolution has this shape.

    Raises:
        ValueError: none has.
    """
    name = f"features.{TRUNKS['alex'][0].index}.weight"
    first = found.get(name)
    for kind, layers in TRUNKS.items():
        if isinstance(first, Tensor) and tuple(first.shape) == layers[0].shape:
            return kind
    said = f"of shape {tuple(first.shape)}" if isinstance(first, Tensor) else "missing"
    known = " or ".join(f"{layers[0].shape} ({kind})" for kind, layers in TRUNKS.items())
    raise ValueError(f"tensor {name} is {said}, expected shape {known}")
