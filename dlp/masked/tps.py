"""Thin-plate splines that bend pictures at random, a batch at a time (Bookstein, 1989)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from dlp.paper.background import centres

POINTS = 5
"""Control points along each side."""
TINY = 1e-9


@dataclass(frozen=True)
class Warp:
    """g(p) = A [1, p] + sum_i w_i U(|p - c_i|), U(r) = r^2 log r^2: where a bent picture shows at p
    what the picture has at g(p).

    Args:
        control: [m, 2] c, (x, y) in [-1, 1].
        weight: [b, m + 3, 2] of U at each control point, of 1, of x and of y.
    """

    control: Tensor
    weight: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Points of the bent pictures to those of the pictures, [b, n, 2] both."""
        return _basis(points, self.control) @ self.weight

    def image(self, image: Tensor) -> Tensor:
        """The bent pictures of `image` [b, c, h, w]; what lies outside is the nearest pixel."""
        h, w = image.shape[-2:]
        y, x = torch.meshgrid(centres(h, image), centres(w, image), indexing="ij")
        points = torch.stack([x, y], -1).flatten(0, 1)
        grid = rearrange(self(points[None]), "b (h w) xy -> b h w xy", h=h)
        return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _basis(points: Tensor, control: Tensor) -> Tensor:
    """[..., n, m + 3] of points [..., n, 2]."""
    square = (points[..., :, None, :] - control).square().sum(-1)
    radial = square * (square + TINY).log()
    return torch.cat([radial, torch.ones_like(points[..., :1]), points], -1)


def interpolate(control: Tensor, target: Tensor) -> Warp:
    """The smoothest warp that takes control points [m, 2] to targets [b, m, 2]."""
    m = len(control)
    basis = _basis(control, control)  # (m, m + 3)
    system = F.pad(basis, (0, 0, 0, 3))
    system[m:, :m] = basis[:, m:].T
    return Warp(control, torch.linalg.solve(system, F.pad(target, (0, 0, 0, 3))))


def random_warp(
    like: Tensor,
    bend: float = 0.05,
    turn: float = 10.0,
    grow: float = 0.1,
    shift: float = 0.1,
) -> Warp:
    """A random one for each picture of a batch.

    Args:
        like: [b, ...]; gives the batch, the device and the type.
        bend: standard deviation of a control point's displacement, in [-1, 1] coordinates.
        turn: of the rotation, degrees.
        grow: of the logarithm of the scale.
        shift: of the translation, in [-1, 1] coordinates.
    """
    b = len(like)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, device=like.device, dtype=like.dtype)

    line = torch.linspace(-1, 1, POINTS, device=like.device, dtype=like.dtype)
    control = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).flatten(0, 1)
    angle = normal(b) * turn * math.pi / 180
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    scale = (grow * normal(b, 1, 1)).exp()
    target = scale * control @ rotation + shift * normal(b, 1, 2)
    return interpolate(control, target + bend * normal(b, len(control), 2))


def equivariance(warp: Warp, position: Tensor, moved: Tensor) -> Tensor:
    """How far landmarks of bent pictures are from where they should be (Zhang et al., section 3.1).

    Args:
        warp: how the pictures were bent.
        position: [b, k, 2] of the pictures.
        moved: [b, k, 2] of the bent pictures.

    Returns:
        Scalar: squared distance in sides of the frame, summed over landmarks, mean over pictures.
    """
    return ((warp(moved) - position) ** 2).sum((1, 2)).mean() / 4
