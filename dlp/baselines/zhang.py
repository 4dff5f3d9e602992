"""Landmarks as structural representations: a constrained autoencoder (Zhang et al., CVPR 2018).

Each of K + 1 detection maps is a landmark's, the last one the background's; their softmax over
channels says whose a pixel is. A landmark is its map's mean. It carries a descriptor, pooled from
the features under a Gaussian there, and the picture is drawn from descriptors spread by Gaussian
maps. The networks are as wide and as deep as those of the masked model beside it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.losses import Loss
from dlp.masked.landmarks import DEEP, LandmarkModel, heatmaps, separate_maps, trunk
from dlp.masked.tps import equivariance, random_warp
from dlp.model import Encoding
from dlp.paper.background import centres, painter
from dlp.paper.objective import distance
from dlp.paper.vgg import VGGDistance
from dlp.particles import Particles

CONCENTRATION, SEPARATION, EQUIVARIANCE = 1.0, 0.1, 100.0
"""Weights of the constraints against squared error summed over pixels. Their ratio is published:
100, 10 and 1e4, of distances in units of the frame's side."""
SHARES = (0.001, 0.1, 1.0)
"""Weight of the error in each third of the training; its steps are published."""
BANDWIDTH = 0.04
"""Of the frame's side: landmarks nearer than this push each other away."""
LEAST = 1e-6
"""Variance of a map, at least."""


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the variance of each map as a distribution over the frame.

    Args:
        maps: [b, k, h, w], 0 or more.

    Returns:
        [b, k, 2] both, (x, y) in [-1, 1] coordinates.
    """
    h, w = maps.shape[-2:]
    share = maps / (maps.sum((-1, -2), keepdim=True) + LEAST)
    found = []
    for along, places in ((share.sum(-2), centres(w, maps)), (share.sum(-1), centres(h, maps))):
        mean = (along * places).sum(-1)
        found.append((mean, (along * (places - mean[..., None]) ** 2).sum(-1) + LEAST))
    (x, wide), (y, high) = found
    return torch.stack([x, y], -1), torch.stack([wide, high], -1)


def concentration(variance: Tensor) -> Tensor:
    """exp of the entropy of a round Gaussian of each map's deviation, summed: [b, k, 2] to [b].

    2 pi e sigma^2, sigma the mean of both axes', in units of the frame's side.
    """
    sigma = variance.sqrt().mean(-1) / 2
    return (2 * math.pi * math.e * sigma**2).sum(1)


def separation(position: Tensor) -> Tensor:
    """sum over pairs of exp(-d^2 / (2 0.04^2)), d in sides of the frame: [b, k, 2] to [b]."""
    apart = (position[:, :, None] - position[:, None]).square().sum(-1) / 4
    near = (-apart / (2 * BANDWIDTH**2)).exp()
    return near.sum((1, 2)) - position.shape[1]  # each one's own distance is 0


class Zhang(LandmarkModel):
    """Frames to landmarks and back; `rest` is the background's descriptor.

    A landmark's log sigma^2 is that of its map, its appearance is its descriptor.

    Args:
        config: particles, features, width and sigma_prior (the maps' sigma in drawing) are used,
            and the error in `paper`.
        size: (h, w) of the frames.
        perceptual: the VGG distance, needed for the loss with `rec: vgg` only.
    """

    def __init__(
        self, config: DLPConfig, size: tuple[int, int], perceptual: VGGDistance | None = None
    ) -> None:
        width, k, features = config.width, config.particles, config.features
        super().__init__(config, size, (features,), perceptual)
        self.trunk = trunk(width)
        self.detect = heatmaps(width, k + 1)
        self.describe = nn.Conv2d(4 * width, features, 1)
        # Each landmark reads its descriptor in its own way: [k + 1, d, c].
        self.mix = nn.Parameter(torch.randn(k + 1, features, 2 * width) / features**0.5)
        self.fine = painter(2 * width + k + 1, width, DEEP)

    def _detect(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features [b, c, h / 4, w / 4], positions and variances [b, k, 2]."""
        features = self.trunk(image - 0.5)
        return features, *moments(self.detect(features).softmax(1)[:, :-1])

    def look(self, image: Tensor) -> tuple[Encoding, Tensor]:
        """The landmarks of frames [b, 3, h, w], and the background's descriptor."""
        return self._describe(*self._detect(image))

    def _describe(
        self, features: Tensor, position: Tensor, variance: Tensor
    ) -> tuple[Encoding, Tensor]:
        described = self.describe(features)
        # The pooling Gaussian is round and as wide as the map (Zhang et al., section 3.2).
        sigma = variance.mean(-1).sqrt()  # (b, k)
        h, w = described.shape[-2:]
        x, y = (centres(n, features) for n in (w, h))
        across, down = (
            (-((at - position[..., i : i + 1]) ** 2) / (2 * sigma[..., None] ** 2)).softmax(-1)
            for i, at in enumerate((x, y))
        )
        descriptors = torch.einsum("bdhw,bkh,bkw->bkd", described, down, across)
        rest = described.mean((-1, -2))
        return self.encoding(position, variance.log(), descriptors), rest

    def paint(self, particles: Particles, rest: Tensor) -> Tensor:
        """The frames of particles [b, k] and background descriptors [b, d], [b, 3, h, w]."""
        maps = separate_maps(particles.position, self.cells, self.config.sigma_prior)
        maps = torch.cat([maps, torch.ones_like(maps[:, :1])], 1)
        maps = maps / maps.sum(1, keepdim=True)  # (b, k + 1, h / 4, w / 4)
        descriptors = torch.cat([particles.appearance, rest[:, None]], 1)
        mixed = torch.einsum("bkd,kdc->bkc", descriptors, self.mix)
        spread = torch.einsum("bkc,bkhw->bchw", mixed, maps)
        return self.fine(torch.cat([spread, maps], 1)).sigmoid()

    def loss(self, image: Tensor, progress: float) -> Loss:
        """Error, concentration, separation, and equivariance under a random spline.

        Args:
            image: [b, 3, h, w] in [0, 1].
            progress: the share of the training that is done, in [0, 1].
        """
        features, position, variance = self._detect(image)
        encoding, rest = self._describe(features, position, variance)
        drawn = self.paint(encoding.particles, rest)
        rec = distance(self.config, self.perceptual, drawn, image).mean()
        warp = random_warp(image)
        moved = self._detect(warp.image(image))[1]
        bent = equivariance(warp, position, moved)
        concentrated, apart = concentration(variance).mean(), separation(position).mean()
        share = SHARES[min(int(progress * len(SHARES)), len(SHARES) - 1)]
        total = (
            share * rec + CONCENTRATION * concentrated + SEPARATION * apart + EQUIVARIANCE * bent
        )
        self.remember(rest)
        terms = {
            "loss": total,
            "reconstruction": rec,
            "concentration": concentrated,
            "separation": apart,
            "equivariance": bent,
        }
        return Loss(total, {name: value.detach() for name, value in terms.items()})
