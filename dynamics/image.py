"""The image loss of stage 2: predicted particles, drawn by stage 1's decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlp.decoder import Scene
from dlp.particles import Particles
from dynamics.tracks import decode_code


def image_loss(
    decode: Callable[[Particles], Scene],
    position: Tensor,
    code: Tensor,
    alive: Tensor,
    frames: Tensor,
) -> Tensor:
    """Squared error of one drawn step of each forecast, summed over pixels, mean over forecasts.

    One step of each is drawn at random: a frame costs as much as many steps of the graph.

    Args:
        decode: of stage 1, its weights frozen.
        position: [m, u, n, 2] predicted.
        code: [m, u, n, d + 3] predicted.
        alive: [m, n] bool.
        frames: [m, at least u, h, w, 3] uint8, the true ones.
    """
    m, u = position.shape[:2]
    one, step = torch.arange(m), torch.randint(u, (m,))
    drawn = decode(decode_code(position[one, step], code[one, step], alive)).image
    true = frames[one, step].permute(0, 3, 1, 2) / 255  # (m, 3, h, w)
    return (drawn - true).square().sum((1, 2, 3)).mean()
