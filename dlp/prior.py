"""Keypoint proposals: a spatial softmax over the heatmap of each patch (DLP, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from dlp.arithmetic import exact
from dlp.config import DLPConfig


@dataclass(frozen=True)
class Proposals:
    """One keypoint a patch.

    Args:
        position: [b, m, 2], (x, y) in [-1, 1], inside its own patch.
        presence: [b, m] logits that an object's centre lies there.
    """

    position: Tensor
    presence: Tensor


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, GroupNorm, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )


class PatchPrior(nn.Module):
    """Proposes one keypoint a patch, with a score of presence.

    Every patch's heatmap has two pixels of the image a cell. The spatial softmax's mean lies
    inside the patch, so a keypoint cannot wander off: that is what keeps positions anchored.
    """

    def __init__(self, config: DLPConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.cells = config.patch // 2
        width = config.width
        layers: list[nn.Module] = [block(6, width, 3, 2)]
        side, channels = 2, width
        while side < config.patch:
            wider = min(channels * 2, 2 * width)
            layers.append(block(channels, wider, 3, 2))
            side, channels = side * 2, wider
        layers += [block(channels, channels), block(channels, channels)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(channels, self.cells**2 + 1, 1)

    def forward(self, image: Tensor) -> Proposals:
        """Propose keypoints.

        Args:
            image: [b, 6, h, w], the frame and its difference from the background.
        """
        h, w = image.shape[-2:]
        out = self.head(self.features(image)).to(image.dtype)  # (b, cells^2 + 1, rows, columns)
        rows, columns = out.shape[-2:]
        heat = rearrange(out[:, :-1], "b n r c -> b (r c) n").softmax(-1)
        steps = (torch.arange(self.cells, device=image.device) + 0.5) / self.cells
        inside = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).flatten(0, 1)
        r, c = torch.meshgrid(
            torch.arange(rows, device=image.device),
            torch.arange(columns, device=image.device),
            indexing="ij",
        )
        corner = torch.stack([c, r], -1).flatten(0, 1)  # (m, 2), in patches
        with exact(image):
            pixels = (corner + heat @ inside) * self.patch
        position = pixels * 2 / pixels.new_tensor([w, h]) - 1
        return Proposals(position, out[:, -1].flatten(1))
