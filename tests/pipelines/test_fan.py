from dataclasses import replace

import numpy as np
import pytest

from pipelines.draw import colour_of
from pipelines.fan import fan, fan_frames
from pipelines.film import film_frames
from pipelines.forecast import Forecast
from tests.pipelines.discs import disc_truth, disc_video

VIDEO = disc_video(steps=9, size=32)
TRUTH = disc_truth(steps=9, size=32)
BLACK = np.zeros((40, 60, 3), np.uint8)


def forecast(start: int, stop: int, shift: float = 0.0) -> Forecast:
    """Steps of the discs' clip as if predicted, ever further off to the right."""
    steps = stop - start
    drift = shift * np.arange(1, steps + 1)[:, None, None] * np.array([1.0, 0.0])
    return Forecast(
        VIDEO.frames[start:stop],
        TRUTH.position[start:stop] + drift,
        np.ones((steps, 3)),
        np.zeros((steps, 3, 2)),
        np.tile(np.arange(3), (steps, 1)),
    )


def paths(samples: int) -> np.ndarray:
    """[s, 5, 1, 2]: from one point, each sample ends in a row of pixels of its own."""
    ends = np.stack([np.full(samples, 50.0), np.linspace(4, 36, samples)], -1)
    return np.linspace([5.0, 20.0], ends[:, None], 5, axis=1)


def test_each_sample_is_drawn_in_the_colour_of_its_identity():
    samples = 4
    drawn = fan(BLACK, paths(samples), np.ones((samples, 1)), np.full((samples, 1), 3))
    for x, y in paths(samples)[:, -1, 0].round().astype(int):
        assert np.abs(drawn[y, x] - 0.5 * np.array(colour_of(3))).max() <= 1  # 1 / sqrt(4)
    assert BLACK.max() == 0


def test_where_samples_agree_it_is_brighter():
    drawn = fan(BLACK, paths(9), np.ones((9, 1)), np.ones((9, 1), int)).astype(int).sum(-1)
    assert drawn[18:23, 6].max() > 2 * drawn[:, 35].max()


@pytest.mark.parametrize("dead", ["transparent", "nobody", "unknown place"])
def test_a_dead_particle_leaves_nothing(dead):
    where, seen, who = paths(4), np.ones((4, 1)), np.zeros((4, 1), int)
    before = fan(BLACK, where, seen, who)
    seen[2], who[2], where[2, -1] = {
        "transparent": (0.1, 0, where[2, -1]),
        "nobody": (1.0, -1, where[2, -1]),
        "unknown place": (1.0, 0, np.nan),
    }[dead]
    drawn = fan(BLACK, where, seen, who)
    heights = paths(4)[:, -1, 0, 1].round().astype(int)
    assert before[heights, 50].max(-1).min() > 0
    assert drawn[np.delete(heights, 2), 50].max(-1).min() > 0
    assert drawn[heights[2] - 3 : heights[2] + 4, 45:].max() == 0


def test_the_film_has_the_forecast_s_panels_beside_the_fan():
    seen, parts = forecast(0, 3), [forecast(3, 5), forecast(5, 8)]
    sampled = [forecast(3, 8, shift) for shift in (-1, 0, 1)]
    frames = list(fan_frames(VIDEO.frames, seen, iter(parts), sampled))
    plain = list(film_frames(VIDEO.frames, seen, parts))
    assert len(frames) == len(plain) == 8
    width = plain[0].shape[1] * 2 // 3
    for one, other in zip(frames, plain, strict=True):
        assert one.shape == other.shape
        assert (one[:, :width] == other[:, :width]).all()
        assert (one[:, width:] != other[:, width:]).any()


def test_the_past_is_the_same_whatever_is_sampled():
    seen, parts = forecast(0, 3), [forecast(3, 8)]
    one, other = (
        list(fan_frames(VIDEO.frames, seen, parts, [forecast(3, 8, s), forecast(3, 8, -s)]))
        for s in (0.5, 2.0)
    )
    equal = [bool((a == b).all()) for a, b in zip(one, other, strict=True)]
    assert equal == [True] * 3 + [False] * 5


def test_the_samples_need_no_frames():
    sampled = [forecast(3, 8, shift) for shift in (-1, 1)]
    bare = [replace(one, frames=np.zeros((5, 0, 0, 3), np.uint8)) for one in sampled]
    with_frames, without = (
        list(fan_frames(VIDEO.frames, forecast(0, 3), [forecast(3, 8)], these))
        for these in (sampled, bare)
    )
    assert (np.stack(with_frames) == np.stack(without)).all()


@pytest.mark.parametrize("stops", [(8, 7), (7, 7), (7,), (9,), (8, 9)])
def test_samples_must_be_as_long_as_the_forecast(stops):
    sampled = [forecast(3, stop) for stop in stops]
    with pytest.raises(ValueError, match="zip"):
        list(fan_frames(VIDEO.frames, forecast(0, 3), [forecast(3, 8)], sampled))


def test_a_fan_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no sample: expected at least one"):
        next(fan_frames(VIDEO.frames, forecast(0, 3), [forecast(3, 8)], []))
