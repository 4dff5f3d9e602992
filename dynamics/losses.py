"""The unrolled objective of stage 2, a pure function."""

from __future__ import annotations

import torch

from dlp.losses import Loss
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.windows import Window


def unrolled_loss(model: GraphDynamics, window: Window, horizon: int) -> Loss:
    """Mean error of the model's own rollout where the particles were seen (no teacher forcing).

    Those that leave the frame are followed out of it, and are to fade.

    The position's is the root of (squared pixels + 0.1): futures that a collision has made
    unpredictable then pull no harder than the others.

    Args:
        window: b windows of at least `horizon` target frames.
        horizon: steps to unroll.
    """
    mask = (window.mask + window.left)[:, :horizon]
    count = mask.sum().clamp(min=1)
    states = list(unroll(model, window.state, horizon))
    position = torch.stack([state.position[:, -1] for state in states], 1)  # (b, u, n, 2)
    code = torch.stack([state.code for state in states], 1)
    off = ((position - window.position[:, :horizon]) * model.side).square().sum(-1)
    unlike = ((code - window.code[:, :horizon]) / model.code_std).square().mean(-1)
    where = ((off + 0.1).sqrt() * mask).sum() / count
    what = ((unlike + 0.01).sqrt() * mask).sum() / count
    first = mask[:, 0].sum().clamp(min=1)
    total = where + 0.5 * what
    terms = {
        "loss": total,
        "position": where,
        "code": what,
        "first_step_pixels": (off[:, 0].sqrt() * mask[:, 0]).sum() / first,
    }
    return Loss(total, {name: value.detach() for name, value in terms.items()})
