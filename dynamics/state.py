"""What the dynamics know of a set of particles."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class State:
    """What the dynamics know of b sets of n linked particles.

    Row i of each set is one and the same particle at every frame.

    Args:
        position: [b, h, n, 2] of the last h frames, oldest first, (x, y) in [-1, 1].
        seen: [b, h, n] 1.0 where the encoder found the particle in that frame, else 0.0.
        code: [b, n, d + 3] appearance, scale's logarithm, depth and transparency's logit.
        alive: [b, n] bool; the other rows are empty.
    """

    position: Tensor
    seen: Tensor
    code: Tensor
    alive: Tensor
