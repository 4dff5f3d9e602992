"""The marbles world: many sizes, straight ways, no collisions, and a known order in depth."""

from __future__ import annotations

import zlib
from itertools import combinations

import numpy as np
import pytest

from data.videos import Truth, Video
from data.worlds import billiards, marbles, simulate

RADII = np.array([10.0, 4.0]) / 64
COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.3, 0.9]])


def truth_of(video: Video) -> Truth:
    assert video.truth is not None
    return video.truth


def mask_of(video: Video) -> np.ndarray:
    mask = truth_of(video).mask
    assert mask is not None
    return mask


def test_three_to_seven_of_a_fourfold_range_of_sizes() -> None:
    counts, radii = set(), []
    for seed in range(60):
        truth = truth_of(simulate("marbles", 1, 64, seed))
        counts.add(truth.visible.shape[1])
        radii.extend(truth.radius[0])
    assert counts == set(range(3, 8))
    assert 2.4 < min(radii) < 2.8
    assert 9 < max(radii) < 10.2
    # Log-uniform: as many below the geometric mean as above it.
    assert 0.42 < np.mean(np.array(radii) < 5) < 0.58


def test_colours_are_distinct() -> None:
    for seed in range(20):
        _, colours = marbles.choose(7, np.random.default_rng(seed))
        apart = [np.abs(one - other).sum() for one, other in combinations(colours, 2)]
        assert min(apart) > 0.3


def test_starts_cover_at_most_half_of_one_another() -> None:
    axis = np.linspace(-1, 1, 201)
    x, y = np.meshgrid(axis, axis)
    disc = np.stack([x, y], -1)[x**2 + y**2 < 1]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        radii, _ = marbles.choose(7, rng)
        position, _ = marbles.place(radii, rng)
        for one, other in combinations(range(7), 2):
            small, large = sorted((one, other), key=lambda row: radii[row])
            points = position[small] + radii[small] * disc
            covered = np.linalg.norm(points - position[large], axis=-1) < radii[large]
            assert covered.mean() <= 0.5


def test_they_roll_straight_on_at_one_speed_and_turn_back_at_the_edges() -> None:
    turned = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        radii, _ = marbles.choose(7, rng)
        start, velocity = marbles.place(radii, rng)
        position = marbles.move(200, start, velocity, radii)
        assert np.allclose(position[0], start)
        assert (position >= radii[:, None] - 1e-9).all()
        assert (position <= 1 - radii[:, None] + 1e-9).all()
        steps = np.diff(position, axis=0)
        straight = np.isclose(np.abs(steps), np.abs(velocity))
        # Only the step in which a marble meets an edge is shorter.
        assert straight.mean() > 0.9
        assert (np.abs(steps) <= np.abs(velocity) + 1e-9).all()
        turned += int((np.sign(steps[-1]) != np.sign(velocity)).sum())
        speed = np.linalg.norm(velocity, axis=-1)
        assert (speed >= marbles.SLOWEST).all()
        assert (speed <= marbles.FASTEST).all()
    assert turned > 20


def test_they_hide_one_another_and_the_first_rows_are_never_hidden() -> None:
    hidden = 0
    for seed in range(8):
        video = simulate("marbles", 60, 64, seed)
        truth = truth_of(video)
        assert truth.visible[:, 0].all()
        hidden += int((~truth.visible).sum())
        area = (mask_of(video) == 1).sum((1, 2))
        assert (np.abs(area - np.pi * truth.radius[:, 0] ** 2) < 0.12 * area + 4).all()
    assert hidden > 10


@pytest.mark.parametrize("size", [64, 128])
def test_two_that_cross_show_the_nearer_one_whole(size: int) -> None:
    seen = set()
    for seed in range(10):
        video, order = marbles.crossing(40, size, np.random.default_rng(seed))
        truth, mask = truth_of(video), mask_of(video)
        assert sorted(order) == [0, 1]
        near, far = order
        apart = np.linalg.norm(truth.position[:, 0] - truth.position[:, 1], axis=-1)
        touch = truth.radius[0].sum()
        assert apart[0] > touch
        assert apart[-1] > touch
        areas = np.stack([(mask == row + 1).sum((1, 2)) for row in (near, far)], -1)
        whole = np.pi * truth.radius[:, order] ** 2
        assert (np.abs(areas[:, 0] / whole[:, 0] - 1) < 0.2).all()
        # The farther one loses at its best moment what the nearer covers of it.
        assert areas[:, 1].min() < whole[:, 1].min() - 0.4 * whole.min()
        assert truth.visible[[0, -1]].all()
        seen.add(int(near))
    assert seen == {0, 1}


def test_a_crossing_takes_sizes_colours_and_the_order() -> None:
    clips = [
        marbles.crossing(41, 64, np.random.default_rng(4), RADII, COLOURS, nearer)
        for nearer in (0, 1)
    ]
    (one, first), (other, second) = clips
    assert first.tolist() == [0, 1]
    assert second.tolist() == [1, 0]
    for video in (one, other):
        assert np.allclose(truth_of(video).radius[0], [10, 4], atol=0.1)
        for row, channel in ((0, 0), (1, 2)):
            pixels = video.frames[0][mask_of(video)[0] == row + 1]
            assert (pixels.mean(0).argmax(-1)) == channel
    # The same ways: frames differ only while they cross, and there only where both are.
    differs = (one.frames != other.frames).any((1, 2, 3))
    assert not differs[[0, -1]].any()
    assert differs[20]
    assert truth_of(other).visible.all()
    assert not truth_of(one).visible[20, 1]  # the small one is behind the large one


def test_balls_of_one_radius_are_drawn_as_before_they_could_differ() -> None:
    frames = billiards.simulate(8, 64, np.random.default_rng(5)).frames
    assert zlib.crc32(frames.tobytes()) == 0xA9975FFF
    centre = np.random.default_rng(0).uniform(8, 56, (3, 4, 2))
    background = billiards.table(64)
    plain = billiards.balls(centre, COLOURS[[0, 1, 0, 1]], 5.0, background).finish()
    each = billiards.balls(
        centre, COLOURS[[0, 1, 0, 1]], np.full(4, 5.0), background, np.arange(4)
    ).finish()
    for one, other in zip(plain, each, strict=True):
        assert np.array_equal(one, other)


def test_the_floor_is_textured_and_the_same_at_every_size() -> None:
    small, large = marbles.floor(64), marbles.floor(128)
    assert small.std() > 0.02
    assert np.abs(large.reshape(64, 2, 64, 2, 3).mean((1, 3)) - small).max() < 0.02
