"""What stays in full precision while training runs in mixed."""

from __future__ import annotations

import torch
from torch import Tensor


def exact(tensor: Tensor) -> torch.autocast:
    """A context in which no matrix product on the tensor's device is cast to 16 bits.

    Layers may be; places, and what is drawn where, may not: of a position in [-1, 1],
    bfloat16 keeps a 256th, a quarter of a pixel of 128.
    """
    return torch.autocast(tensor.device.type, enabled=False)
