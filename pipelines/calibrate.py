"""How far a predicted standard deviation must be stretched to mean what it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data.videos import Video
from dlp.build import ParticleModel
from dlp.particles import LIVE, to_pixels
from pipelines.encode import encode_frames
from pipelines.frames import FramePool
from pipelines.probes import nearest, shift_frames

FRAMES = 320
"""Frames of all videos together that are looked at."""
SHIFT = (2, -3)
"""Pixels, (x, y), by which the picture is moved where no truth is known."""
TOLERANCE = 0.06
"""Of the longer side: what lies farther is another object."""
ONE_SIGMA = 0.6827
"""Share of a Gaussian that lies within one standard deviation."""
FEWEST = 20
"""Particles below which nothing is changed."""


def stretch(model: ParticleModel, videos: Sequence[Video]) -> Tensor:
    """What to add to log sigma^2 so that 68 % of the particles lie within one sigma of the truth.

    The truth is the visible mask's centroid. Where it is not known, the same object in the picture
    shifted by whole pixels stands for it: half the squared difference is then one estimate's own.

    Args:
        model: in eval mode, its own stretch at 0.
        videos: of one source, held out.

    Returns:
        [2], x and y; zeros where there are too few particles to tell.
    """
    ratios = [_ratios(model, video, FRAMES // len(videos)) for video in videos]
    ratio = np.concatenate(ratios) if ratios else np.zeros((0, 2))
    if len(ratio) < FEWEST:
        return torch.zeros(2)
    factor = np.quantile(ratio, ONE_SIGMA, axis=0)
    return torch.from_numpy(2 * np.log(np.maximum(factor, 1e-3))).float()


def _ratios(model: ParticleModel, video: Video, frames: int) -> np.ndarray:
    """Absolute error over sigma of each live particle, per coordinate: [m, 2]."""
    height, width = model.size
    times = FramePool([video]).spread(max(frames, 1))
    picture = np.ascontiguousarray(video.frames[times])
    particles = encode_frames(model, picture)
    position = to_pixels(particles.position, height, width).numpy()
    live = particles.transparency.numpy() > LIVE
    sigma = np.exp(particles.log_variance.numpy() / 2) * np.array([width, height]) / 2
    if video.truth is not None:
        truth = video.truth.at(times)
        target, usable, share = truth.position, truth.visible, 1.0
    else:
        again = encode_frames(model, shift_frames(picture, SHIFT))
        target = to_pixels(again.position, height, width).numpy() - np.array(SHIFT)
        usable, share = again.transparency.numpy() > LIVE, np.sqrt(0.5)
    index, _ = nearest(position, target, usable, TOLERANCE * max(model.size))
    frame, slot = np.nonzero(live & (index >= 0))
    miss = np.abs(position[frame, slot] - target[frame, index[frame, slot]])
    return share * miss / sigma[frame, slot]
