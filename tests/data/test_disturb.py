"""Disturbances do what they say, no more, and the truth moves with the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.disturb import NAMES, OFFSET, REACH, disturb
from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source
from data.synthetic import disturbed
from data.videos import Dataset, Truth, Video
from data.worlds import simulate

SOURCE = "synthetic:marbles,videos=3,frames=6,size=48,seed=2"


def spoil(name: str, frames: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return disturb(name, frames, np.random.default_rng(seed))


def grey(level: int, frames: int = 8) -> np.ndarray:
    return np.full((frames, 48, 64, 3), level, np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_fits_what_went_in(name: str) -> None:
    frames = simulate("marbles", 5, 64, 0).frames[:, :48]
    before = frames.copy()
    spoilt, shift = spoil(name, frames)
    assert spoilt.shape == frames.shape
    assert spoilt.dtype == np.uint8
    assert shift.shape == (5, 2)
    assert shift.dtype == np.float32
    assert shift.any() == (name == "shake")
    assert np.array_equal(frames, before)
    assert not np.array_equal(spoilt, frames)
    # Spoilt, but still the same film.
    assert np.abs(spoilt.astype(float) - frames).mean() < 40
    assert np.array_equal(spoil(name, frames)[0], spoilt)
    if name != "jpeg":
        assert not np.array_equal(spoil(name, frames, seed=1)[0], spoilt)


def test_light_drifts_slowly_within_its_bounds() -> None:
    dark, bright = (
        np.stack([spoil("light", grey(level, 50), seed)[0] for seed in range(20)]).astype(float)
        for level in (50, 150)
    )
    assert np.ptp(bright, axis=(2, 3, 4)).max() == 0  # the same in all of a frame
    gain = (bright - dark)[..., 0, 0, 0] / 100
    offset = dark[..., 0, 0, 0] - 50 * gain
    rounding = 0.01
    assert gain.min() >= 0.8 - rounding
    assert gain.max() <= 1.2 + rounding
    assert np.ptp(gain) > 0.3
    assert np.abs(offset).max() < OFFSET + 1.5
    assert np.ptp(offset) > OFFSET
    assert np.abs(np.diff(gain, axis=1)).max() < 0.1
    assert (np.ptp(gain, axis=1) > 0.05).all()


def test_noise_has_its_strength_and_grows_with_the_signal() -> None:
    strength = []
    for level in (40, 128, 220):
        noise = spoil("noise", grey(level))[0].astype(float) - level
        assert abs(noise.mean()) < 0.1
        strength.append(noise.std())
        # No two pixels, channels or frames share their noise.
        for axis in range(4):
            ahead, behind = np.moveaxis(noise, axis, 0)[1:], np.moveaxis(noise, axis, 0)[:-1]
            assert abs((ahead * behind).mean()) < 0.05 * noise.var()
    assert 3.5 < strength[0] < 4.7 < strength[1] < 5.3 < strength[2] < 6.2


def test_compression_loses_detail_but_keeps_the_colours() -> None:
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    frames[..., :16, 0], frames[..., 16:, 2] = 200, 200  # red and blue
    spoilt = spoil("jpeg", frames)[0].astype(float)
    assert spoilt[:, :, :16, 0].mean() > 150 > 60 > spoilt[:, :, :16, 2].mean()
    assert spoilt[:, :, 16:, 2].mean() > 150 > 60 > spoilt[:, :, 16:, 0].mean()
    film = simulate("marbles", 2, 64, 0).frames
    assert 2 < np.abs(spoil("jpeg", film)[0].astype(float) - film).mean() < 20


def test_a_shaking_camera_moves_smoothly_and_by_what_it_says() -> None:
    y, x = np.mgrid[:48, :64]
    slopes = np.stack([20 * (x - 26), 20 * (y - 18), 0 * x], -1).clip(0, 255)
    frames = np.repeat(slopes[None], 60, 0).astype(np.uint8)
    for seed in range(5):
        spoilt, shift = spoil("shake", frames, seed)
        inner = (frames.astype(float) - spoilt)[:, 22:27, 30:35]
        # On a slope the levels tell how far: one pixel to the right or down is 20 darker.
        assert np.allclose(inner[..., :2].mean((1, 2)) / 20, shift, atol=0.06)
        assert np.abs(shift).max() <= REACH
        assert (np.ptp(shift, axis=0) > 1).all()
        steps = np.diff(shift, axis=0)
        assert np.abs(steps).max() < 1.5
        assert np.abs(np.diff(steps, axis=0)).max() < 0.7
    assert (spoil("shake", grey(90))[0] == 90).all()  # no black comes in at the border


def truth_of(video: Video) -> Truth:
    assert video.truth is not None
    return video.truth


def test_the_truth_moves_with_the_picture() -> None:
    video = simulate("billiards", 30, 64, 3)
    shaken = disturbed(video, "shake", np.random.default_rng(0))
    before, after = truth_of(video), truth_of(shaken)
    shift = spoil("shake", video.frames)[1]
    assert np.allclose(after.position - before.position, shift[:, None], atol=1e-4)
    assert after.position.dtype == np.float32
    assert after.mask is not None
    checked = 0
    for time, index in np.argwhere(after.visible):
        rows, columns = np.nonzero(after.mask[time] == index + 1)
        place = after.position[time, index]
        if (np.abs(place - 31.5) < 22).all():  # whole in the frame
            assert np.hypot(*(place - [columns.mean(), rows.mean()])) < 1
            checked += 1
    assert checked > 50
    same = disturbed(video, "noise", np.random.default_rng(0))
    assert same.truth is before


def opened(tmp_path: Path, end: str = "") -> Dataset:
    return open_source(SOURCE + end, FrameConfig(), tmp_path)


def test_a_source_takes_them_one_or_several(tmp_path: Path) -> None:
    ends = ("", ",disturb=light", ",disturb=shake", ",disturb=shake+light", ",disturb=light+shake")
    plain, light, shake, both, other = made = [opened(tmp_path, end) for end in ends]
    assert len({dataset.fingerprint for dataset in made}) == 5
    assert not np.array_equal(plain.whole[0].frames, light.whole[0].frames)
    assert np.array_equal(truth_of(light.whole[0]).position, truth_of(plain.whole[0]).position)
    moves = [
        [truth_of(moved).position - truth_of(still).position for moved, still in pairs]
        for pairs in (
            zip(shake.whole, plain.whole, strict=True),
            zip(both.whole, plain.whole, strict=True),
        )
    ]
    for alone, joined in zip(*moves, strict=True):
        assert np.abs(alone).max() > 0.1
        assert np.allclose(alone, joined)  # the light does not change how the camera moves
        assert np.allclose(alone, alone[:, :1], atol=1e-4)  # one shift a frame for all marbles
    assert not np.allclose(moves[0][0][:, 0], moves[0][1][:, 0])  # each video has its own
    assert not np.array_equal(both.whole[0].frames, other.whole[0].frames)
    again = opened(tmp_path / "again", ",disturb=shake")
    assert np.array_equal(again.whole[0].frames, shake.whole[0].frames)


def test_what_leaves_the_frame_is_not_visible(tmp_path: Path) -> None:
    source = "synthetic:traffic,videos=3,frames=40,size=64,disturb=shake"
    for video in open_source(source, FrameConfig(), tmp_path).whole:
        seen = truth_of(video).position[truth_of(video).visible]
        assert seen.min() >= -0.5
        assert seen.max() < 63.5


@pytest.mark.parametrize("value", ["fog", "light+fog", "", "light+"])
def test_an_unknown_one_is_explained(tmp_path: Path, value: str) -> None:
    said = r"unknown disturbance: '(fog)?': .*light, noise, jpeg, shake"
    with pytest.raises(UserError, match=said) as raised:
        opened(tmp_path, f",disturb={value}")
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="unknown disturbance: 'rain'"):
        disturb("rain", grey(1), np.random.default_rng(0))
