"""The one value that travels through everything: a set of deep latent particles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

LIVE = 0.3
"""A particle counts as in use if its transparency is above this; the decoder draws every one by its
transparency, whatever this is."""


@dataclass(frozen=True)
class Particles:
    """K foreground particles of each frame (DLP, section 4; scale and depth: DLPv2).

    Coordinates are (x, y) everywhere, in [-1, 1] from the frame's left (top) edge to its
    right (bottom) edge. `...` is any number of leading axes, such as (b,) or (b, t).

    Args:
        position: [..., k, 2] mean of z_p.
        log_variance: [..., k, 2] log sigma^2 of z_p, in the same units as the position.
        appearance: [..., k, d] mean of z_a.
        transparency: [..., k] z_t in [0, 1]; near 1 the particle is in use.
        scale: [..., k] z_s, the patch's side over the glimpse's side, positive.
        depth: [..., k] z_d, larger is nearer: it covers what has less.
    """

    position: Tensor
    log_variance: Tensor
    appearance: Tensor
    transparency: Tensor
    scale: Tensor
    depth: Tensor

    def apply(self, function: Callable[[Tensor], Tensor]) -> Particles:
        """The same function over every field."""
        return Particles(**{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def __getitem__(self, index: Any) -> Particles:
        """Index the leading axes."""
        return self.apply(lambda tensor: tensor[index])

    @property
    def count(self) -> int:
        """K."""
        return self.position.shape[-2]


def to_pixels(position: Tensor, height: int, width: int) -> Tensor:
    """[-1, 1] coordinates to pixels; pixel (i, j)'s centre is x = j, y = i.

    Args:
        position: [..., 2], (x, y) in [-1, 1].

    Returns:
        [..., 2], (x, y) in pixels, in [-0.5, width - 0.5] and [-0.5, height - 0.5].
    """
    side = position.new_tensor([width, height])
    return (position + 1) * side / 2 - 0.5


def from_pixels(position: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_pixels`."""
    side = position.new_tensor([width, height])
    return (position + 0.5) * 2 / side - 1


def concatenate(sets: list[Particles], dim: int = 0) -> Particles:
    """Join sets along a leading axis."""
    return Particles(
        **{f.name: torch.cat([getattr(s, f.name) for s in sets], dim) for f in fields(Particles)}
    )
