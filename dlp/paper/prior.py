"""The prior: a keypoint from each patch, and only those far from their patch's centre count."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.prior import Proposals, block


def spatial_softmax(heat: Tensor) -> tuple[Tensor, Tensor]:
    """The mean position under the softmax of each heatmap.

    Args:
        heat: [..., h, w] logits.

    Returns:
        weight [..., h, w] that sums to 1, and position [..., 2], (x, y) in [-1, 1].
    """
    weight = heat.flatten(-2).softmax(-1).view_as(heat)
    y, x = (
        (torch.arange(n, device=heat.device, dtype=heat.dtype) + 0.5) * 2 / n - 1
        for n in heat.shape[-2:]
    )
    return weight, torch.stack([(weight.sum(-2) * x).sum(-1), (weight.sum(-1) * y).sum(-1)], -1)


def farthest(inside: Tensor, count: int) -> Tensor:
    """Which keypoints lie farthest from their patch's centre: a flat heatmap gives the centre.

    Args:
        inside: [b, m, 2] in [-1, 1], each in its own patch.
        count: how many to keep, at most m.

    Returns:
        [b, count] int64, the farthest first.
    """
    return inside.detach().square().sum(-1).topk(min(count, inside.shape[1])).indices


class PatchPrior(nn.Module):
    """A small CNN on each patch by itself, a heatmap, a spatial softmax (DLP, section 4.1).

    Args:
        config: the settings.
        stride: pixels a cell of the heatmap.
    """

    def __init__(self, config: DLPConfig, stride: int = 1) -> None:
        super().__init__()
        self.patch = config.patch
        self.count = config.n_prior
        width = config.width
        self.heat = nn.Sequential(
            block(3, width, 3, stride), block(width, width), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, image: Tensor) -> Proposals:
        """The proposals of `image` [b, 3, h, w]; the paper has no presence, which stays 0."""
        side = self.patch
        b, _, h, w = image.shape
        patches = rearrange(image - 0.5, "b c (r i) (q j) -> (b r q) c i j", i=side, j=side)
        inside = spatial_softmax(self.heat(patches)[:, 0])[1]
        inside = rearrange(inside, "(b m) xy -> b m xy", b=b)
        r, q = torch.meshgrid(
            torch.arange(h // side, device=image.device),
            torch.arange(w // side, device=image.device),
            indexing="ij",
        )
        corner = torch.stack([q, r], -1).flatten(0, 1)  # (m, 2), in patches
        pixels = (corner + (inside + 1) / 2) * side
        position = pixels * 2 / pixels.new_tensor([w, h]) - 1
        best = farthest(inside, self.count)[..., None].expand(-1, -1, 2)
        kept = position.gather(1, best)  # (b, n_prior, 2)
        return Proposals(kept, torch.zeros_like(kept[..., 0]))
