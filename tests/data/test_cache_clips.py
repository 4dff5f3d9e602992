"""What ends up in a cache when clips are good, bad, long, of one size, with truth or without."""

import tracemalloc

import numpy as np
import pytest

from data.cache import cached
from data.decode import BadFile, Clip, Reading
from data.errors import UserError
from data.frames import FrameConfig
from data.layouts import Layout
from data.videos import Truth

ALL = FrameConfig()


def layout_of(*clips):
    return Layout(lambda: clips, len(clips), "0")


def clip_of(name, frames, truth=None, fail_after=None):
    def draw():
        for index, frame in enumerate(frames):
            if index == fail_after:
                raise BadFile(f"damaged: {name}: at frame {index}")
            yield frame

    return Clip(name, name, lambda config: Reading(draw(), truth=truth))


def test_a_bad_clip_leaves_no_trace_in_the_others(tmp_path):
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(0, 255, (5, 16, 16, 3), np.uint8) for _ in range(3))
    wide = rng.integers(0, 255, (5, 16, 32, 3), np.uint8)
    layout = layout_of(
        clip_of("bad_first", wide, fail_after=2),
        clip_of("a", a),
        clip_of("bad", b, fail_after=3),
        clip_of("c", c),
        clip_of("bad_last", b, fail_after=4),
    )
    stored = cached(tmp_path, "k", layout, ALL)
    assert [video.name for video in stored.videos] == ["a", "c"]
    np.testing.assert_array_equal(stored.videos[0].frames, a)
    np.testing.assert_array_equal(stored.videos[1].frames, c)
    assert [line.split(": ")[1] for line in stored.left_out] == ["bad_first", "bad", "bad_last"]
    (file,) = tmp_path.glob("*/frames.npy")
    assert file.stat().st_size == 128 + 10 * 16 * 16 * 3


@pytest.mark.parametrize("side", [(44, 50), (70, 90), (39, 50), (300, 401)])
@pytest.mark.parametrize("size", [0, 50, 100])
def test_videos_of_one_size_are_never_mixed(tmp_path, side, size):
    frames = np.zeros((2, *side, 3), np.uint8)
    layout = layout_of(clip_of("a", frames), clip_of("b", frames))
    assert len(cached(tmp_path, "k", layout, FrameConfig(size=size)).videos) == 2


def test_none_good(tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    layout = layout_of(clip_of("a", frames, fail_after=0), clip_of("b", frames, fail_after=1))
    with pytest.raises(UserError, match=r"damaged: a: at frame 0 \(and 1 more"):
        cached(tmp_path, "k", layout, ALL)


def test_truth_of_clips_with_and_without(tmp_path):
    rng = np.random.default_rng(0)

    def truth(steps, objects, mask):
        return Truth(
            rng.uniform(0, 15, (steps, objects, 2)).astype(np.float32),
            rng.random((steps, objects)) > 0.5,
            rng.uniform(1, 3, (steps, objects)).astype(np.float32),
            rng.integers(0, 3, (steps, 16, 16), np.uint8) if mask else None,
        )

    truths = [truth(4, 3, True), None, truth(5, 0, False), truth(6, 2, False), truth(2, 1, True)]
    lengths = [4, 3, 5, 6, 2]
    clips = [
        clip_of(f"c{i}", rng.integers(0, 255, (n, 16, 16, 3), np.uint8), t)
        for i, (n, t) in enumerate(zip(lengths, truths, strict=True))
    ]
    stored = cached(tmp_path, "k", layout_of(*clips), ALL)
    for video, expected in zip(stored.videos, truths, strict=True):
        if expected is None:
            assert video.truth is None
            continue
        found = video.truth
        assert found is not None
        np.testing.assert_array_equal(found.position, expected.position)
        np.testing.assert_array_equal(found.visible, expected.visible)
        np.testing.assert_array_equal(found.radius, expected.radius)
        if expected.mask is None:
            assert found.mask is None
        else:
            np.testing.assert_array_equal(np.asarray(found.mask), expected.mask)


def test_memory_does_not_grow_with_the_source(tmp_path):
    frame = np.zeros((64, 64, 3), np.uint8)
    count = 3000  # 37 MB
    layout = layout_of(clip_of("long", (frame for _ in range(count))))
    tracemalloc.start()
    stored = cached(tmp_path, "k", layout, ALL)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stored.videos[0].frames.shape == (count, 64, 64, 3)
    assert peak < 2_000_000


def test_memory_hardly_grows_with_the_number_of_videos(tmp_path):
    frame = np.zeros((1, 64, 64, 3), np.uint8)

    def peak(count):
        clips = (clip_of(f"clip_{index}", frame) for index in range(count))
        tracemalloc.start()
        stored = cached(tmp_path, f"{count}", Layout(lambda: clips, count, "0"), ALL)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(stored.videos) == count
        return most

    assert peak(1000) - peak(200) < 800 * 4000  # bytes; their frames are 12,288 each
