"""The posterior: a glimpse at a keypoint refines it and says what is there (DLP, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.arithmetic import exact
from dlp.config import DLPConfig
from dlp.glimpse import crop
from dlp.prior import block

LOG_VARIANCE = (-14.0, -2.0)
"""Bounds of log sigma^2 of a position, in [-1, 1] coordinates."""

TRANSPARENCY = 5
"""Which output of the glimpse encoder is the transparency's logit."""


@dataclass(frozen=True)
class Look:
    """What one glimpse at each of k keypoints found.

    Args:
        position: [b, k, 2], (x, y) in [-1, 1].
        log_variance: [b, k, 2] of the position.
        scale: [b, k].
        transparency: [b, k] logits.
        depth: [b, k].
        appearance, appearance_log_variance: [b, k, d].
    """

    position: Tensor
    log_variance: Tensor
    scale: Tensor
    transparency: Tensor
    depth: Tensor
    appearance: Tensor
    appearance_log_variance: Tensor


class GlimpseEncoder(nn.Module):
    """Looks twice at each keypoint: once to centre and size the glimpse, once to read it.

    The same network looks both times, so that a glimpse which is centred already is a fixed
    point, and positions do not depend on which patch proposed them.
    """

    def __init__(self, config: DLPConfig) -> None:
        super().__init__()
        self.glimpse = config.glimpse
        self.features = config.features
        self.log_max_scale = float(torch.tensor(config.max_scale).log())
        width = config.width
        self.trunk = nn.Sequential(block(6, width, 3, 2), block(width, 2 * width, 3, 2))
        cells = (config.glimpse // 4) ** 2
        self.hidden = nn.Sequential(nn.Linear(2 * width * cells, 4 * width), nn.SiLU())
        self.head = nn.Linear(4 * width, 2 + 2 + 1 + 1 + 1 + 2 * config.features)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        # All start in use: those that start half in use fade before their patches have learned.
        self.head.bias.data[TRANSPARENCY] = 2.0

    def look(self, image: Tensor, position: Tensor, scale: Tensor) -> Look:
        """One glimpse at `position` [b, k, 2] and `scale` [b, k] of `image` [b, 6, h, w]."""
        h, w = image.shape[-2:]
        k = scale.shape[1]
        glimpses = rearrange(crop(image, position, scale, self.glimpse), "b k c i j -> (b k) c i j")
        hidden = self.hidden(self.trunk(glimpses).flatten(1)).to(image.dtype)
        with exact(image):
            out = rearrange(self.head(hidden), "(b k) n -> b k n", k=k)
        offset, log_variance, size, transparency, depth, mean, log_appearance = out.split(
            [2, 2, 1, 1, 1, self.features, self.features], -1
        )
        reach = scale[..., None] * self.glimpse / position.new_tensor([w, h])  # half a glimpse
        log_scale = scale.log() + torch.tanh(size[..., 0]) * self.log_max_scale
        low, high = LOG_VARIANCE
        return Look(
            position=position + torch.tanh(offset) * reach,
            log_variance=low + (high - low) * torch.sigmoid(log_variance),
            scale=log_scale.clamp(-self.log_max_scale, self.log_max_scale).exp(),
            transparency=transparency[..., 0],
            depth=depth[..., 0],
            appearance=mean,
            appearance_log_variance=log_appearance - 4,
        )

    def forward(self, image: Tensor, keypoints: Tensor) -> tuple[Look, Look]:
        """Refine `keypoints` [b, k, 2] on `image` [b, 6, h, w], frame and difference.

        Returns:
            The first look and the second, which counts.
        """
        first = self.look(image, keypoints, torch.ones_like(keypoints[..., 0]))
        return first, self.look(image, first.position.clamp(-1, 1), first.scale)
