"""The terms of the stage 1 objective (DLP, section 4.2), as pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DARKEST = 0.4
"""What a shadow leaves of the ground's light, at least."""
COLOURED = 0.02
"""Squared distance over the channels at which a pixel is half a thing's: 0.14 in one of them."""


@dataclass(frozen=True)
class Loss:
    """A loss and what it is made of.

    Args:
        total: scalar to minimise, a mean over the batch's items.
        terms: named scalars for the curves, detached.
    """

    total: Tensor
    terms: dict[str, Tensor]


def gaussian_kl(mean_q: Tensor, log_q: Tensor, mean_p: Tensor, log_p: Tensor) -> Tensor:
    """KL(N(mean_q, exp log_q) || N(mean_p, exp log_p)), summed over the last axis.

    Args:
        mean_q, log_q, mean_p, log_p: [..., n], means and log-variances; they broadcast.

    Returns:
        [...], nats.
    """
    ratio = (log_q - log_p).exp() + (mean_q - mean_p) ** 2 / log_p.exp()
    return 0.5 * (ratio - 1 + log_p - log_q).sum(-1)


def chamfer_kl(mean_q: Tensor, log_q: Tensor, mean_p: Tensor, log_p: Tensor) -> Tensor:
    """Chamfer-KL of two sets of Gaussians without order (DLP, equation 3).

    sum_i min_j KL(q_i || p_j) + sum_j min_i KL(q_i || p_j); the KL keeps its direction.

    Args:
        mean_q, log_q: [b, k, n].
        mean_p, log_p: [b, m, n].

    Returns:
        [b], nats.
    """
    pairs = gaussian_kl(
        mean_q[:, :, None], log_q[:, :, None], mean_p[:, None], log_p[:, None]
    )  # (b, k, m)
    return pairs.min(2).values.sum(1) + pairs.min(1).values.sum(1)


def position_likelihood(position: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of a better estimate of a position, which teaches the variance alone.

    Args:
        position, log_variance: [b, k, 2] of an estimate.
        target: [b, k, 2], the better one.

    Returns:
        [b, k], nats, without the constant.
    """
    square = ((target - position) ** 2).detach()
    return 0.5 * (square / log_variance.exp() + log_variance).sum(-1)


def not_shadow(rgb: Tensor, alpha: Tensor, ground: Tensor) -> Tensor:
    """How much of what a patch draws is a thing, and not the shadow that it throws.

    A shadow is the ground again, darker: the drawn colour x is near s g for some s from 0.4 to 1.
    The weight is d / (d + 0.02), with d the squared distance of x from the nearest such colour.

    Args:
        rgb: [b, k, 3, p, p] in [0, 1], the patches.
        alpha: [b, k, p, p] in [0, 1], their masks.
        ground: [b, k, 3, p, p] in about [0, 1], the background beneath them.

    Returns:
        [b, k, p, p] in [0.02, 1]: never nothing, or a grey thing on grey had no centre.
    """
    drawn = ground + alpha[:, :, None] * (rgb - ground)
    tone = (drawn * ground).sum(2) / ((ground**2).sum(2) + 1e-4)
    tone = tone.clamp(DARKEST, 1)[:, :, None]
    residue = ((drawn - tone * ground) ** 2).sum(2)
    return (residue / (residue + COLOURED)).clamp(min=0.02)


def centroid_offset(alpha: Tensor) -> Tensor:
    """Squared distance of each mask's centroid from the centre of its patch.

    Zero means that a particle's position is its object's centroid, which makes tracks smooth:
    without it a patch may draw its object anywhere in itself.

    Args:
        alpha: [..., p, p] in [0, 1].

    Returns:
        [...], in units of half the patch's side.
    """
    p = alpha.shape[-1]
    steps = (torch.arange(p, device=alpha.device, dtype=alpha.dtype) + 0.5) * 2 / p - 1
    mass = alpha.sum((-1, -2)) + 1e-3
    x = (alpha.sum(-2) * steps).sum(-1) / mass
    y = (alpha.sum(-1) * steps).sum(-1) / mass
    return x**2 + y**2
