"""The background particle: what lies outside the glimpses, and its picture (DLP, section 4.3)."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from dlp.config import DLPConfig
from dlp.paper.pointnet import PointNet
from dlp.particles import Particles
from dlp.prior import block

CELL = 8
"""Pixels of a cell of the coarsest feature map: frames are multiples of it."""


def centres(count: int, like: Tensor) -> Tensor:
    """The centres of `count` cells that fill [-1, 1]."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * 2 / count - 1


def outside(position: Tensor, glimpse: int, size: tuple[int, int]) -> Tensor:
    """1 where no glimpse lies, [b, 1, h, w].

    The squares are separable, so all are drawn by one matrix product, not by a canvas for each.

    Args:
        position: [b, k, 2] centres, (x, y) in [-1, 1].
        glimpse: side in pixels.
        size: (h, w).
    """
    h, w = size
    columns = (centres(w, position) - position[..., :1]).abs() < glimpse / w  # (b, k, w)
    rows = (centres(h, position) - position[..., 1:]).abs() < glimpse / h
    covered = torch.einsum("bkh,bkw->bhw", rows.to(position.dtype), columns.to(position.dtype))
    return (covered == 0).to(position.dtype)[:, None]


def gaussian_maps(position: Tensor, weight: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """sum_k weight_k exp(-|p - z_k|^2 / (2 sigma^2)) at each cell's centre p.

    A sum, so that the order in which particles are listed does not matter.

    Args:
        position: [b, k, 2], (x, y) in [-1, 1].
        weight: [b, k, c].
        size: (h, w) cells.
        sigma: in [-1, 1] coordinates.

    Returns:
        [b, c, h, w].
    """
    x, y = (
        (-((centres(n, position) - position[..., i : i + 1]) ** 2) / (2 * sigma**2)).exp()
        for i, n in enumerate(reversed(size))
    )
    return torch.einsum("bkc,bkh,bkw->bchw", weight, y, x)


class BackgroundEncoder(nn.Module):
    """The image outside the glimpses to the background particle's features."""

    def __init__(self, config: DLPConfig, size: tuple[int, int]) -> None:
        super().__init__()
        self.glimpse = config.glimpse
        self.size = size
        width = config.width
        self.trunk = nn.Sequential(
            block(4, width, 3, 2), block(width, width, 3, 2), block(width, width, 3, 2)
        )
        cells = (size[0] // CELL) * (size[1] // CELL)
        self.head = nn.Linear(width * cells, 2 * config.features)

    def forward(self, image: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, [b, d] both; no gradient moves a glimpse to uncover a thing."""
        mask = outside(position.detach(), self.glimpse, self.size)
        features = self.trunk(torch.cat([(image - 0.5) * mask, mask], 1))
        mean, log_variance = self.head(features.flatten(1)).chunk(2, -1)
        return mean, log_variance


def painter(inputs: int, width: int, deep: int = 0) -> nn.Sequential:
    """A feature map of a quarter of the frame's side to the logits of a picture.

    Args:
        inputs: channels of the map.
        width: channels of the finest convolution.
        deep: convolutions more at the map's own size, each of which carries things a cell further.
    """
    return nn.Sequential(
        block(inputs, 2 * width),
        *(block(2 * width, 2 * width) for _ in range(deep)),
        nn.Conv2d(2 * width, 4 * width, 1),
        nn.PixelShuffle(2),
        nn.SiLU(),
        block(width, width),
        nn.Conv2d(width, 3 * 4, 3, padding=1),
        nn.PixelShuffle(2),
    )


class ParticleMap(nn.Module):
    """All particles as a feature map: what PointNet++ makes of them, and their Gaussian maps.

    Args:
        config: the settings.
        size: (h, w) of the frames.
        own: features that are known of a frame beside its particles.

    Shapes:
        particles [b, k] (position, appearance, transparency), own [b, own] or None
        -> [b, self.outputs, h / 4, w / 4].
    """

    def __init__(self, config: DLPConfig, size: tuple[int, int], own: int = 0) -> None:
        super().__init__()
        self.sigma = config.sigma_prior
        self.maps = config.paper.maps
        self.cells = (size[0] // CELL, size[1] // CELL)
        width, features = config.width, config.features
        self.context = PointNet(features + 1, 2 * width, config.paper.neighbours)
        seeds = 2 * width * self.cells[0] * self.cells[1]
        self.linear = nn.Linear(own + self.context.outputs, seeds)
        self.coarse = block(2 * width, 2 * width)
        self.outputs = 2 * width + (1 + features if self.maps else 0)

    def map(self, particles: Particles, own: Tensor | None = None) -> Tensor:
        """The feature map."""
        weight = particles.transparency[..., None]
        nodes = torch.cat([particles.appearance, weight], -1)
        position, used = particles.position, particles.transparency
        if own is not None:
            # The background is one particle more, at the frame's centre and always in use.
            nodes = torch.cat([nodes, F.pad(own, (0, 1), value=1.0)[:, None]], 1)
            position = F.pad(position, (0, 0, 0, 1))
            used = F.pad(used, (0, 1), value=1.0)
        context = self.context(nodes, position, used)
        if own is not None:
            context = torch.cat([own, context], -1)
        h, w = self.cells
        x = self.coarse(rearrange(self.linear(context), "b (c h w) -> b c h w", h=h, w=w))
        x = F.interpolate(x, scale_factor=2)
        if self.maps:
            there = torch.cat([weight, weight * particles.appearance], -1)
            maps = gaussian_maps(particles.position, there, (2 * h, 2 * w), self.sigma)
            x = torch.cat([x, maps], 1)
        return x


class BackgroundDecoder(ParticleMap):
    """The background's features, with all particles as context, to a picture."""

    def __init__(self, config: DLPConfig, size: tuple[int, int]) -> None:
        super().__init__(config, size, own=config.features)
        self.fine = painter(self.outputs, config.width)

    def forward(self, background: Tensor, particles: Particles) -> Tensor:
        """Draw it.

        Args:
            background: [b, d] features of the background particle.
            particles: [b, k]; position, appearance and transparency are used.

        Returns:
            [b, 3, h, w] in [0, 1].
        """
        return self.fine(self.map(particles, background)).sigmoid()
