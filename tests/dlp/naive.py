"""The full-canvas formulation that the fast paths must equal: one canvas a particle."""

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from dlp.particles import Particles


def paste(patches: Tensor, position: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
    """Each patch [b, k, c, p, p] on a canvas of its own, by an affine grid: [b, k, c, h, w]."""
    b, k, _, p, _ = patches.shape
    h, w = size
    theta = patches.new_zeros(b, k, 2, 3)
    side = patches.new_tensor([w, h])
    theta[..., 0, 0] = w / (p * scale)
    theta[..., 1, 1] = h / (p * scale)
    shift = -position * side / (p * scale[..., None])
    theta = torch.cat([theta[..., :2], shift[..., None]], -1)
    grid = F.affine_grid(
        rearrange(theta, "b k i j -> (b k) i j"), [b * k, 1, h, w], align_corners=False
    )
    flat = rearrange(patches, "b k c i j -> (b k) c i j")
    canvas = F.grid_sample(flat, grid, padding_mode="zeros", align_corners=False)
    return rearrange(canvas, "(b k) c h w -> b k c h w", k=k)


def composite(
    rgb: Tensor, alpha: Tensor, particles: Particles, background: Tensor, scale: Tensor
) -> Tensor:
    """The frame [b, 3, h, w] from full canvases."""
    size = (background.shape[-2], background.shape[-1])
    a = paste(alpha, particles.position, scale, size)
    coloured = paste(alpha * rgb, particles.position, scale, size)
    weight = particles.depth.exp()[..., None, None, None]
    mask = 1 - (1 - a.clamp(max=0.999)).prod(1)
    colour = (coloured * weight).sum(1) / ((a * weight).sum(1) + 1e-5)
    return mask * colour + (1 - mask) * background
