"""The prior: a keypoint from each patch, and only those far from their patch's centre count."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.prior import Proposals

SHARP = 300.0
"""How much larger than usual a heatmap's last layer starts, so that keypoints leave the centres."""


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


def _same(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode="replicate")


class PatchPrior(nn.Module):
    """A small CNN on each patch by itself, a heatmap, a spatial softmax (DLP, section 4.1).

    The border is repeated, not padded with zeros, and nothing is normalised: a flat patch has a
    flat heatmap, and the more contrast a patch has, the farther from its centre a keypoint may be.

    Args:
        config: the settings.
        stride: pixels a cell of the heatmap.
    """

    def __init__(self, config: DLPConfig, stride: int = 1) -> None:
        super().__init__()
        self.patch = config.patch
        self.count = config.n_prior
        width = config.width
        last = _same(width, 1)
        last.weight.data.mul_(SHARP)
        self.heat = nn.Sequential(
            _same(3, width, stride), nn.SiLU(), _same(width, width), nn.SiLU(), last
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
