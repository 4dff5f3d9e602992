"""Crop glimpses out of images and splat patches into a canvas, at K * patch^2 cost."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from dlp.arithmetic import exact


def crop(image: Tensor, position: Tensor, scale: Tensor, side: int) -> Tensor:
    """Differentiable crops of side `side * scale` pixels (spatial transformer; DLP, section 4.1).

    Args:
        image: [b, c, h, w].
        position: [b, k, 2] centres, (x, y) in [-1, 1].
        scale: [b, k] side of the crop over `side`.
        side: pixels of the glimpse, both ways.

    Returns:
        [b, k, c, side, side]; what lies outside the image is the nearest edge pixel.
    """
    b, k = scale.shape
    h, w = image.shape[-2:]
    steps = (torch.arange(side, device=image.device, dtype=image.dtype) + 0.5) * 2 / side - 1
    half = scale[..., None] * side / 2  # (b, k, 1), pixels
    x = position[..., 0:1] + steps * half * 2 / w  # (b, k, side)
    y = position[..., 1:2] + steps * half * 2 / h
    grid = torch.stack(
        [x[:, :, None, :].expand(b, k, side, side), y[..., None].expand(b, k, side, side)], -1
    )
    glimpses = F.grid_sample(
        image,
        rearrange(grid, "b k i j xy -> b (k i) j xy"),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return rearrange(glimpses, "b c (k i) j -> b k c i j", k=k)


def inside_frame(position: Tensor, scale: Tensor, side: int, size: tuple[int, int]) -> Tensor:
    """How much of each cell of a patch lies on the frame.

    Args:
        position: [b, k, 2] centres, (x, y) in [-1, 1].
        scale: [b, k] side of the splatted patch in pixels, over `side`.
        side: cells of the patch, both ways.
        size: (h, w) of the frame.

    Returns:
        [b, k, side, side] in [0, 1].
    """
    limit = position.new_tensor([size[1], size[0]])
    steps = torch.arange(side, device=position.device) - (side - 1) / 2
    pixels = ((position + 1) * limit / 2)[..., None] + steps * scale[..., None, None]
    inside = (torch.minimum(pixels, limit[:, None] - pixels) + 0.5).clamp(0, 1)  # (b, k, 2, side)
    return inside[:, :, 1, :, None] * inside[:, :, 0, None, :]


def window_side(side: int, max_scale: float) -> int:
    """The odd side in pixels of the canvas window that a splatted patch can touch.

    Bilinear interpolation reaches half a cell beyond the patch; the window's middle is up to half a
    pixel off its centre.
    """
    return int((side + 1) * max_scale) // 2 * 2 + 3


def splat(
    patches: Tensor, position: Tensor, scale: Tensor, size: tuple[int, int], window: int
) -> tuple[Tensor, Tensor]:
    """Sample each patch on the pixels of the canvas window round its centre.

    Bilinear interpolation is separable, so a window is A_y patch A_x^T, with two small matrices a
    particle: nothing of the canvas's size is made.

    Args:
        patches: [b, k, c, p, p].
        position: [b, k, 2] centres, (x, y) in [-1, 1].
        scale: [b, k] side of the splatted patch in pixels, over p.
        size: (h, w) of the canvas.
        window: odd side of the window, from `window_side`.

    Returns:
        values [b, k, c, window, window], 0 outside the patch, and index [b, k, window, window]
        int64 into the flat canvas, h * w for what falls off it.
    """
    h, w = size
    p = patches.shape[-1]
    side = position.new_tensor([w, h])
    centre = (position + 1) * side / 2 - 0.5  # (b, k, 2), pixels
    offsets = torch.arange(window, device=patches.device) - window // 2
    pixels = centre.detach().round().long()[..., None] + offsets  # (b, k, 2, window)
    local = (pixels - centre[..., None]) / scale[..., None, None] + (p - 1) / 2
    cells = torch.arange(p, device=patches.device, dtype=patches.dtype)
    weights = F.relu(1 - (local[..., None] - cells).abs())  # (b, k, 2, window, p)
    with exact(patches):
        values = weights[:, :, None, 1] @ patches @ weights[:, :, None, 0].transpose(-1, -2)
    x, y = pixels[:, :, 0, None, :], pixels[:, :, 1, :, None]
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    return values, torch.where(inside, y * w + x, h * w)


def accumulate(values: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
    """Add windows up where they fall.

    Args:
        values: [b, k, c, s, s].
        index: [b, k, s, s] from `splat`.
        size: (h, w) of the canvas.

    Returns:
        [b, c, h, w].
    """
    b, _, c, _, _ = values.shape
    h, w = size
    canvas = values.new_zeros(b * (h * w + 1), c)
    start = torch.arange(b, device=index.device)[:, None, None, None] * (h * w + 1)
    flat = rearrange(values, "b k c i j -> (b k i j) c")
    canvas = canvas.index_add(0, (index + start).flatten(), flat)
    canvas = rearrange(canvas, "(b n) c -> b c n", b=b)[..., :-1]
    return rearrange(canvas, "b c (h w) -> b c h w", h=h)
