"""What both of the paper's models are trained on: a picture's error, the positions' divergence."""

from __future__ import annotations

import torch
from torch import Tensor

from dlp.config import DLPConfig
from dlp.losses import chamfer_kl, gaussian_kl
from dlp.paper.vgg import VGGDistance
from dlp.particles import Particles


def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A sample of a Gaussian, with a gradient to both."""
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


def distance(
    config: DLPConfig, perceptual: VGGDistance | None, drawn: Tensor, truth: Tensor
) -> Tensor:
    """The reconstruction error of each image, [b, 3, h, w] both to [b], summed over pixels.

    Raises:
        ValueError: the config asks for VGG's features, and there are none.
    """
    squared = (drawn - truth).square().sum((1, 2, 3))
    if config.paper.rec == "mse":
        return squared
    if perceptual is None:
        raise ValueError("dlp.paper.rec is vgg: build the model with its VGG distance to train")
    return squared + perceptual(drawn, truth)


def divergence(config: DLPConfig, particles: Particles, proposals: Tensor) -> Tensor:
    """Of the positions from the prior (DLP, equation 3), or what an ablation has in its place.

    Args:
        particles: [b, k].
        proposals: [b, m, 2], (x, y) in [-1, 1].

    Returns:
        [b], nats.
    """
    mean, log_variance = particles.position, particles.log_variance
    prior = log_variance.new_full((1, 1, 2), config.sigma_prior).log() * 2
    if config.paper.kl == "chamfer":
        return chamfer_kl(mean, log_variance, proposals, prior)
    if config.paper.kl == "none":
        # Weight 0, not left out: with many processes each weight must get a gradient.
        return 0 * (mean.sum((1, 2)) + log_variance.sum((1, 2)) + proposals.sum((1, 2)))
    # Twice: Chamfer-KL counts each pair of a perfect match from both sides.
    return 2 * gaussian_kl(mean, log_variance, proposals[:, : mean.shape[1]], prior).sum(1)
