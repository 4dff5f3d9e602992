"""Where each particle of the masked model is: read off the whole of its heatmap."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlp.paper.posterior import LOG_VARIANCE

HIDDEN = 32
"""What is kept of a heatmap."""
SPREAD = 0.6
"""How far from the frame's centre particles start, in [-1, 1] units."""


class HeatmapHead(nn.Module):
    """K heatmaps to K positions with their variances (DLP, section 4.1).

    A softmax over the frame takes whichever place fits best, so a particle jumps from picture to
    picture. Here each cell of the heatmap has a weight of its own, and each particle a place of its
    own to start from.

    Args:
        count: k.
        width: the features have 4 * width channels.
        cells: of a heatmap, (h / 4) * (w / 4).
    """

    def __init__(self, count: int, width: int, cells: int) -> None:
        super().__init__()
        self.heat = nn.Conv2d(4 * width, count, 1)
        self.hidden = nn.Sequential(nn.Linear(cells, HIDDEN), nn.SiLU())
        self.weight = nn.Parameter(0.05 * torch.randn(count, HIDDEN, 4))
        start = torch.full((count, 4), LOG_VARIANCE)
        start[:, :2] = (SPREAD * (2 * torch.rand(count, 2) - 1)).atanh()
        self.bias = nn.Parameter(start)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean in (-1, 1) and log sigma^2 of z_p, [b, k, 2] both, from [b, c, h / 4, w / 4]."""
        hidden = self.hidden(self.heat(features).flatten(2))  # (b, k, hidden)
        out = torch.einsum("bkn,knm->bkm", hidden, self.weight) + self.bias
        return out[..., :2].tanh(), out[..., 2:]
