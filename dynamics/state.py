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
        usual: [b, n, d + 3] the mean of the sightings' codes: what one frame shows is noisy.
        alive: [b, n] bool; the other rows are empty.
    """

    position: Tensor
    seen: Tensor
    code: Tensor
    usual: Tensor
    alive: Tensor

    def sets(self, index: Tensor | slice) -> State:
        """Some of the b sets, or a set several times."""
        return State(*(getattr(self, field.name)[index] for field in fields(self)))


def mean_sighting(code: Tensor, seen: Tensor) -> Tensor:
    """What a history's sightings agree on.

    Args:
        code: [b, h, n, f].
        seen: [b, h, n] bool.

    Returns:
        [b, n, f]; 0 for what was not seen.
    """
    weight = seen[..., None].to(code)
    return (code * weight).sum(1) / weight.sum(1).clamp(min=1)
