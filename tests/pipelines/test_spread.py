"""Known answers of the figures of sampled futures."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from data.videos import Truth
from pipelines.forecast import Forecast
from pipelines.judge import Judged, judge
from pipelines.results import LEVELS
from pipelines.spread import (
    best_of,
    best_scene,
    calibration,
    followed_rows,
    interval_coverage,
    live_count_error,
    spread_figures,
)
from tests.pipelines.discs import disc_truth, disc_video

FIGURES = [
    "truth inside the samples' 50 % interval",
    "truth inside the samples' 90 % interval",
    "error of the best of 4 samples, px",
    "error of the best whole scene of 4, px",
    "error of the middle future, px",
]


def everyone(t: int, m: int) -> np.ndarray:
    return np.ones((t, m), bool)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("samples", [19, 39, 99])
def test_samples_drawn_like_the_truth_cover_it_as_often_as_they_say(share: float, samples: int):
    drawn = np.random.default_rng(0).standard_exponential((samples + 1, 40, 200, 2))
    found = interval_coverage(drawn[1:], drawn[0], everyone(40, 200), share)
    assert found == pytest.approx(share, abs=0.01)


def test_samples_that_are_too_sure_or_unsure_do_not() -> None:
    drawn = np.random.default_rng(0).standard_normal((20, 40, 200, 2))
    for scale, low, high in ((0.3, 0.1, 0.3), (3.0, 0.8, 1.0)):
        found = interval_coverage(drawn[1:] * scale, drawn[0], everyone(40, 200), 0.5)
        assert low < found < high


def test_a_truth_far_away_is_never_inside_and_one_in_the_middle_always() -> None:
    samples = np.random.default_rng(0).standard_normal((19, 5, 3, 2))
    true = np.median(samples, 0)
    assert interval_coverage(samples, true, everyone(5, 3), 0.5) == 1
    assert interval_coverage(samples, true + 100, everyone(5, 3), 0.9) == 0
    half = true + np.array([100, 0])  # x is outside, y is inside
    assert interval_coverage(samples, half, everyone(5, 3), 0.9) == 0.5


def test_what_is_hidden_does_not_count_for_the_interval() -> None:
    samples = np.random.default_rng(0).standard_normal((19, 5, 3, 2))
    true, visible = np.median(samples, 0), everyone(5, 3)
    true[1:3] += 100
    visible[1:3] = False
    assert interval_coverage(samples, true, visible, 0.5) == 1
    assert interval_coverage(samples, true, ~visible, 0.5) == 0
    assert np.isnan(interval_coverage(samples, true, visible & False, 0.5))


def test_the_best_sample_is_each_objects_own_over_all_its_steps() -> None:
    true = np.zeros((2, 3, 2))
    samples = np.zeros((2, 2, 3, 2))
    samples[0, :, 0] = [3, 4]  # 5 pixels off, the other one is 1 and then 3
    samples[1, :, 0, 0] = [1, 3]
    samples[0, :, 1, 0] = [0, 2]  # near at one step, far at the other
    samples[1, :, 1, 0] = [2, 1]
    visible = everyone(2, 3)
    visible[:, 2] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = best_of(samples, true, visible)
    np.testing.assert_allclose(found, [2, 1, np.nan])
    visible[0, 1] = False  # of the second object only the last step counts
    np.testing.assert_allclose(best_of(samples, true, visible), [2, 1, np.nan])
    visible[:, 1] = [True, False]
    np.testing.assert_allclose(best_of(samples, true, visible), [2, 0, np.nan])


def test_a_row_given_to_another_stays_where_its_first_particle_left() -> None:
    steps, rows = 5, 3
    position = np.arange(steps * rows * 2, dtype=float).reshape(steps, rows, 2)
    identity = np.tile(np.arange(rows), (steps, 1))
    identity[2:, 1] = [-1, 7, 7]  # left at step 2, another one came at step 3
    before = position.copy()
    found = followed_rows(position, identity)
    assert np.array_equal(position, before)
    assert np.array_equal(found[:, [0, 2]], position[:, [0, 2]])
    assert np.array_equal(found[:2, 1], position[:2, 1])
    assert (found[2:, 1] == position[1, 1]).all()
    several = followed_rows(np.stack([position, position]), np.stack([identity, identity * 0]))
    assert np.array_equal(several[0], found)
    assert np.array_equal(several[1], position)


def test_live_particles_are_counted_against_visible_objects() -> None:
    transparency = np.array([[1.0, 0.9, 0.1], [1.0, 0.2, 0.2], [0.0, 0.0, 0.0]])
    visible = np.array([[True, True], [True, True], [True, False]])
    truth = Truth(np.zeros((3, 2, 2), np.float32), visible, np.ones((3, 2), np.float32))
    assert live_count_error(transparency, truth) == pytest.approx((0 + 1 + 1) / 3)


def test_all_figures_together() -> None:
    true = np.zeros((3, 2, 2))
    samples = np.stack([true + np.array([d, 0]) for d in (-2.0, -1.0, 1.5, 3.0)])
    found = spread_figures(samples, true + np.array([0, 5]), true, everyone(3, 2))
    expected = dict(zip(FIGURES, (1.0, float("nan"), 1.0, 1.0, 5.0), strict=True))
    assert found == pytest.approx(expected, nan_ok=True)


def test_nothing_followed_gives_no_number_and_no_warning() -> None:
    nothing = np.zeros((3, 0, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = spread_figures(np.zeros((4, 3, 0, 2)), nothing, nothing, everyone(3, 0))
    assert list(found) == FIGURES
    assert np.isnan(list(found.values())).all()


CONTEXT, STEPS, SIZE = 4, 10, 32


def forecast(start: int, stop: int, shift: float = 0.0) -> Forecast:
    """The discs in rows 3, 1, 2 of four, ever further off to the right."""
    steps, truth = stop - start, disc_truth(STEPS, SIZE)
    position = np.zeros((steps, 4, 2), np.float32)
    position[:, [3, 1, 2]] = truth.position[start:stop]
    position[..., 0] += shift * np.arange(1, steps + 1)[:, None]
    live = np.array([0.0, 1, 1, 1])
    return Forecast(
        disc_video(STEPS, SIZE).frames[start:stop],
        position,
        np.tile(live, (steps, 1)),
        np.zeros((steps, 4, 2)),
        np.tile(np.where(live > 0, np.arange(4), -1), (steps, 1)),
    )


def sampled(*shifts: float) -> Forecast:
    futures = [forecast(CONTEXT, STEPS, shift) for shift in shifts]
    names = ("frames", "position", "transparency", "appearance", "identity")
    return Forecast(*(np.stack([getattr(one, name) for one in futures]) for name in names))


def judgement(drawn: Forecast | None, future: Forecast) -> Judged:
    video = disc_video(STEPS, SIZE)
    seen, coasted = forecast(0, CONTEXT), forecast(CONTEXT, STEPS, 1.0)
    return judge(video, seen, future, coasted, CONTEXT, video.frames[0], drawn)


def judged(drawn: Forecast | None, future: Forecast) -> dict[str, float]:
    return judgement(drawn, future).particles


def test_a_judgement_has_the_spread_of_the_samples_that_are_given() -> None:
    future = forecast(CONTEXT, STEPS, 2.0)
    found = judged(sampled(-1.5, -1.0, 0.5, 1.0), future)
    horizon = STEPS - CONTEXT
    mean_step = (1 + horizon) / 2
    assert np.isnan(found["truth inside the samples' 90 % interval"])  # of four
    assert found["truth inside the samples' 50 % interval"] == 1
    assert found["error of the best of 4 samples, px"] == pytest.approx(0.5 * mean_step, rel=1e-4)
    assert found["error of the middle future, px"] == pytest.approx(2 * mean_step, rel=1e-4)
    assert found["live particles off the visible objects' number"] == 0
    off = judged(sampled(1.0, 2.0, 3.0, 4.0), future)
    # x lies beside every sample, y on all of them.
    assert off["truth inside the samples' 50 % interval"] == 0.5
    assert off["error of the best of 4 samples, px"] == pytest.approx(mean_step, rel=1e-4)
    plain = judged(None, future)
    assert plain == {name: value for name, value in found.items() if name not in FIGURES}


def test_the_best_whole_scene_is_one_sample_for_all() -> None:
    true = np.zeros((2, 3, 2))  # two steps, three objects, of which the last is never visible
    visible = np.array([[True, True, False]] * 2)
    samples = np.zeros((3, 2, 3, 2))
    samples[0, :, 0, 0], samples[0, :, 1, 0] = 0.0, 9.0
    samples[1, :, 0, 0], samples[1, :, 1, 0] = 9.0, 1.0
    samples[2, :, 0, 0], samples[2, :, 1, 0] = 4.0, 2.0
    samples[:, :, 2] = 100.0
    assert np.nanmean(best_of(samples, true, visible)) == 0.5
    assert best_scene(samples, true, visible) == 3.0
    assert np.isnan(best_scene(samples, true, np.zeros_like(visible)))


def test_a_sample_whose_row_is_given_to_another_is_not_judged_by_that_one() -> None:
    drawn, future = sampled(0.0, 0.0, 0.0, 0.0), forecast(CONTEXT, STEPS)
    assert judged(drawn, future)["error of the best of 4 samples, px"] == 0
    drawn.position[:, 3:, 2] = 500.0  # far outside, but it is another's place
    drawn.identity[:, 3:, 2] = 9
    disc_at_rest = judged(drawn, future)
    assert disc_at_rest["error of the best of 4 samples, px"] == 0  # row 2 holds the one at rest
    drawn.identity[:, 3:, 2] = 2
    assert judged(drawn, future)["error of the best of 4 samples, px"] > 50


def test_too_few_samples_have_no_interval() -> None:
    true, visible = np.zeros((3, 2, 2)), np.ones((3, 2), bool)
    few = np.random.default_rng(0).normal(size=(18, 3, 2, 2))
    assert np.isnan(interval_coverage(few, true, visible, 0.9))
    assert not np.isnan(interval_coverage(few, true, visible, 0.5))
    assert np.isnan(interval_coverage(few[:2], true, visible, 0.5))


def test_a_hidden_step_whose_place_nobody_knows_does_not_count() -> None:
    true, visible = np.zeros((3, 1, 2)), np.array([[True], [False], [True]])
    true[1] = np.nan
    samples = np.stack([np.full((3, 1, 2), 3.0), np.full((3, 1, 2), 4.0)])
    assert np.allclose(best_of(samples, true, visible), [3 * 2**0.5])


def test_samples_drawn_like_the_truth_are_calibrated_at_every_level() -> None:
    drawn = np.random.default_rng(0).standard_normal((40, 40, 100, 2))
    found = calibration(drawn[1:], drawn[0], everyone(40, 100))
    assert found == pytest.approx(np.array(LEVELS), abs=0.02)
    unsure = calibration(drawn[1:] * 2, drawn[0], everyone(40, 100))
    assert (unsure[:-1] > np.array(LEVELS[:-1]) + 0.05).all()


def test_a_judgement_tells_the_calibration_of_samples_alone() -> None:
    future = forecast(CONTEXT, STEPS)
    assert judgement(None, future).inside is None
    inside = judgement(sampled(*np.linspace(-1, 1, 19).tolist()), future).inside
    assert inside is not None
    assert inside.tolist() == [1.0] * len(LEVELS)


def test_a_perfect_forecast_keeps_every_identity_and_covers_all() -> None:
    found = judgement(None, forecast(CONTEXT, STEPS))
    assert found.particles["IDF1 of context and forecast"] == 1
    assert found.particles["identity switches per 1,000 object-frames"] == 0
    horizon = STEPS - CONTEXT
    assert found.curves["model"]["coverage"].tolist() == [1.0] * horizon
    assert found.curves["model"]["precision"].tolist() == [1.0] * horizon


def test_two_particles_that_trade_places_in_the_forecast() -> None:
    future = forecast(CONTEXT, STEPS)
    future.position[2:, [3, 1]] = future.position[2:, [1, 3]]
    found = judgement(None, future)
    object_frames = 3 * STEPS
    assert found.particles["identity switches per 1,000 object-frames"] == pytest.approx(
        1000 * 2 / object_frames
    )
    traded = 2 * (STEPS - CONTEXT - 2)
    assert found.particles["IDF1 of context and forecast"] == pytest.approx(
        1 - traded / object_frames
    )
    assert found.curves["model"]["coverage"].tolist() == [1.0] * (STEPS - CONTEXT)


def test_a_particle_that_is_lost_on_the_way_no_longer_covers() -> None:
    future = forecast(CONTEXT, STEPS)
    future.transparency[3:, 1] = 0
    future.position[4:, 2] += 100
    curves = judgement(None, future).curves["model"]
    assert np.allclose(curves["coverage"], [1, 1, 1, 2 / 3, 1 / 3, 1 / 3])
    assert np.allclose(curves["precision"], [1, 1, 1, 1, 0.5, 0.5])


def test_the_drawn_particles_at_constant_velocity_are_judged_by_their_own_frames() -> None:
    curves = judgement(None, forecast(CONTEXT, STEPS, 2.0)).curves["own constant velocity"]
    assert curves["psnr"].tolist() == [100.0] * (STEPS - CONTEXT)  # its frames are the true ones
    assert curves["psnr_moving"].tolist() == [100.0] * (STEPS - CONTEXT)
    assert np.allclose(curves["position_error"], np.arange(1, STEPS - CONTEXT + 1), atol=1e-3)


def test_a_perfect_forecast_has_no_troubles_and_a_switched_one_has() -> None:
    assert judgement(None, forecast(CONTEXT, STEPS)).troubles == []
    future = forecast(CONTEXT, STEPS)
    future.position[2:, [3, 1]] = future.position[2:, [1, 3]]
    said = judgement(None, future).troubles
    assert {text.split(",")[0] for text in said} == {
        "object 0 lost its particle to object 1",
        "object 1 lost its particle to object 0",
    }
