"""A made encoder with known errors, whose predicted deviation is off by known factors."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from data.videos import Truth, Video
from dlp.model import Encoding
from dlp.particles import Particles, from_pixels
from dlp.prior import Proposals
from pipelines.calibrate import stretch

SIZE, FRAMES = 64, 300
PREDICTED = 0.5  # px, by the made encoder
NOISE = torch.tensor([2.0, 0.25])  # px, what it truly is


@dataclass
class Guess:
    """Finds the one red pixel of a frame, with noise."""

    size: tuple[int, int] = (SIZE, SIZE)

    def background_image(self) -> Tensor:
        return torch.zeros(3, SIZE, SIZE)

    def encode(self, image: Tensor) -> Encoding:
        flat = image[:, 0].flatten(1).argmax(1)
        place = torch.stack([flat % SIZE, flat // SIZE], -1)[:, None].float()
        noise = NOISE * torch.randn_like(place)
        position = from_pixels(place + noise.clamp(-3, 3), SIZE, SIZE)
        sigma = torch.full_like(position, PREDICTED * 2 / SIZE)
        ones = torch.ones(len(image), 1)
        particles = Particles(position, 2 * sigma.log(), ones[..., None], ones, ones, ones)
        return Encoding(particles, ones[..., None], Proposals(position, ones))


def clip(known: bool) -> Video:
    rng = np.random.default_rng(0)
    place = rng.integers(8, SIZE - 8, (FRAMES, 1, 2))
    frames = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
    frames[np.arange(FRAMES), place[:, 0, 1], place[:, 0, 0], 0] = 255
    ones = np.ones((FRAMES, 1), np.float32)
    truth = Truth(place.astype(np.float32), ones > 0, ones) if known else None
    return Video("one", frames, truth=truth)


@pytest.mark.parametrize("known", [True, False], ids=["truth", "shifted copy"])
def test_the_stretch_makes_the_predicted_deviation_the_true_one(known: bool) -> None:
    torch.manual_seed(0)
    found = (stretch(Guess(), [clip(known)]) / 2).exp() * PREDICTED  # type: ignore[arg-type]
    assert torch.allclose(found, NOISE, rtol=0.2)


def test_too_few_particles_change_nothing() -> None:
    short = clip(True)
    few = Video("few", short.frames[:5], truth=short.truth and short.truth.at(slice(0, 5)))
    assert torch.equal(stretch(Guess(), [few]), torch.zeros(2))  # type: ignore[arg-type]
