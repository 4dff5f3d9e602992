"""Faces with their landmarks, true and predicted, and their particles coloured by confidence."""

from __future__ import annotations

import cv2
import numpy as np

from pipelines.draw import enlarge
from pipelines.regress import Faces

SIDE = 192
"""Pixels of a face's shorter side in the picture, about."""
TRUE, PREDICTED = (255, 255, 255), (255, 70, 60)


def faces_panel(frames: np.ndarray, faces: Faces, predicted: np.ndarray) -> np.ndarray:
    """Two rows: landmarks (white rings true, red dots predicted); particles, yellow the surest.

    Args:
        frames: [n, h, w, 3] uint8, those of `faces`, in their order.
        predicted: [n, l, 2] pixels.

    Returns:
        [2 h', n w', 3] uint8.
    """
    factor = max(1, round(SIDE / min(frames.shape[1:3])))
    known = faces.log_variance[: len(frames)].mean(-1)  # (n, k)
    span = max(float(np.ptp(known)), 1e-9)
    sureness = ((known.max() - known) / span * 255).astype(np.uint8)
    colours = cv2.applyColorMap(sureness, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    upper, lower = [], []
    for index, frame in enumerate(frames):
        large = enlarge(np.ascontiguousarray(frame), factor)
        top, bottom = large.copy(), large
        for point in faces.truth[index] + 0.5:
            _dot(top, point * factor, TRUE, factor, filled=False)
        for point in predicted[index] + 0.5:
            _dot(top, point * factor, PREDICTED, factor)
        for point, colour in zip(faces.position[index], colours[index].tolist(), strict=True):
            _dot(bottom, point * factor, (0, 0, 0), factor + 1)
            _dot(bottom, point * factor, colour, factor)
        upper.append(top)
        lower.append(bottom)
    return np.concatenate([np.concatenate(upper, 1), np.concatenate(lower, 1)])


def _dot(
    canvas: np.ndarray, centre: np.ndarray, colour: object, factor: int, filled: bool = True
) -> None:
    """A disc or ring; `centre` in pixels from the canvas's edge."""
    x, y = np.round((centre - 0.5) * 16).astype(int).tolist()
    radius = round(16 * (1.0 if filled else 1.6) * factor)
    thick = cv2.FILLED if filled else max(1, factor // 2)
    cv2.circle(canvas, (x, y), radius, colour, thick, cv2.LINE_AA, 4)  # type: ignore[call-overload]
