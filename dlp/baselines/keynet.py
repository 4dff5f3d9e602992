"""KeyNet: one picture's looks drawn in another one's pose (Jakab et al., NeurIPS 2018).

Both are the same frame, each bent by its own thin-plate spline. Only K positions pass from the one
whose pose is to be drawn, so they must tell the pose. The networks are as wide and as deep as those
of the masked model beside it: what differs is the method. Published: VGG-16 features as the error
(`rec: vgg`), Gaussian maps exp(-|p - z|^2 / 0.1^2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.losses import Loss
from dlp.masked.landmarks import DEEP, LandmarkModel, heatmaps, separate_maps, trunk
from dlp.masked.tps import random_warp
from dlp.model import Encoding
from dlp.paper.background import centres, painter
from dlp.paper.objective import distance
from dlp.paper.vgg import VGGDistance
from dlp.particles import Particles


def marginal_softmax(heat: Tensor) -> Tensor:
    """The mean position of the softmax of each axis's mean heat (Jakab et al., section 3.1).

    Args:
        heat: [b, k, h, w] logits.

    Returns:
        [b, k, 2], (x, y) in [-1, 1].
    """
    h, w = heat.shape[-2:]
    x = (heat.mean(-2).softmax(-1) * centres(w, heat)).sum(-1)
    y = (heat.mean(-1).softmax(-1) * centres(h, heat)).sum(-1)
    return torch.stack([x, y], -1)


class KeyNet(LandmarkModel):
    """Frames to landmarks and back; `rest` is what the looks' encoder makes of a frame.

    A landmark's sigma is that of the maps, always the same, and it has no appearance.

    Args:
        config: particles, width and sigma_prior (the maps' sigma) are used, and the error in
            `paper`.
        size: (h, w) of the frames.
        perceptual: the VGG distance, needed for the loss with `rec: vgg` only.
    """

    def __init__(
        self, config: DLPConfig, size: tuple[int, int], perceptual: VGGDistance | None = None
    ) -> None:
        width, k = config.width, config.particles
        super().__init__(config, size, (4 * width, size[0] // 4, size[1] // 4), perceptual)
        self.pose = nn.Sequential(trunk(width), heatmaps(width, k))
        self.looks = trunk(width)
        self.fine = painter(4 * width + k, width, DEEP)

    def look(self, image: Tensor) -> tuple[Encoding, Tensor]:
        """The landmarks of frames [b, 3, h, w], and their looks."""
        position = marginal_softmax(self.pose(image - 0.5))
        sigma = position.new_full((), self.config.sigma_prior)
        encoding = self.encoding(position, (2 * sigma.log()).expand_as(position))
        return encoding, self.looks(image - 0.5)

    def paint(self, particles: Particles, rest: Tensor) -> Tensor:
        """Looks in the pose of particles [b, k], [b, 3, h, w]."""
        sigma = self.config.sigma_prior / math.sqrt(2)  # exp(-d^2 / s^2), not of 2 s^2
        maps = separate_maps(particles.position, self.cells, sigma)
        return self.fine(torch.cat([rest, maps], 1)).sigmoid()

    def loss(self, image: Tensor, progress: float) -> Loss:
        """The error of the second bent picture, drawn from the first one's looks.

        Args:
            image: [b, 3, h, w] in [0, 1].
            progress: not used.
        """
        source, target = random_warp(image).image(image), random_warp(image).image(image)
        position = marginal_softmax(self.pose(target - 0.5))
        encoding = self.encoding(position, torch.zeros_like(position))
        looks = self.looks(source - 0.5)
        drawn = self.paint(encoding.particles, looks)
        rec = distance(self.config, self.perceptual, drawn, target).mean()
        self.remember(looks)
        terms = {"loss": rec, "reconstruction": rec}
        return Loss(rec, {name: value.detach() for name, value in terms.items()})
