"""What all models of landmarks share: every particle is in use, and a picture is more than them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.losses import Loss
from dlp.model import Encoding
from dlp.paper.background import CELL, gaussian_maps
from dlp.paper.vgg import VGGDistance
from dlp.particles import Particles
from dlp.prior import Proposals, block
from dlp.uncertainty import Calibration

MOMENTUM = 0.05
"""Share of a batch in the running mean of what pictures have beside their particles."""
SHARP = 5.0
"""How much larger than usual the last layer of a landmark detector starts."""
DEEP = 3
"""Convolutions of a painter at a quarter of the side, beside the first: KeyNet's is to carry looks
as far as its two bendings move them, and the others have as many: what differs is the method."""
COVERED = 0.2
"""Of a Gaussian map: what is above belongs to the particle's mask."""


class LandmarkModel(nn.Module, ABC):
    """Frames to landmarks and back.

    What a picture has beside its particles, the `rest`, is not in `Particles`. Who decodes
    particles alone gets its running mean over the training.

    Args:
        config: the settings.
        size: (h, w) of the frames, multiples of 8 pixels and of the patch.
        rest: the shape of a frame's rest.
        perceptual: the VGG distance, needed for the loss with `rec: vgg` only.
    """

    median: Tensor
    rest_mean: Tensor

    def __init__(
        self,
        config: DLPConfig,
        size: tuple[int, int],
        rest: tuple[int, ...],
        perceptual: VGGDistance | None,
    ) -> None:
        super().__init__()
        if any(side % CELL or side % config.patch for side in size):
            raise ValueError(
                f"frames of {size[0]}x{size[1]} pixels do not divide into patches of "
                f"{config.patch} and cells of {CELL}: set dlp.patch or frames.size"
            )
        self.config = config
        self.size = size
        self.cells = (size[0] // 4, size[1] // 4)
        self.perceptual = perceptual
        self.calibration = Calibration(config.glimpse, size)
        self.register_buffer("median", torch.full((3, *size), 0.5))
        self.register_buffer("rest_mean", torch.zeros(rest))

    @abstractmethod
    def look(self, image: Tensor) -> tuple[Encoding, Tensor]:
        """The means of frames [b, 3, h, w], and the rest of each."""

    @abstractmethod
    def paint(self, particles: Particles, rest: Tensor) -> Tensor:
        """The frames [b, 3, h, w] in [0, 1] of particles [b, k] and their rest."""

    @abstractmethod
    def loss(self, image: Tensor, progress: float) -> Loss:
        """The objective on frames [b, 3, h, w]; progress in [0, 1] is the share done."""

    def encode(self, image: Tensor) -> Encoding:
        """The particles of a batch of frames, [b, 3, h, w] in [0, 1]."""
        return self.look(image)[0]

    def decode(self, particles: Particles, rest: Tensor | None = None) -> Scene:
        """Draw frames.

        Args:
            particles: with one leading axis, b.
            rest: what the frames have beside them; None for the training's mean.
        """
        if rest is None:
            rest = self.rest_mean.expand(len(particles.position), *self.rest_mean.shape)
        image = self.paint(particles, rest)
        mask = masks(particles.position, self.size, self.config.sigma_prior)
        patches = image.new_zeros(*particles.transparency.shape, 4, 1, 1)
        return Scene(image, image * mask, mask, patches)

    def forward(self, image: Tensor) -> Scene:
        """Encode and decode the means, each frame with its own rest."""
        encoding, rest = self.look(image)
        return self.decode(encoding.particles, rest)

    def remember(self, rest: Tensor) -> None:
        """Move the running mean towards the rest of a batch."""
        if self.training:
            self.rest_mean.lerp_(rest.detach().mean(0).to(self.rest_mean), MOMENTUM)

    def encoding(
        self, position: Tensor, log_variance: Tensor, appearance: Tensor | None = None
    ) -> Encoding:
        """That of landmarks which have no prior.

        Args:
            position, log_variance: [b, k, 2].
            appearance: [b, k, d], or None for a model without.
        """
        if appearance is None:
            appearance = position.new_zeros(*position.shape[:2], self.config.features)
        presence = torch.zeros_like(position[..., 0])
        return Encoding(
            in_use(position, log_variance, appearance),
            torch.zeros_like(appearance),
            Proposals(position, presence),
        )

    @property
    def warmup(self) -> float:
        """Nothing is phased in."""
        return 0.0

    def background_image(self) -> Tensor:
        """The training's median, [3, h, w]; it takes no gradient."""
        return self.median

    def start_from(self, median: Tensor) -> None:
        """Take the median of the training frames, [3, h, w] in [0, 1]."""
        self.median.copy_(median)

    def slow_parameters(self) -> list[nn.Parameter]:
        """None."""
        return []


def trunk(width: int) -> nn.Sequential:
    """An image to features of 4 * width channels at a quarter of its side, at a quarter of the cost
    of the object model's: every landmark model has it, so that what differs is the method."""
    return nn.Sequential(
        block(3, width, 5, 2),
        block(width, 2 * width, 3, 2),
        block(2 * width, 2 * width),
        block(2 * width, 4 * width),
    )


def heatmaps(width: int, count: int) -> nn.Conv2d:
    """The last layer of a landmark detector, that starts with sharp maps: flat ones have hardly any
    gradient, and put every landmark at the frame's centre."""
    layer = nn.Conv2d(4 * width, count, 1)
    layer.weight.data.mul_(SHARP)
    return layer


def in_use(position: Tensor, log_variance: Tensor, appearance: Tensor) -> Particles:
    """Particles that are all in use, without scale and depth."""
    ones = torch.ones_like(position[..., 0])
    return Particles(position, log_variance, appearance, ones, ones, torch.zeros_like(ones))


def separate_maps(position: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """The Gaussian map of each particle by itself, [b, k, h, w] in [0, 1]."""
    b, k, _ = position.shape
    one = torch.eye(k, device=position.device, dtype=position.dtype).expand(b, k, k)
    return gaussian_maps(position, one, size, sigma)


def masks(position: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """1 where a particle's Gaussian map is above 0.2, else 0: [b, 1, h, w], without a gradient."""
    highest = separate_maps(position.detach(), size, sigma).amax(1, keepdim=True)
    return (highest > COVERED).to(position.dtype)
