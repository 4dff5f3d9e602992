"""The posterior: positions from the whole image, appearance from a glimpse at each."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.glimpse import crop
from dlp.paper.prior import spatial_softmax
from dlp.prior import block

LOG_VARIANCE = -6.0
"""Where log sigma^2 of a position starts, below the prior's: glimpses begin nearly sharp."""

OPAQUE = 2.0
"""Where the transparency's logit starts: particles begin in use."""


def trunk(width: int) -> nn.Sequential:
    """An image to features of 4 * width channels, at a quarter of its side."""
    return nn.Sequential(
        block(3, width, 7),
        block(width, 2 * width, 3, 2),
        block(2 * width, 2 * width),
        block(2 * width, 4 * width, 3, 2),
        block(4 * width, 4 * width),
    )


class PositionEncoder(nn.Module):
    """K heatmaps of the whole image; each gives one particle's position (DLP, section 4.1).

    Args:
        config: the settings.
    """

    def __init__(self, config: DLPConfig) -> None:
        super().__init__()
        width, k = config.width, config.particles
        self.trunk = trunk(width)
        self.heat = nn.Conv2d(4 * width, k, 1)
        # A head of its own for each particle: [k, c, 2] and [k, 2].
        self.weight = nn.Parameter(0.01 * torch.randn(k, 4 * width, 2))
        self.bias = nn.Parameter(torch.full((k, 2), LOG_VARIANCE))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z_p, [b, k, 2] both, from `image` [b, 3, h, w]."""
        features = self.trunk(image - 0.5)
        weight, mean = spatial_softmax(self.heat(features))
        there = torch.einsum("bkhw,bchw->bkc", weight, features)
        return mean, torch.einsum("bkc,kcn->bkn", there, self.weight) + self.bias


class AppearanceEncoder(nn.Module):
    """What a glimpse at z_p shows: appearance and transparency (DLP, section 4.1)."""

    def __init__(self, config: DLPConfig) -> None:
        super().__init__()
        self.glimpse = config.glimpse
        width = config.width
        self.trunk = nn.Sequential(
            block(3, width), block(width, width, 3, 2), block(width, 2 * width, 3, 2)
        )
        cells = (config.glimpse // 4) ** 2
        self.hidden = nn.Sequential(nn.Linear(2 * width * cells, 4 * width), nn.SiLU())
        self.head = nn.Linear(4 * width, 1 + 2 * config.features)
        nn.init.constant_(self.head.bias[0], OPAQUE)

    def forward(self, image: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at `position` [b, k, 2] of `image` [b, 3, h, w].

        Returns:
            transparency [b, k] in [0, 1], mean and log-variance of z_a, [b, k, d] both.
        """
        glimpses = crop(image - 0.5, position, torch.ones_like(position[..., 0]), self.glimpse)
        hidden = self.hidden(self.trunk(glimpses.flatten(0, 1)).flatten(1))
        out = rearrange(self.head(hidden), "(b k) n -> b k n", b=len(image))
        mean, log_variance = out[..., 1:].chunk(2, -1)
        return out[..., 0].sigmoid(), mean, log_variance
