"""The background as each frame shows it: in that frame's light, where the camera shook to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dlp.arithmetic import exact

ODD = 0.06
"""Of the range [0, 1]: pixels that are off by this count half, they may be things."""
HOLD = 1e-3
"""Variance of a background below which its gain is held at 1: a flat one cannot tell."""
ROUNDS = 3
SHAKE = 5
"""Pixels, each way, within which the camera is looked for."""
CLEARER = 0.8
"""A shift is believed if it leaves at most this much of what is off without it."""


@torch.no_grad()
def backdrop(background: Tensor, image: Tensor) -> Tensor:
    """What each frame would show without its things.

    Args:
        background: [c, h, w] in about [0, 1].
        image: [b, c, h, w] in [0, 1].

    Returns:
        [b, c, h, w]; no gradient goes through it.
    """
    still = background.expand_as(image)
    lit = relight(still, image)
    shift = shift_of(still, image)
    rows = shift.any(-1).nonzero()[:, 0]  # frames that may be shaken
    if not len(rows):
        return lit
    shaken = image[rows]
    followed = relight(moved(still[rows], shift[rows]), shaken)
    better = odd(followed, shaken) < CLEARER * odd(lit[rows], shaken)
    lit[rows[better]] = followed[better]
    return lit


def odd(background: Tensor, image: Tensor) -> Tensor:
    """How much of each frame is off its background, [b] in [0, 1]: what is far off counts once."""
    square = ((image - background) / ODD).square().mean(1)
    return (square / (1 + square)).mean((-1, -2))


def moved(image: Tensor, shift: Tensor) -> Tensor:
    """Images [b, c, h, w] with their content moved by [b, 2] pixels (x, y), the border repeated."""
    b, _, h, w = image.shape
    theta = torch.eye(2, 3, device=image.device, dtype=image.dtype).repeat(b, 1, 1)
    theta[:, :, 2] = -shift * 2 / shift.new_tensor([w, h])
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def shift_of(background: Tensor, image: Tensor) -> Tensor:
    """How far each frame's scene lies from its background: [b, 2] pixels (x, y), within SHAKE.

    Phase correlation (Kuglin and Hines, 1975) of the brightness, tapered to the frame's border; the
    peak is refined by a parabola along each axis.
    """
    h, w = image.shape[-2:]
    taper = torch.hann_window(h, device=image.device)[:, None] * torch.hann_window(
        w, device=image.device
    )
    one, other = (
        torch.fft.rfft2((x - x.mean((-1, -2), keepdim=True)) * taper)
        for x in (image.mean(1), background.mean(1))
    )
    cross = one * other.conj()
    peak = torch.fft.irfft2(cross / (cross.abs() + 1e-9), s=(h, w))
    reach = torch.arange(-SHAKE - 1, SHAKE + 2, device=image.device)
    near = peak[:, reach][:, :, reach]  # (b, n, n), rows y, columns x
    n = 2 * SHAKE + 1
    inner = near[:, 1:-1, 1:-1].flatten(1).argmax(1)
    y, x = inner // n + 1, inner % n + 1
    every = torch.arange(len(image), device=image.device)

    def refine(low: Tensor, top: Tensor, high: Tensor) -> Tensor:
        bend = (low - 2 * top + high).clamp(max=-1e-9)
        return (0.5 * (low - high) / bend).clamp(-0.5, 0.5)

    top = near[every, y, x]
    dx = refine(near[every, y, x - 1], top, near[every, y, x + 1])
    dy = refine(near[every, y - 1, x], top, near[every, y + 1, x])
    found = torch.stack([x + dx, y + dy], -1) - SHAKE - 1
    # A camera at rest is at rest: half a parabola's error is no shake.
    return found * (found.norm(dim=-1, keepdim=True) > 0.25)


def relight(background: Tensor, image: Tensor) -> Tensor:
    """The background with each frame's own gain and offset, a channel at a time.

    Clouds, lamps and a camera's automatic exposure change all pixels alike, and things cover few of
    them: gain and offset are fitted by least squares, thrice, pixels that stay off counting less
    each time (1 / (1 + (r / 0.06)^2), Cauchy's weights).

    Args:
        background: [b, c, h, w] in about [0, 1].
        image: [b, c, h, w] in [0, 1].

    Returns:
        [b, c, h, w].
    """
    still, seen = background.flatten(2), image.flatten(2)  # (b, c, p)
    # Moments about the plain means: small numbers, so that their differences keep their digits.
    middle, height = still.mean(-1, keepdim=True), seen.mean(-1, keepdim=True)
    x, y = still - middle, seen - height
    powers = torch.cat([x, y, x * x, x * y], 1)  # (b, 4c, p)
    lit = still
    for _ in range(ROUNDS):
        off = (seen - lit).square_().mean(1, keepdim=True)  # (b, 1, p)
        weight = 1 / (1 + off / ODD**2)
        with exact(image):
            # A row times a matrix: a matrix times a column is ten times as slow on a CPU.
            sums = (weight @ powers.transpose(1, 2)).transpose(1, 2)  # (b, 4c, 1)
        mx, my, mxx, mxy = (sums / weight.sum(-1, keepdim=True)).chunk(4, 1)
        gain = (mxy - mx * my + HOLD) / (mxx - mx * mx + HOLD)
        lit = torch.addcmul(my + height - gain * (mx + middle), gain, still)
    return lit.view_as(image)
