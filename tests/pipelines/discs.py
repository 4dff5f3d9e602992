"""A clip of coloured discs that move in straight lines, drawn and known exactly."""

import cv2
import numpy as np

from data.videos import Truth, Video

COLOURS = ((230, 70, 60), (70, 160, 240), (240, 200, 60))


def disc_truth(steps: int = 12, size: int = 64, radius: int = 6) -> Truth:
    """One slow, one fast, one at rest; the radius is that at 64 px."""
    start = np.array([[12, 14], [16, 44], [48, 26]])
    velocity = np.array([[2.0, 0.5], [3.0, -0.75], [0.0, 0.0]])
    position = (start + np.arange(steps)[:, None, None] * velocity) * size / 64
    shape = position.shape[:2]
    radii = np.full(shape, radius * size / 64, np.float32)
    return Truth(position.astype(np.float32), np.ones(shape, bool), radii)


def disc_video(steps: int = 12, size: int = 64, radius: int = 6) -> Video:
    """The discs of `disc_truth` over a shaded ground."""
    truth = disc_truth(steps, size, radius)
    y, x = np.mgrid[0:size, 0:size] * 64 / size
    ground = np.stack([60 + x, 70 + y / 2, 120 - x / 2], -1).astype(np.uint8)
    frames = []
    for points in truth.position:
        frame = ground.copy()
        for point, colour in zip(points, COLOURS, strict=True):
            x16, y16 = np.round(point * 16).astype(int).tolist()
            cv2.circle(frame, (x16, y16), round(radius * size / 4), colour, -1, cv2.LINE_AA, 4)
        frames.append(frame)
    return Video("discs", np.stack(frames), 10.0, truth)
