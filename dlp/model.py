"""The deep latent particles autoencoder, top to bottom (DLP, figure 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from dlp.backdrop import backdrop
from dlp.config import DLPConfig
from dlp.decoder import ObjectDecoder, Scene
from dlp.encoder import GlimpseEncoder, Look
from dlp.glimpse import crop, inside_frame
from dlp.losses import (
    Loss,
    centroid_offset,
    chamfer_kl,
    gaussian_kl,
    not_shadow,
    position_likelihood,
)
from dlp.particles import LIVE, Particles
from dlp.prior import PatchPrior, Proposals
from dlp.suppress import suppress
from dlp.uncertainty import Calibration

DEPTH_BOUND = 4.0
CONTRAST = 3.0
"""What the networks see is the frame, and so many times its difference from the background."""
EASY = 0.1
"""The hold at the mask's centroid begins with this share: masks have to be found first."""
ODD = 0.5
"""Squared difference from the background that makes a patch worth a look in training."""


@dataclass(frozen=True)
class Encoding:
    """The posterior of a batch of frames.

    Args:
        particles: the means, [b, k, ...].
        appearance_log_variance: [b, k, d].
        proposals: the n_prior best keypoints, best first.
        first: the first look at each particle, or None from a model that looks once.
    """

    particles: Particles
    appearance_log_variance: Tensor
    proposals: Proposals
    first: Look | None = None


class DLP(nn.Module):
    """Frames to particles and back.

    Args:
        config: the settings.
        size: (h, w) of the frames, multiples of the patch.

    Outside of training `calibration` makes the positions' log sigma^2 mean what it says.
    """

    def __init__(self, config: DLPConfig, size: tuple[int, int]) -> None:
        super().__init__()
        if size[0] % config.patch or size[1] % config.patch:
            raise ValueError(
                f"frames of {size[0]}x{size[1]} pixels do not divide into patches of "
                f"{config.patch}: set dlp.patch or frames.size"
            )
        self.config = config
        self.size = size
        self.prior = PatchPrior(config)
        self.encoder = GlimpseEncoder(config)
        self.decoder = ObjectDecoder(config, size)
        self.calibration = Calibration(config.glimpse, size)

    def see(self, image: Tensor) -> Tensor:
        """What the networks look at, [b, 6, h, w]: frames, and what differs from the background."""
        still = backdrop(self.decoder.background, image)
        return torch.cat([image - 0.5, CONTRAST * (image - still)], 1)

    def encode(self, image: Tensor, explore: float = 0.0, widen: float = 1.0) -> Encoding:
        """The posterior particles of a batch of frames.

        Args:
            image: [b, 3, h, w] in [0, 1].
            explore: scale of the Gumbel noise on the choice among proposals, and of the
                preference for patches that differ from the background (training).
            widen: how many times as far particles suppress each other (training).
        """
        config = self.config
        h, w = self.size
        side = image.new_tensor([w, h])
        seen = self.see(image)
        found = self.prior(seen)
        reach = widen * config.glimpse / 3
        score = suppress(found.presence.sigmoid(), found.position, reach, side)
        rank = score.detach().clamp(1e-6, 1 - 1e-6).logit()
        if explore:
            # A thing that was missed is chosen by luck alone, so it would seldom be learned.
            odd = ((seen[:, 3:] / CONTRAST) ** 2).sum(1, keepdim=True)
            odd = avg_pool2d(odd, config.patch).flatten(1) * config.patch**2  # (b, patches)
            rank = rank + explore * config.curiosity * odd / (odd + ODD)
            rank = rank - explore * torch.empty_like(rank).exponential_().log()
        best = rank.topk(min(config.n_prior, rank.shape[1])).indices  # (b, n_prior)
        proposals = Proposals(
            found.position.gather(1, best[..., None].expand(-1, -1, 2)),
            found.presence.gather(1, best),
        )
        k = min(config.particles, best.shape[1])
        first, look = self.encoder(seen, proposals.position[:, :k])
        alive = look.transparency.sigmoid()
        scale = (look.scale[:, :, None] + look.scale[:, None]) / 2
        reach = widen * config.glimpse / 4 * scale.detach()  # (b, k, k)
        particles = Particles(
            position=look.position,
            log_variance=look.log_variance,
            appearance=look.appearance,
            transparency=suppress(alive, look.position, reach, side),
            scale=look.scale,
            depth=DEPTH_BOUND * torch.tanh(look.depth),
        )
        if not self.training:
            particles = replace(particles, log_variance=self.calibration(particles))
        return Encoding(particles, look.appearance_log_variance, proposals, first)

    def decode(self, particles: Particles) -> Scene:
        """The frames of `particles` with one leading axis."""
        return self.decoder(particles)

    def forward(self, image: Tensor) -> Scene:
        """Encode and decode the means."""
        return self.decode(self.encode(image).particles)

    def loss(self, image: Tensor, progress: float) -> Loss:
        """The training objective.

        Args:
            image: [b, 3, h, w] in [0, 1].
            progress: the share of the training that is done, in [0, 1]: decides the warm-up.
        """
        config = self.config
        phase = min(1.0, progress / config.warmup) if config.warmup else 1.0
        opening = max(0.0, 1 - 3 * phase)
        encoding = self.encode(image, explore=1.0, widen=config.wide + (1 - config.wide) * phase)
        mean = encoding.particles
        log_appearance = encoding.appearance_log_variance
        sample = replace(
            mean,
            position=mean.position
            + (mean.log_variance / 2).exp() * torch.randn_like(mean.position),
            appearance=mean.appearance
            + (log_appearance / 2).exp() * torch.randn_like(mean.appearance),
        )
        # Patches that have not learned yet would have the background hide them.
        cover = self.decoder.cover()
        scene = self.decoder(
            sample, alpha_noise=0.5 * opening, cover=cover.detach() if opening else cover
        )
        alive = mean.transparency
        reconstruction = ((scene.image - image) ** 2).sum((1, 2, 3)).mean()
        prior_log_variance = mean.log_variance.new_full((1, 1, 2), config.sigma_prior).log() * 2
        positions = chamfer_kl(
            mean.position, mean.log_variance, encoding.proposals.position, prior_log_variance
        ).mean()
        zero = torch.zeros_like(log_appearance)
        appearance = gaussian_kl(mean.appearance, log_appearance, zero, zero).sum(1).mean()
        live = alive.sum(1).mean()
        # A proposal's presence learns to say beforehand what the glimpse will find.
        presence = binary_cross_entropy_with_logits(
            encoding.proposals.presence[:, : mean.count], alive.detach(), reduction="none"
        )
        presence = presence.sum(1).mean()
        # What lies beyond the frame's edge is nobody's to see: masks are free there.
        place = (mean.position.detach(), mean.scale.detach())
        mask = scene.patches[:, :, 3] * inside_frame(*place, config.glimpse, self.size)
        with torch.no_grad():
            under = crop(self.decoder.background.expand_as(image), *place, config.glimpse)
            body = not_shadow(scene.patches[:, :, :3], mask, under)
        # To vanish is no way to be centred: this does not price life.
        centre = (alive.detach() * centroid_offset(mask * body)).sum(1).mean()
        hold = config.centre * EASY ** (1 - phase)
        glimpses = reconstruction.new_zeros(())
        if opening:  # until the patches are a match for the background, they learn by themselves
            seen = crop(image, *place, config.glimpse)
            glimpses = ((scene.patches[:, :, :3] - seen) ** 2).sum((1, 2, 3, 4)).mean()
        pixels = alive * mean.scale**2
        covered = (pixels * mask.sum((-1, -2))).sum(1).mean()
        translucent = (pixels * (mask * (1 - mask)).sum((-1, -2))).sum(1).mean()
        front = cover.sum()
        first = encoding.first
        assert first is not None
        refine = position_likelihood(first.position, first.log_variance, mean.position)
        refine = (alive.detach() * refine).sum(1).mean()
        total = (
            reconstruction
            + config.beta_kl * (positions + config.kl_balance * appearance)
            + phase * config.price * live
            + hold * centre
            + phase * (config.area * covered + config.opaque * translucent + config.front * front)
            + config.refine * refine
            + presence
            + opening * config.glimpses * glimpses
        )
        terms = {
            "loss": total,
            "reconstruction": reconstruction,
            "chamfer_kl": positions,
            "appearance_kl": appearance,
            "live": (alive > LIVE).float().sum(1).mean(),
            "transparency": alive.mean(),
            "centre": centre,
            "covered": covered,
            "translucent": translucent,
            "front": front,
            "presence": presence,
            "refine": refine,
            "sigma": (mean.log_variance / 2).exp().mean(),
        }
        return Loss(total, {name: value.detach() for name, value in terms.items()})

    @property
    def warmup(self) -> float:
        """Share of the training in which nothing is settled yet, in [0, 1]."""
        return self.config.warmup

    def background_image(self) -> Tensor:
        """The scene without its things, [3, h, w] in about [0, 1]; it takes no gradient."""
        return self.decoder.background.detach()

    def start_from(self, median: Tensor) -> None:
        """Begin with the median of the training frames, [3, h, w] in [0, 1]."""
        self.decoder.background.data.copy_(median)

    def slow_parameters(self) -> list[nn.Parameter]:
        """The background: it starts at the median of the data."""
        return [self.decoder.background]
