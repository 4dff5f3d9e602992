"""The object model's decoder: RGBA patches over a background (DLP, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.glimpse import accumulate, splat, window_side
from dlp.particles import Particles
from dlp.prior import block

FRONT = -4.0
"""Logit that a pixel's background begins with, to lie before the particles."""
QUICK = 10.0
"""Logits a unit of its parameter: few pictures have something pass behind a pixel, so that its few
steps must be long."""


@dataclass(frozen=True)
class Scene:
    """A decoded frame and its parts.

    Args:
        image: [b, 3, h, w] in about [0, 1].
        foreground: [b, 3, h, w], the particles over black.
        mask: [b, 1, h, w] in [0, 1], what the particles cover.
        patches: [b, k, 4, p, p], RGBA in [0, 1], before transparency.
    """

    image: Tensor
    foreground: Tensor
    mask: Tensor
    patches: Tensor


class PatchDecoder(nn.Module):
    """z_a to an RGBA patch."""

    disc: Tensor

    def __init__(self, config: DLPConfig) -> None:
        super().__init__()
        width = 2 * config.width
        self.cells = config.glimpse // 4
        self.linear = nn.Linear(config.features, width * self.cells**2)
        self.convolutions = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width, 4 * width // 2, 1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            block(width // 2, width // 2),
            nn.Conv2d(width // 2, 4 * 4, 1),
            nn.PixelShuffle(2),
        )
        # Alpha starts as a soft disc, so that a patch first learns to lie on its object.
        steps = (torch.arange(config.glimpse) + 0.5) * 2 / config.glimpse - 1
        disc = torch.zeros(4, config.glimpse, config.glimpse)
        disc[3] = 2 - 3 * (steps[:, None] ** 2 + steps**2)
        self.register_buffer("disc", disc, persistent=False)

    def forward(self, appearance: Tensor) -> Tensor:
        """[b, k, d] to logits [b, k, 4, p, p]."""
        k = appearance.shape[1]
        seeds = rearrange(
            self.linear(appearance), "b k (c i j) -> (b k) c i j", i=self.cells, j=self.cells
        )
        logits = self.convolutions(seeds).to(appearance.dtype) + self.disc
        return rearrange(logits, "(b k) c i j -> b k c i j", k=k)


def composite(
    rgb: Tensor,
    alpha: Tensor,
    particles: Particles,
    background: Tensor,
    scale: Tensor,
    max_scale: float,
    clear: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Paste the patches over the background, nearer over farther (DLPv2's order by depth).

    With a_i the alpha of particle i at a pixel, the particles cover A = 1 - prod_i (1 - a_i) of
    it, with the mean of their colours weighted by a_i exp(z_d,i): sums alone, so that the order
    in which particles are listed does not matter.

    Args:
        rgb, alpha: [b, k, 3 and 1, p, p] in [0, 1]; alpha with its transparency.
        particles: position and depth are used.
        background: [b, 3, h, w].
        scale: [b, k] side of a pasted patch in pixels, over p.
        max_scale: the largest that `scale` can be.
        clear: [1, h, w], the share of a pixel that nothing of the background stands before.

    Returns:
        image [b, 3, h, w], foreground [b, 3, h, w], mask [b, 1, h, w].
    """
    size = (background.shape[-2], background.shape[-1])
    p = rgb.shape[-1]
    weighted = alpha * particles.depth.exp()[..., None, None, None]
    values, index = splat(
        torch.cat([alpha, weighted, weighted * rgb], 2),
        particles.position,
        scale,
        size,
        window_side(p, max_scale),
    )
    opacity, rest = values.split([1, 4], 2)  # their gradients are joined, not added up
    log_clear = accumulate(torch.log1p(-opacity.clamp(max=0.999)), index, size)
    sums = accumulate(rest, index, size)
    mask = clear * (1 - log_clear.exp())  # (b, 1, h, w)
    foreground = mask * sums[:, 1:] / (sums[:, :1] + 1e-5)
    return foreground + (1 - mask) * background, foreground, mask


class ObjectDecoder(nn.Module):
    """Particles to a frame, over a background image that is learned.

    The masked model (scenes that are not made of objects) is another decoder with the same call.
    """

    def __init__(self, config: DLPConfig, size: tuple[int, int]) -> None:
        super().__init__()
        self.max_scale = config.max_scale
        self.patch = PatchDecoder(config)
        self.background = nn.Parameter(torch.full((3, *size), 0.5))
        self.front = nn.Parameter(torch.zeros(1, *size))

    def cover(self) -> Tensor:
        """How much of each pixel belongs to what stands before all particles, [1, h, w].

        A lamp post or a tree that things pass behind is part of the background image; this says
        where the background lies in front.
        """
        return (FRONT + QUICK * self.front).sigmoid()

    def forward(
        self, particles: Particles, alpha_noise: float = 0.0, cover: Tensor | None = None
    ) -> Scene:
        """Decode.

        Args:
            particles: with one leading axis, b.
            alpha_noise: standard deviation of noise on the alpha logits (warm-up).
            cover: in place of `cover()`.
        """
        logits = self.patch(particles.appearance)
        if alpha_noise:
            colours, opacity = logits.split([3, 1], 2)
            noise = alpha_noise * torch.randn_like(opacity)
            logits = torch.cat([colours, opacity + noise], 2)
        patches = logits.sigmoid()
        rgb, alpha = patches.split([3, 1], 2)
        alpha = alpha * particles.transparency[..., None, None, None]
        background = self.background.expand(len(alpha), -1, -1, -1)
        clear = 1 - (self.cover() if cover is None else cover)
        image, foreground, mask = composite(
            rgb, alpha, particles, background, particles.scale, self.max_scale, clear
        )
        return Scene(image, foreground, mask, patches)
