"""Forecasts that take no learning. A model that does not beat them has learned nothing.

Each takes context frames uint8 [c, h, w, 3] and gives `horizon` frames uint8 [horizon, h, w, 3].
"""

from __future__ import annotations

import cv2
import numpy as np


def copy_last(context: np.ndarray, horizon: int) -> np.ndarray:
    """The last context frame, again and again."""
    return np.repeat(context[-1:], horizon, 0)


def temporal_median(frames: np.ndarray, most: int = 101) -> np.ndarray:
    """Each pixel's median over time, from at most `most` frames spread evenly: [h, w, 3] uint8."""
    chosen = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)
    return np.median(frames[chosen], 0).round().astype(np.uint8)


def median_background(
    context: np.ndarray, horizon: int, background: np.ndarray | None = None
) -> np.ndarray:
    """The scene without its moving things.

    Args:
        background: [h, w, 3] uint8, such as the training set's `temporal_median`; by default
            that of the context.
    """
    still = temporal_median(context) if background is None else background
    return np.repeat(still[None], horizon, 0)


def optical_flow(context: np.ndarray, horizon: int) -> np.ndarray:
    """The last frame carried on by the flow between the last two (Farneback's method).

    At each step both the frame and the flow itself are warped by the flow, so a thing takes
    its velocity along. Needs two context frames; with one it is `copy_last`.
    """
    if len(context) < 2:
        return copy_last(context, horizon)
    previous, last = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in context[-2:])
    # From the last frame to the one before it: at each pixel, where it came from.
    came_from = np.zeros((*last.shape, 2), np.float32)
    cv2.calcOpticalFlowFarneback(last, previous, came_from, 0.5, 3, 15, 3, 5, 1.2, 0)
    height, width = last.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    frame, forecast = context[-1].astype(np.float32), []
    for _ in range(horizon):
        at = grid + came_from
        frame, came_from = _sample(frame, at), _sample(came_from, at)
        forecast.append(frame.round().clip(0, 255).astype(np.uint8))
    return np.stack(forecast)


def _sample(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Float image [h, w, c] at (x, y) pixels [h, w, 2]; outside it, its nearest edge."""
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def constant_velocity(position: np.ndarray, visible: np.ndarray, horizon: int) -> np.ndarray:
    """Each track carried on by its last displacement.

    Args:
        position: [c, n, 2] the context's positions, any unit.
        visible: [c, n] bool; a track not visible in both of the last two frames stands still.

    Returns:
        [horizon, n, 2] at steps 1 to horizon.
    """
    velocity = np.zeros_like(position[-1])
    if len(position) > 1:
        seen = visible[-1] & visible[-2]
        velocity = np.where(seen[:, None], position[-1] - position[-2], 0)
    steps = np.arange(1, horizon + 1, dtype=position.dtype)[:, None, None]
    return position[-1] + steps * velocity
