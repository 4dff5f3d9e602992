"""What the dynamics know of a set of particles."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class State:
    """What the dynamics know of b sets of n linked particles.

    Row i of each set is one and the same particle at every frame.

    Args:
        position: [b, h, n, 2] of the last h frames, oldest first, (x, y) in [-1, 1].
        seen: [b, h, n] 1.0 where the encoder found the particle in that frame, or it was foreseen
            there, else 0.0.
        code: [b, n, d + 3] appearance, scale's logarithm, depth and transparency's logit, as last
            seen or foreseen.
        alive: [b, n] bool; the other rows are empty.
    """

    position: Tensor
    seen: Tensor
    code: Tensor
    alive: Tensor

    def sets(self, index: Tensor | slice) -> State:
        """Some of the b sets, or a set several times."""
        return State(*(getattr(self, field.name)[index] for field in fields(self)))
