"""What stage 1 makes of a few images, as one picture."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from dlp.particles import Particles, to_pixels
from pipelines.draw import (
    PALETTE,
    draw_boxes,
    draw_particles,
    enlarge,
    in_pixels,
    label,
    mask_boxes,
)

_CELL = 128  # least height of a cell, pixels


def panel(
    images: Tensor,
    particles: Particles,
    *,
    proposals: Tensor,
    reconstruction: Tensor,
    foreground: Tensor,
    masks: Tensor,
    background: Tensor,
    boxes: Tensor | None = None,
) -> np.ndarray:
    """Input, particles, proposals, reconstruction, foreground, masks, boxes, background.

    Args:
        images, reconstruction, foreground, background: [n, 3, h, w] in [0, 1].
        particles: of n images, [n, k, ...].
        proposals: [n, p, 2] in [-1, 1].
        masks: [n, k, h, w] of each particle, coloured like it, or [n, 1, h, w] of all, in [0, 1].
        boxes: [n, k, 4] (x0, y0, x1, y1) in pixels; by default around the masks of particles.
            With one mask for all and no boxes, that column is the input.

    Returns:
        [rows, columns, 3] uint8, a captioned row for each image.
    """
    height, width = images.shape[-2:]
    factor = max(1, -(-_CELL // height))
    position, transparency, deviation = in_pixels(particles, height, width)
    proposed = to_pixels(proposals.detach().float().cpu(), height, width).numpy()
    alpha = masks.detach().float().cpu().numpy()
    rows = []
    for i in range(len(images)):
        frame, live = _large(images[i], factor), transparency[i]
        if boxes is not None:
            sides = boxes[i].detach().float().cpu().numpy()
        elif alpha.shape[1] == len(live):
            sides = mask_boxes(alpha[i])
        else:
            sides = np.full((len(live), 4), np.nan)
        cells = {
            "input": frame,
            "particles": draw_particles(
                frame,
                position[i],
                live,
                factor=factor,
                deviation=deviation[i],
                radius=0.03 * height,
            ),
            "proposals": draw_particles(
                frame,
                proposed[i],
                np.ones(len(proposed[i])),
                factor=factor,
                identity=np.full(len(proposed[i]), 8),  # all alike: they have no identity
                radius=0.012 * height,
            ),
            "reconstruction": _large(reconstruction[i], factor),
            "foreground": _large(foreground[i], factor),
            "masks": enlarge(_coloured(alpha[i]), factor),
            "boxes": draw_boxes(frame, sides, live, factor=factor),
            "background": _large(background[i], factor),
        }
        rows.append(np.concatenate([label(_spaced(x), name) for name, x in cells.items()], 1))
    return np.concatenate(rows)


def _large(image: Tensor, factor: int) -> np.ndarray:
    """[3, h, w] in [0, 1] to [h * factor, w * factor, 3] uint8."""
    array = image.detach().float().cpu().clamp(0, 1).mul(255).round().byte()
    return enlarge(np.ascontiguousarray(array.permute(1, 2, 0).numpy()), factor)


def _spaced(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, 4), (0, 4), (0, 0)), constant_values=24)


def _coloured(masks: np.ndarray) -> np.ndarray:
    """[k, h, w] in [0, 1] to [h, w, 3] uint8; one mask alone stays white."""
    count = len(masks)
    colours = PALETTE[np.arange(count) % len(PALETTE)] if count > 1 else np.full((1, 3), 255)
    mixed = np.einsum("khw,kc->hwc", masks, colours.astype(np.float32))
    # Where masks overlap, their colours share the pixel instead of saturating to white.
    return (mixed / np.maximum(masks.sum(0), 1)[..., None]).clip(0, 255).astype(np.uint8)
