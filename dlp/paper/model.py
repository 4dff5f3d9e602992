"""The paper's autoencoder, top to bottom: the object model (DLP, sections 4.1 to 4.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dlp.config import DLPConfig
from dlp.decoder import PatchDecoder, Scene, composite
from dlp.glimpse import crop
from dlp.losses import Loss, gaussian_kl
from dlp.model import Encoding
from dlp.paper.background import CELL, BackgroundDecoder, BackgroundEncoder
from dlp.paper.objective import distance, divergence, draw
from dlp.paper.posterior import AppearanceEncoder, PositionEncoder
from dlp.paper.prior import PatchPrior
from dlp.paper.vgg import VGGDistance
from dlp.particles import LIVE, Particles
from dlp.uncertainty import Calibration

ALPHA_NOISE = 0.5
"""Standard deviation of the noise on the alpha logits while masks are to open."""
MOMENTUM = 0.05
"""Share of a batch in the running mean of the background particle."""


@dataclass(frozen=True)
class Posterior:
    """What a batch of frames is encoded to, the background particle included.

    Args:
        encoding: the means.
        position: [b, k, 2] z_p at which the glimpses were read: drawn, or the means.
        background, background_log_variance: [b, d] of the background particle.
    """

    encoding: Encoding
    position: Tensor
    background: Tensor
    background_log_variance: Tensor


class PaperDLP(nn.Module):
    """Frames to particles and back, as published: no scale, no depth, no suppression.

    Each particle owns a heatmap of the whole image. The background is drawn from a particle of
    its own, which `Particles` do not carry: forecasts and all who decode a set of particles
    alone get the running mean of the training's background particles.

    Args:
        config: the settings; `config.paper` has this model's own.
        size: (h, w) of the frames, multiples of the patch and of 8.
        perceptual: the VGG distance, needed for the loss with `rec: vgg` only.
    """

    median: Tensor
    background_mean: Tensor

    def __init__(
        self, config: DLPConfig, size: tuple[int, int], perceptual: VGGDistance | None = None
    ) -> None:
        super().__init__()
        unit = math.lcm(config.patch, CELL)
        if size[0] % unit or size[1] % unit:
            raise ValueError(
                f"frames of {size[0]}x{size[1]} pixels do not divide into patches of "
                f"{config.patch} and cells of {CELL}: set dlp.patch or frames.size"
            )
        self.config = config
        self.size = size
        self.prior = PatchPrior(config)
        self.position = PositionEncoder(config)
        self.appearance = AppearanceEncoder(config)
        self.patch = PatchDecoder(config)
        self.background_encoder = BackgroundEncoder(config, size)
        self.background_decoder = BackgroundDecoder(config, size)
        self.perceptual = perceptual
        self.calibration = Calibration(config.glimpse, size)
        self.register_buffer("median", torch.full((3, *size), 0.5))
        self.register_buffer("background_mean", torch.zeros(config.features))

    def _posterior(self, image: Tensor, sample: bool) -> Posterior:
        """Encode `image` [b, 3, h, w], with glimpses at drawn positions or at the means."""
        mean, log_variance = self.position(image)
        position = draw(mean, log_variance) if sample else mean
        transparency, appearance, log_appearance = self.appearance(image, position)
        particles = Particles(
            position=mean,
            log_variance=log_variance,
            appearance=appearance,
            transparency=transparency,
            scale=torch.ones_like(transparency),
            depth=torch.zeros_like(transparency),
        )
        if not self.training:
            particles = replace(particles, log_variance=self.calibration(particles))
        encoding = Encoding(particles, log_appearance, self.prior(image))
        return Posterior(encoding, position, *self.background_encoder(image, position))

    def encode(self, image: Tensor) -> Encoding:
        """The posterior particles of a batch of frames, [b, 3, h, w] in [0, 1]."""
        return self._posterior(image, sample=False).encoding

    def decode(
        self, particles: Particles, background: Tensor | None = None, alpha_noise: float = 0.0
    ) -> Scene:
        """Draw frames.

        Args:
            particles: with one leading axis, b; scale and depth are not used.
            background: [b, d] of the background particle; None for the training's mean.
            alpha_noise: standard deviation of noise on the alpha logits (warm-up).
        """
        if background is None:
            background = self.background_mean.expand(len(particles.position), -1)
        logits = self.patch(particles.appearance)
        if alpha_noise:
            noise = alpha_noise * torch.randn_like(logits[:, :, 3:])
            logits = torch.cat([logits[:, :, :3], logits[:, :, 3:] + noise], 2)
        patches = logits.sigmoid()
        image, foreground, mask = composite(
            patches[:, :, :3],
            patches[:, :, 3:] * particles.transparency[..., None, None, None],
            replace(particles, depth=torch.zeros_like(particles.depth)),
            self.background_decoder(background, particles),
            torch.ones_like(particles.scale),
            max_scale=1.0,
        )
        return Scene(image, foreground, mask, patches)

    def forward(self, image: Tensor) -> Scene:
        """Encode and decode the means, each frame with its own background particle."""
        posterior = self._posterior(image, sample=False)
        return self.decode(posterior.encoding.particles, posterior.background)

    def loss(self, image: Tensor, progress: float) -> Loss:
        """The training objective (DLP, section 4.2).

        Args:
            image: [b, 3, h, w] in [0, 1].
            progress: the share of the training that is done, in [0, 1]: decides the warm-up.
        """
        config, paper = self.config, self.config.paper
        posterior = self._posterior(image, sample=True)
        mean = posterior.encoding.particles
        log_appearance = posterior.encoding.appearance_log_variance
        sample = replace(
            mean,
            position=posterior.position,
            appearance=draw(mean.appearance, log_appearance),
        )
        background = draw(posterior.background, posterior.background_log_variance)
        noise = ALPHA_NOISE if progress < paper.noise_until else 0.0
        scene = self.decode(sample, background, noise)
        reconstruction = distance(config, self.perceptual, scene.image, image).mean()
        rec = reconstruction
        if progress < paper.glimpses_until:
            ones = torch.ones_like(sample.scale)
            seen = crop(image, sample.position.detach(), ones, config.glimpse).flatten(0, 1)
            patches = scene.patches[:, :, :3].flatten(0, 1)
            # Weight 0, not left out: with many processes each weight must get a gradient.
            rec = distance(config, self.perceptual, patches, seen).sum() / len(image)
            rec = rec + 0 * reconstruction
        positions = divergence(config, mean, posterior.encoding.proposals.position).mean()
        zero = torch.zeros((), device=image.device)
        appearance = gaussian_kl(mean.appearance, log_appearance, zero, zero).sum(1).mean()
        appearance = appearance + (
            gaussian_kl(posterior.background, posterior.background_log_variance, zero, zero).mean()
        )
        total = paper.beta_rec * rec + config.beta_kl * (positions + config.kl_balance * appearance)
        if self.training:
            self.background_mean.lerp_(
                posterior.background.detach().mean(0).to(self.background_mean), MOMENTUM
            )
        terms = {
            "loss": total,
            "rec": rec,
            "reconstruction": reconstruction,
            "chamfer_kl": positions,
            "appearance_kl": appearance,
            "live": (mean.transparency > LIVE).float().sum(1).mean(),
            "transparency": mean.transparency.mean(),
            "sigma": (mean.log_variance / 2).exp().mean(),
        }
        return Loss(total, {name: value.detach() for name, value in terms.items()})

    @property
    def warmup(self) -> float:
        """Share of the training in which nothing is settled yet, in [0, 1]."""
        return self.config.paper.noise_until

    def background_image(self) -> Tensor:
        """The scene without its things, [3, h, w]: the training's median; it takes no gradient."""
        return self.median

    def start_from(self, median: Tensor) -> None:
        """Take the median of the training frames, [3, h, w] in [0, 1]."""
        self.median.copy_(median)

    def slow_parameters(self) -> list[nn.Parameter]:
        """None: its background is drawn by a network, which learns like the rest."""
        return []
