"""The full-canvas formulation that the fast paths must equal and are measured against.

Public implementations crop and paste so: a whole canvas for each particle, most of it masked
out, at O(K H W) time and memory for a K * patch^2 job. Only tests, benchmarks and measurements of
single masks use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from dlp import decoder, encoder, model
from dlp.particles import Particles


def crop(image: Tensor, position: Tensor, scale: Tensor, side: int) -> Tensor:
    """What `dlp.glimpse.crop` gives, from a masked copy of the image for each particle."""
    b, k = scale.shape
    size = image.new_tensor([image.shape[-1], image.shape[-2]])
    reach = scale[..., None] * side / size  # (b, k, 2), half a glimpse
    canvas = image[:, None] * _window(position.detach(), reach.detach(), size)  # (b, k, c, h, w)
    theta = torch.cat([torch.diag_embed(reach), position[..., None]], -1)  # (b, k, 2, 3)
    grid = F.affine_grid(
        rearrange(theta, "b k i j -> (b k) i j"), [b * k, 1, side, side], align_corners=False
    )
    glimpses = F.grid_sample(
        rearrange(canvas, "b k c h w -> (b k) c h w"),
        grid,
        padding_mode="border",
        align_corners=False,
    )
    return rearrange(glimpses, "(b k) c i j -> b k c i j", k=k)


def _window(position: Tensor, reach: Tensor, size: Tensor) -> Tensor:
    """1 on the pixels that a glimpse's samples can touch, [b, k, 1, h, w].

    Args:
        position, reach: [b, k, 2] centre and half side, in [-1, 1] coordinates.
        size: (w, h).
    """
    edge = 1 - 1 / size
    low = (position - reach).clamp(-edge, edge) - 2 / size  # bilinear: one pixel further
    high = (position + reach).clamp(-edge, edge) + 2 / size
    x, y = (
        ((torch.arange(int(n), device=size.device) + 0.5) * 2 / n - 1)[None, None] for n in size
    )
    columns = (x >= low[..., :1]) & (x <= high[..., :1])  # (b, k, w)
    rows = (y >= low[..., 1:]) & (y <= high[..., 1:])
    return (rows[..., None] & columns[:, :, None])[:, :, None].to(position.dtype)


def paste(patches: Tensor, position: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
    """Each patch [b, k, c, p, p] on a canvas of its own, by an affine grid: [b, k, c, h, w]."""
    b, k, _, p, _ = patches.shape
    h, w = size
    ratio = patches.new_tensor([w, h]) / (p * scale[..., None])  # (b, k, 2)
    theta = torch.cat([torch.diag_embed(ratio), (-position * ratio)[..., None]], -1)
    grid = F.affine_grid(
        rearrange(theta, "b k i j -> (b k) i j"), [b * k, 1, h, w], align_corners=False
    )
    flat = rearrange(patches, "b k c i j -> (b k) c i j")
    canvas = F.grid_sample(flat, grid, padding_mode="zeros", align_corners=False)
    return rearrange(canvas, "(b k) c h w -> b k c h w", k=k)


def composite(
    rgb: Tensor,
    alpha: Tensor,
    particles: Particles,
    background: Tensor,
    scale: Tensor,
    max_scale: float,
    clear: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `dlp.decoder.composite` gives, from two full canvases a particle."""
    size = (background.shape[-2], background.shape[-1])
    a = paste(alpha, particles.position, scale, size)  # (b, k, 1, h, w)
    coloured = paste(alpha * rgb, particles.position, scale, size)  # (b, k, 3, h, w)
    weight = particles.depth.exp()[..., None, None, None]
    mask = clear * (1 - (1 - a.clamp(max=0.999)).prod(1))
    colour = (coloured * weight).sum(1) / ((a * weight).sum(1) + 1e-5)
    foreground = mask * colour
    return foreground + (1 - mask) * background, foreground, mask


@contextmanager
def full_canvas() -> Iterator[None]:
    """While entered, models crop and composite by the functions of this file."""
    swaps = [(encoder, "crop", crop), (model, "crop", crop), (decoder, "composite", composite)]
    fast = [getattr(module, name) for module, name, _ in swaps]
    try:
        for module, name, slow in swaps:
            setattr(module, name, slow)
        yield
    finally:
        for (module, name, _), function in zip(swaps, fast, strict=True):
            setattr(module, name, function)
