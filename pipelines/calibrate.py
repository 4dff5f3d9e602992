"""Fit what makes a predicted standard deviation mean what it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from data.videos import Video
from dlp.build import ParticleModel
from dlp.particles import LIVE, to_pixels
from dlp.uncertainty import clues
from pipelines.encode import encode_frames
from pipelines.frames import FramePool
from pipelines.metrics import TOLERANCE
from pipelines.probes import nearest, shift_frames

FRAMES = 320
"""Frames of all videos together that are looked at, at most."""
SHIFT = (2, -3)
"""Pixels, (x, y), by which the picture is moved where no truth is known."""
ONE_SIGMA = 0.6827
"""Share of a Gaussian that lies within one standard deviation."""
FEWEST = 20
"""Particles below which nothing is changed."""
ENOUGH = 200
"""Particles below which sigma is stretched alone, and its clues are not weighed."""
SMALLEST = 0.02
"""Pixels: errors below this are all the same small."""
RIDGE = 0.05
"""Of the number of particles: how firmly the weights of the standardised clues are held at 0."""


def calibrate(model: ParticleModel, videos: Sequence[Video]) -> None:
    """Set `model.calibration` so that sigma follows the error, 68 % of them within one sigma.

    The logarithm of the squared error is fitted by the clues, linearly, and then stretched. The
    truth is the visible mask's centroid. Where it is not known, the same object in the picture
    shifted by whole pixels stands for it: half the squared difference is then one estimate's own.

    Args:
        model: in eval mode.
        videos: of one source, held out, one or more; of more than FRAMES, as many, spread evenly.
    """
    model.calibration.reset()
    some = np.linspace(0, len(videos) - 1, min(len(videos), FRAMES)).astype(int)
    found = [_errors(model, videos[index], FRAMES // len(some)) for index in some]
    if sum(len(miss) for _, miss in found) < FEWEST:
        return
    every = np.concatenate([one for one, _ in found]).astype(np.float64)  # (m, 2, clues)
    miss = np.concatenate([one for _, one in found])  # (m, 2), units
    side = np.array(model.size[::-1])
    for axis in range(2):
        weight = model.calibration.weight[axis].double().numpy(force=True)
        if len(miss) >= ENOUGH:
            weight = _weights(every[:, axis], miss[:, axis], SMALLEST * 2 / side[axis])
        sigma = np.exp(every[:, axis] @ weight / 2)
        stretch = np.quantile(np.abs(miss[:, axis]) / sigma, ONE_SIGMA)
        model.calibration.weight[axis] = torch.from_numpy(weight)
        model.calibration.bias[axis] = 2 * float(np.log(max(stretch, 1e-12)))


def _weights(every: np.ndarray, miss: np.ndarray, smallest: float) -> np.ndarray:
    """Ridge regression of log(miss^2) [m] on the clues [m, c]: [c]; what never varies gets 0."""
    target = np.log(miss**2 + smallest**2)
    spread = every.std(0)
    scaled = (every - every.mean(0)) / np.maximum(spread, 1e-9)
    square = scaled.T @ scaled + RIDGE * len(miss) * np.eye(len(spread))
    weight = np.linalg.solve(square, scaled.T @ (target - target.mean()))
    return np.where(spread > 1e-6, weight / np.maximum(spread, 1e-9), 0.0)


def _errors(model: ParticleModel, video: Video, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Each live particle's clues [m, 2, c] and error [m, 2], in [-1, 1] units, where known."""
    height, width = model.size
    times = FramePool([video]).spread(frames)
    picture = np.ascontiguousarray(video.frames[times])
    particles = encode_frames(model, picture)
    position = to_pixels(particles.position, height, width).numpy()
    live = particles.transparency.numpy() > LIVE
    told = clues(particles, model.config.glimpse, model.size).numpy()
    if video.truth is not None:
        truth = video.truth.at(times)
        target, usable, share = truth.position, truth.visible, 1.0
    else:
        again = encode_frames(model, shift_frames(picture, SHIFT))
        target = to_pixels(again.position, height, width).numpy() - np.array(SHIFT)
        usable, share = again.transparency.numpy() > LIVE, np.sqrt(0.5)
    index, _ = nearest(position, target, usable, TOLERANCE * max(model.size))
    frame, slot = np.nonzero(live & (index >= 0))
    miss = position[frame, slot] - target[frame, index[frame, slot]]
    return told[frame, slot], share * miss * 2 / np.array([width, height])
