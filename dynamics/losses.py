"""The unrolled objective of stage 2."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlp.losses import Loss
from dynamics.chance import Chance
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.windows import Window

SAMPLED = 4
"""One window in so many is also unrolled twice as a sampled future."""
SOFT = 0.1
"""Squared pixels added under the root of a distance."""


@dataclass(frozen=True)
class Unrolled:
    """A loss, and the middle futures that it judged.

    Args:
        loss: with its terms.
        position: [b, u, n, 2].
        code: [b, u, n, d + 3].
    """

    loss: Loss
    position: Tensor
    code: Tensor


def unrolled_loss(model: GraphDynamics, window: Window, horizon: int) -> Unrolled:
    """Mean error of the model's own rollout where the particles were seen (no teacher forcing).

    Those that leave the frame are followed out of it, and are to fade.

    The position's is the root of (squared pixels + 0.1): futures that a collision has made
    unpredictable then pull no harder than the others. Pairs of sampled futures x, x' of a part of
    the windows are held to the energy score (Gneiting & Raftery, 2007), which is least when they
    are distributed as the truth y is: (|x - y| + |x' - y|) / 2 - |x - x'| / 2, at every step.

    Args:
        window: b windows of at least `horizon` target frames.
        horizon: steps to unroll.
    """
    b = len(window.mask)
    pairs = -(-b // SAMPLED) if model.config.chance else 0
    index = torch.cat([torch.arange(b), torch.arange(pairs).repeat(2)]).to(window.mask.device)
    chance = Chance((len(index), window.mask.shape[2]), model.config.chance, device=index.device)
    sampled = (torch.arange(len(index), device=index.device) >= b)[:, None, None]
    states = list(unroll(model, window.state.sets(index), horizon, lambda: chance() * sampled))
    position = torch.stack([state.position[:, -1] for state in states], 1)  # (b + 2p, u, n, 2)
    code = torch.stack([state.code for state in states], 1)

    mask = (window.mask + window.left)[index, :horizon]
    off = ((position - window.position[index, :horizon]) * model.side).square().sum(-1)
    unlike = ((code - window.code[index, :horizon]) / model.code_std).square().mean(-1)
    where = _mean((off[:b] + SOFT).sqrt(), mask[:b])
    what = _mean((unlike + 0.01).sqrt(), mask)
    total = where + 0.5 * what
    terms = {
        "position": where,
        "code": what,
        "first_step_pixels": _mean(off[:b, :1].sqrt(), window.mask[:, :1]),
    }
    if pairs:
        one, other = position[b:].chunk(2)
        apart = (((one - other) * model.side).square().sum(-1) + SOFT).sqrt()
        missed = (off[b:] + SOFT).sqrt().unflatten(0, (2, pairs)).mean(0)
        terms["energy"] = _mean(missed - apart / 2, mask[b : b + pairs])
        total = total + terms["energy"]
    terms = {"loss": total, **terms}
    loss = Loss(total, {name: value.detach() for name, value in terms.items()})
    return Unrolled(loss, position[:b], code[:b])


def _mean(value: Tensor, mask: Tensor) -> Tensor:
    """The mean of a [b, u, n] where its mask is 1."""
    return (value * mask).sum() / mask.sum().clamp(min=1)
