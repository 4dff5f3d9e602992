"""One object, one particle: neighbours that explain the same thing suppress each other."""

from __future__ import annotations

import torch
from torch import Tensor


def suppress(score: Tensor, position: Tensor, radius: Tensor | float, side: Tensor) -> Tensor:
    """What is left of each score once its stronger neighbours have explained theirs.

    A differentiable non-maximum suppression: score_i times prod_j (1 - left_j near_ij) over the
    j that score higher, where near_ij falls from 1 to 0 round `radius`. Two rounds, since one
    who is suppressed itself must not suppress its other neighbours. No gradient reaches the
    stronger one: it is not to yield.

    Args:
        score: [b, n] in [0, 1].
        position: [b, n, 2], (x, y) in [-1, 1].
        radius: pixels, a number or [b, n, n].
        side: [2], (w, h) in pixels.

    Returns:
        [b, n] in [0, 1].
    """
    with torch.no_grad():
        delta = (position[:, :, None] - position[:, None]) * side / 2  # (b, n, n, 2), pixels
        square = (delta**2).sum(-1)
        near = (-((square / radius**2) ** 2)).exp()
        stronger = (score[:, None, :] > score[:, :, None]) * near  # (b, n, n)
        kept = score
        for _ in range(2):
            share = (1 - stronger * kept[:, None, :]).prod(-1)
            kept = score * share
    return score * share
