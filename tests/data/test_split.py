import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UserError
from data.split import split_names, split_time

share = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.49])


@given(st.integers(3, 60), share, share)
def test_by_file_every_video_is_in_one_set_and_no_set_is_empty(count, val_share, test_share):
    names = [f"video_{i:03d}" for i in range(count)]
    train, val, test = split_names(names, [""] * count, val_share, test_share)
    assert train
    assert val
    assert test
    assert set(train) | set(val) | set(test) == set(names)
    if val_share and test_share:
        assert len(train) + len(val) + len(test) == count
        assert abs(len(test) - count * test_share) <= 1
    if val_share or test_share:
        assert not set(train) & (set(val) | set(test))


def test_by_file_does_not_depend_on_the_order_found():
    names = [f"video_{i:03d}" for i in range(20)]
    forwards = split_names(names, [""] * 20, 0.1, 0.2)
    assert split_names(names[::-1], [""] * 20, 0.1, 0.2) == forwards
    assert [len(part) for part in forwards] == [14, 2, 4]


def test_two_videos_share_the_second():
    train, val, test = split_names(["a", "b"], ["", ""], 0.1, 0.1)
    assert len(train) == 1
    assert val == test
    assert set(train + val) == {"a", "b"}


def test_the_sources_own_split_stands():
    names = ["d", "c", "b", "a"]
    sets = split_names(names, ["test", "train", "val", "train"], 0.3, 0.3)
    assert sets == (["a", "c"], ["b"], ["d"])


def test_a_missing_validation_set_comes_out_of_training():
    train, val, test = split_names(["a", "b", "c"], ["train", "train", "test"], 0.1, 0.1)
    assert test == ["c"]
    assert sorted(train + val) == ["a", "b"]


def test_a_source_without_training_videos_is_refused():
    with pytest.raises(UserError, match="no training videos"):
        split_names(["a", "b"], ["val", "test"], 0.1, 0.1)


@given(st.integers(1, 500), share, share)
def test_by_time_the_held_out_part_comes_last(length, val_share, test_share):
    train, val, test = split_time(length, val_share, test_share)
    assert min(len(train), len(val), len(test)) >= 1
    assert set(train) | set(val) | set(test) == set(range(length))
    if length >= 3 and val_share and test_share:
        assert train.stop == val.start
        assert val.stop == test.start
        assert test.stop == length


def test_by_time_known_answers():
    assert split_time(795, 0.1, 0.1) == (range(635), range(635, 715), range(715, 795))
    # Traffic's 90/10.
    assert split_time(1000, 0.0, 0.1) == (range(900), range(900, 1000), range(900, 1000))
