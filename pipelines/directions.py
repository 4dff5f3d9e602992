"""The directions in which appearance varies most over the data, and what they look like.

Principal components of the live particles' appearance (Pearson, 1901).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from data.videos import Video
from dlp.build import ParticleModel
from dlp.glimpse import crop
from dlp.masked.model import MaskedDLP
from dlp.particles import LIVE, Particles
from pipelines.encode import encode_frames
from pipelines.frames import FramePool, to_tensor, to_uint8

FRAMES = 96
"""Frames that are encoded, evenly spread over the videos."""
DIRECTIONS = 6
COLUMNS = 7
"""Glimpses along a direction."""
TAIL = 0.02
"""Share of the particles beyond either end of a direction."""


@dataclass(frozen=True)
class Directions:
    """n directions of appearance, the one of most variance first.

    Args:
        mean: [d] of the live particles.
        vectors: [n, d] orthonormal; of each, the largest number is positive.
        share: [n] of the variance, in [0, 1].
        low, high: [n] between which most particles lie, along the vector from the mean.
    """

    mean: Tensor
    vectors: Tensor
    share: Tensor
    low: Tensor
    high: Tensor


def principal_directions(appearance: Tensor, most: int = DIRECTIONS) -> Directions:
    """The principal directions of m appearances [m, d]; none of fewer than two."""
    m, d = appearance.shape
    mean = appearance.double().mean(0) if m else torch.zeros(d).double()
    centred = appearance.double() - mean
    _, size, vectors = torch.linalg.svd(centred, full_matrices=False)
    n = min(most, int((size > 1e-6).sum()))
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = (vectors * largest.sign())[:n]
    along = centred @ vectors.T  # (m, n)
    ends = torch.tensor([TAIL, 1 - TAIL]).double()
    low, high = along.quantile(ends, dim=0).float() if n else torch.zeros(2, 0)
    share = size.square() / size.square().sum()
    return Directions(mean.float(), vectors.float(), share[:n].float(), low, high)


def find_directions(model: ParticleModel, videos: Sequence[Video]) -> Directions:
    """The directions of the live particles in at most FRAMES frames; the same ones each time."""
    pool = FramePool(videos)
    particles = encode_frames(model, pool.take(pool.spread(FRAMES)))
    return principal_directions(particles.appearance[particles.transparency > LIVE])


@torch.no_grad()
def strips(model: ParticleModel, videos: Sequence[Video], directions: Directions) -> np.ndarray:
    """What a particle looks like along each direction, from its low to its high end.

    Returns:
        [n * p, COLUMNS * p, 3 or 4] uint8; p is the side of a patch. Of an object's patch, RGBA; of
        a landmark, what is round the middlemost one of the first frame.
    """
    n = len(directions.vectors)
    step = torch.linspace(0, 1, COLUMNS)
    along = directions.low[:, None] + step * (directions.high - directions.low)[:, None]
    looks = directions.mean + along[..., None] * directions.vectors[:, None]  # (n, columns, d)
    if isinstance(model, MaskedDLP):
        shown = _landmarks(model, videos[0].frames[:1], looks)
    else:
        one = torch.ones(n, COLUMNS)
        place = torch.zeros(n, COLUMNS, 2)
        shown = model.decode(Particles(place, place, looks, one, one, one * 0)).patches
    return to_uint8(rearrange(shown, "n columns c i j -> 1 c (n i) (columns j)"))[0]


def _landmarks(model: MaskedDLP, frame: np.ndarray, looks: Tensor) -> Tensor:
    """The surroundings of a frame's middlemost landmark with other looks, [n, m, 3, p, p].

    Args:
        frame: [1, h, w, 3] uint8.
        looks: [n, m, d].
    """
    n, m, _ = looks.shape
    encoding, rest = model.look(to_tensor(frame))
    particles = encoding.particles.apply(lambda tensor: tensor.repeat_interleave(n * m, 0))
    middle = int(particles.position[0].square().sum(-1).argmin())
    appearance = particles.appearance.clone()
    appearance[:, middle] = looks.flatten(0, 1)
    particles = replace(particles, appearance=appearance)
    image = model.decode(particles, rest.expand(n * m, *rest.shape[1:])).image
    place, scale = particles.position[:, middle, None], particles.scale[:, middle, None]
    round_it = crop(image, place, scale, model.config.glimpse)  # (n m, 1, 3, p, p)
    return rearrange(round_it, "(n m) 1 c i j -> n m c i j", n=n)
