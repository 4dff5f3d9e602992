"""The paper's masked model: particles within their masks, the picture's features outside.

DLP, section 4.3: for scenes that are not made of objects. Appearance, prior and losses are those of
the object model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlp.config import DLPConfig
from dlp.losses import Loss, gaussian_kl
from dlp.masked.head import HeatmapHead
from dlp.masked.landmarks import DEEP, LandmarkModel, in_use, masks, trunk
from dlp.masked.tps import equivariance, random_warp
from dlp.model import Encoding
from dlp.paper.background import CELL, ParticleMap, painter
from dlp.paper.objective import distance, divergence, draw
from dlp.paper.posterior import AppearanceEncoder
from dlp.paper.prior import PatchPrior
from dlp.paper.vgg import VGGDistance
from dlp.particles import Particles
from dlp.prior import Proposals


@dataclass(frozen=True)
class Posterior:
    """What a batch of frames is encoded to.

    Args:
        encoding: the means.
        position: [b, k, 2] z_p at which the glimpses were read: drawn, or the means.
        bypass: [b, k, h / 8, w / 8] the encoder's own features.
    """

    encoding: Encoding
    position: Tensor
    bypass: Tensor


class MaskedDLP(LandmarkModel):
    """Frames to particles and back.

    Args:
        config: the settings; `config.paper` has this model's own.
        size: (h, w) of the frames, multiples of the patch and of 8.
        perceptual: the VGG distance, needed for the loss with `rec: vgg` only.
    """

    def __init__(
        self, config: DLPConfig, size: tuple[int, int], perceptual: VGGDistance | None = None
    ) -> None:
        width, k = config.width, config.particles
        super().__init__(config, size, (k, size[0] // CELL, size[1] // CELL), perceptual)
        self.prior = PatchPrior(config, stride=2)
        self.trunk = trunk(width)
        self.position = HeatmapHead(k, width, self.cells[0] * self.cells[1])
        self.appearance = AppearanceEncoder(config)
        # As coarse and as thin as published: detail must come through the particles.
        self.bypass = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4 * width, k, 1))
        self.particles = ParticleMap(config, size)
        self.fine = painter(self.particles.outputs + k, width, DEEP)

    def _posterior(
        self, image: Tensor, sample: bool, prior_sees: Tensor | None = None
    ) -> Posterior:
        """Encode `image` [b, 3, h, w], with glimpses at drawn positions or at the means.

        Args:
            prior_sees: another picture for the prior, of which only the proposals are told.
        """
        features = self.trunk(image - 0.5)
        mean, log_variance = self.position(features)
        position = draw(mean, log_variance) if sample else mean
        # Glimpses tell what is there; where that is, the decoder's maps alone teach.
        _, appearance, log_appearance = self.appearance(image, position.detach())
        proposals = self.prior(image if prior_sees is None else prior_sees)
        particles = in_use(mean, log_variance, appearance)
        if not self.training:
            particles = replace(particles, log_variance=self.calibration(particles))
        encoding = Encoding(particles, log_appearance, proposals)
        return Posterior(encoding, position, self.bypass(features))

    def look(self, image: Tensor) -> tuple[Encoding, Tensor]:
        """The means of frames [b, 3, h, w], and the encoder's own features of each."""
        posterior = self._posterior(image, sample=False)
        return posterior.encoding, posterior.bypass

    def paint(self, particles: Particles, rest: Tensor) -> Tensor:
        """The frames of particles [b, k] and the encoder's features, [b, 3, h, w]."""
        inside = masks(particles.position, self.cells, self.config.sigma_prior)
        within = inside * self.particles.map(particles)
        outside = (1 - inside) * F.interpolate(rest, scale_factor=2)
        return self.fine(torch.cat([within, outside], 1)).sigmoid()

    def loss(self, image: Tensor, progress: float) -> Loss:
        """The training objective (DLP, section 4.2); nothing in it is phased in.

        Args:
            image: [b, 3, h, w] in [0, 1].
            progress: not used.
        """
        config, paper = self.config, self.config.paper
        warp = random_warp(image) if paper.tps else None
        posterior = self._posterior(image, True, None if warp is None else warp.image(image))
        mean = posterior.encoding.particles
        log_appearance = posterior.encoding.appearance_log_variance
        sample = replace(
            mean,
            position=posterior.position,
            appearance=draw(mean.appearance, log_appearance),
        )
        scene = self.decode(sample, posterior.bypass)
        rec = distance(config, self.perceptual, scene.image, image).mean()
        proposals: Proposals = posterior.encoding.proposals
        # What was proposed in the bent picture is told where it lies in the frame itself.
        places = proposals.position if warp is None else warp(proposals.position)
        positions = divergence(config, mean, places).mean()
        zero = torch.zeros((), device=image.device)
        appearance = gaussian_kl(mean.appearance, log_appearance, zero, zero).sum(1).mean()
        total = paper.beta_rec * rec + config.beta_kl * (positions + config.kl_balance * appearance)
        held: dict[str, Tensor] = {}
        if paper.equivariance:
            bent = random_warp(image)
            moved, _ = self.position(self.trunk(bent.image(image) - 0.5))
            held["equivariance"] = equivariance(bent, mean.position, moved)
            total = total + paper.equivariance * held["equivariance"]
        self.remember(posterior.bypass)
        terms = {
            "loss": total,
            "reconstruction": rec,
            "chamfer_kl": positions,
            "appearance_kl": appearance,
            "covered": scene.mask.mean(),
            "sigma": (mean.log_variance / 2).exp().mean(),
            **held,
        }
        return Loss(total, {name: value.detach() for name, value in terms.items()})
