"""A made encoder with known errors, whose predicted deviation is off by known factors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from data.videos import Truth, Video
from dlp.config import DLPConfig
from dlp.model import Encoding
from dlp.particles import Particles, from_pixels
from dlp.prior import Proposals
from dlp.uncertainty import Calibration
from pipelines.calibrate import FRAMES as MOST
from pipelines.calibrate import calibrate
from pipelines.frames import to_tensor

SIZE, FRAMES = 64, 300
PREDICTED = 0.5  # px, by the made encoder
NOISE = torch.tensor([2.0, 0.25])  # px, what it truly is


class Guess:
    """Finds the one red pixel of a frame, with noise, on the left `worse` times as much."""

    def __init__(self, worse: float = 1.0) -> None:
        self.size = (SIZE, SIZE)
        self.config = DLPConfig(particles=1)
        self.calibration = Calibration(self.config.glimpse, self.size)
        self.worse = worse

    def background_image(self) -> Tensor:
        return torch.zeros(3, SIZE, SIZE)

    def encode(self, image: Tensor) -> Encoding:
        flat = image[:, 0].flatten(1).argmax(1)
        place = torch.stack([flat % SIZE, flat // SIZE], -1)[:, None].float()
        left = place[..., :1] < SIZE / 2
        noise = NOISE * torch.randn_like(place).clamp(-3, 3) * torch.where(left, self.worse, 1.0)
        position = from_pixels(place + noise, SIZE, SIZE)
        sigma = torch.full_like(position, PREDICTED * 2 / SIZE)
        ones = torch.ones(len(image), 1)
        # The scale tells which half it is, and nothing else does.
        scale = torch.where(left[..., 0], 1.2, 0.8)
        particles = Particles(position, 2 * sigma.log(), ones[..., None], ones, scale, ones)
        calibrated = replace(particles, log_variance=self.calibration(particles))
        return Encoding(calibrated, ones[..., None], Proposals(position, ones))


def clip(known: bool) -> Video:
    rng = np.random.default_rng(0)
    place = rng.integers(8, SIZE - 8, (FRAMES, 1, 2))
    frames = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
    frames[np.arange(FRAMES), place[:, 0, 1], place[:, 0, 0], 0] = 255
    ones = np.ones((FRAMES, 1), np.float32)
    truth = Truth(place.astype(np.float32), ones > 0, ones) if known else None
    return Video("one", frames, truth=truth)


def sigmas(model: Guess, video: Video) -> tuple[Tensor, Tensor]:
    """The calibrated deviations in pixels, [t, 2], and which lie in the left half."""
    calibrate(model, [video])  # type: ignore[arg-type]
    particles = model.encode(to_tensor(video.frames)).particles
    return (particles.log_variance[:, 0] / 2).exp() * SIZE / 2, particles.scale[:, 0] > 1


@pytest.mark.parametrize("known", [True, False], ids=["truth", "shifted copy"])
def test_calibration_makes_the_predicted_deviation_the_true_one(known: bool) -> None:
    torch.manual_seed(0)
    found, _ = sigmas(Guess(), clip(known))
    assert torch.allclose(found.mean(0), NOISE, rtol=0.2)


@pytest.mark.parametrize("known", [True, False], ids=["truth", "shifted copy"])
def test_calibration_tells_the_worse_half_from_the_better(known: bool) -> None:
    torch.manual_seed(0)
    found, left = sigmas(Guess(worse=0.3), clip(known))
    assert torch.allclose(found[left].mean(0), 0.3 * NOISE, rtol=0.35)
    assert torch.allclose(found[~left].mean(0), NOISE, rtol=0.35)


def test_calibrating_twice_is_calibrating_once() -> None:
    model = Guess()
    torch.manual_seed(0)
    calibrate(model, [clip(True)])  # type: ignore[arg-type]
    once = model.calibration.weight.clone(), model.calibration.bias.clone()
    torch.manual_seed(0)
    calibrate(model, [clip(True)])  # type: ignore[arg-type]
    assert torch.equal(once[0], model.calibration.weight)
    assert torch.equal(once[1], model.calibration.bias)


def test_too_few_particles_change_nothing() -> None:
    short = clip(True)
    few = Video("few", short.frames[:5], truth=short.truth and short.truth.at(slice(0, 5)))
    model = Guess()
    calibrate(model, [few])  # type: ignore[arg-type]
    fresh = Calibration(model.config.glimpse, model.size)
    assert torch.equal(model.calibration.weight, fresh.weight)
    assert torch.equal(model.calibration.bias, fresh.bias)


class Counting(Guess):
    """Notes the place of the red pixel of each frame that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def encode(self, image: Tensor) -> Encoding:
        self.given += image[:, 0].flatten(1).argmax(1).tolist()
        return super().encode(image)


def numbered(count: int, length: int) -> list[Video]:
    """Videos whose red pixel's place is their own number."""
    frames = np.zeros((count, length, SIZE * SIZE, 3), np.uint8)
    frames[np.arange(count), :, np.arange(count), 0] = 255
    seen = np.ones((length, 1), np.float32)
    place = np.stack([np.arange(count) % SIZE, np.arange(count) // SIZE], -1).astype(np.float32)
    return [
        Video(
            f"{i}",
            one.reshape(length, SIZE, SIZE, 3),
            truth=Truth(np.tile(place[i], (length, 1, 1)), seen > 0, seen),
        )
        for i, one in enumerate(frames)
    ]


def test_of_more_videos_than_frames_to_look_at_some_are_taken_evenly() -> None:
    model, count = Counting(), 2 * MOST + 60
    calibrate(model, numbered(count, 2))  # type: ignore[arg-type]
    assert len(model.given) == MOST
    assert model.given[0] == 0
    assert model.given[-1] == count - 1
    assert set(np.diff(model.given)) == {2, 3}


@pytest.mark.parametrize("count", [3, MOST])
def test_of_fewer_videos_all_are_looked_at(count: int) -> None:
    model = Counting()
    calibrate(model, numbered(count, 2))  # type: ignore[arg-type]
    assert sorted(set(model.given)) == list(range(count))
    assert len(model.given) <= MOST
