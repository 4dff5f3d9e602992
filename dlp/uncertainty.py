"""What a predicted deviation must become to mean what it says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlp.particles import LIVE, Particles

LOGIT = 6.0
"""Bound of a transparency's logit, as a clue."""
CLUES = ("log variance", "log scale", "transparency", "cut", "cut crosswise", "crowd")
"""What tells how far off a position is, of x and of y."""


def clues(particles: Particles, glimpse: int, size: tuple[int, int]) -> Tensor:
    """What the particles themselves tell of how far off each of their coordinates is.

    The posterior's own log sigma^2; the scale's logarithm; the transparency's logit; the share of
    the half patch that the frame's edge cuts off along this axis, and along the other one; and the
    live neighbours, each counted by its nearness.

    Args:
        particles: [..., k, ...].
        glimpse: side of a patch at scale 1, pixels.
        size: (h, w) of the frames.

    Returns:
        [..., k, 2, len(CLUES)], x and y.
    """
    side = particles.position.new_tensor([size[1], size[0]])
    reach = particles.scale[..., None] * glimpse / 2  # (..., k, 1), pixels
    edge = (1 - particles.position.abs()) * side / 2  # (..., k, 2), pixels
    cut = (1 - edge / reach).clamp(0, 1)
    apart = (particles.position[..., :, None, :] - particles.position[..., None, :, :]) * side / 2
    near = (-apart.square().sum(-1) / reach**2).exp()  # (..., k, k)
    live = (particles.transparency > LIVE)[..., None, :]
    crowd = (near * live * ~torch.eye(near.shape[-1], dtype=torch.bool, device=near.device)).sum(-1)
    logit = torch.logit(particles.transparency, eps=1e-4).clamp(-LOGIT, LOGIT)
    shared = torch.stack([particles.scale.log(), logit], -1)[..., None, :].expand(*cut.shape, 2)
    crosswise = cut.flip(-1)
    crowds = crowd[..., None].expand_as(cut)
    own = particles.log_variance
    return torch.cat(
        [own[..., None], shared, torch.stack([cut, crosswise, crowds], -1)], -1
    )  # (..., k, 2, clues)


class Calibration(nn.Module):
    """A linear map from the clues to log sigma^2, fitted on held-out frames, not by gradients.

    It begins as the identity: the posterior's own log sigma^2.

    Args:
        glimpse: side of a patch at scale 1, pixels.
        size: (h, w) of the frames.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, glimpse: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.glimpse = glimpse
        self.size = size
        self.register_buffer("weight", torch.zeros(2, len(CLUES)))
        self.register_buffer("bias", torch.zeros(2))
        self.reset()

    def reset(self) -> None:
        """Back to the identity."""
        self.weight.zero_()
        self.weight[:, 0] = 1
        self.bias.zero_()

    def forward(self, particles: Particles) -> Tensor:
        """Particles [..., k, ...] to their calibrated log sigma^2 [..., k, 2]."""
        found = clues(particles, self.glimpse, self.size)
        return (found * self.weight).sum(-1) + self.bias
