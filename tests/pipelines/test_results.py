import warnings

import numpy as np

from pipelines.results import interval, mean, overlapping


def test_mean_leaves_out_what_is_unknown_and_never_warns():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = mean(values)
        low, high = interval(values)
    assert result[:2].tolist() == [2, 5]
    assert np.isnan(result[2])
    assert np.isnan(low[2])
    assert low[1] == high[1] == 5
    assert float(mean(values, None)) == 3


def test_the_interval_covers_the_true_mean_about_95_times_in_100():
    generator = np.random.default_rng(0)
    hits: int = 0
    for trial in range(200):
        low, high = interval(generator.normal(7.0, 2.0, 40), seed=trial)
        hits += bool(low <= 7.0 <= high)
    assert 175 <= hits <= 199


def test_the_interval_is_the_seeds_and_none_for_one_video():
    values = np.random.default_rng(3).normal(size=(9, 4))
    assert np.array_equal(interval(values, 1), interval(values, 1))
    assert not np.array_equal(interval(values, 1), interval(values, 2))
    assert np.isnan(interval(values[:1])).all()


def test_windows_overlap_if_two_of_one_video_are_nearer_than_their_length():
    assert not overlapping(["a_00000", "a_00030", "a_00060"], 30)
    assert overlapping(["a_00000", "a_00060", "a_00029"], 30)
    assert not overlapping(["a_00000", "b_00001"], 30)  # of two videos
    assert not overlapping(["a_00000"], 30)
