"""The synthetic worlds: the same for the same seed, true to their physics and to their truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from data.errors import UserError
from data.videos import Truth, Video
from data.worlds import DEFAULTS, WORLDS, billiards, clevrer, generate_dataset, simulate, traffic
from data.worlds.drawing import Layers, inside_polygon
from data.worlds.road import LANES, REACH
from data.worlds.vehicle_kinds import KINDS

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=sorted(WORLDS.keys() - {"faces"}))  # which have no masks
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def videos(world: str) -> list[Video]:
    return [simulate(world, 30, 64, seed) for seed in SEEDS]


def truth_of(video: Video) -> Truth:
    assert video.truth is not None
    return video.truth


def masks_of(video: Video) -> np.ndarray:
    mask = truth_of(video).mask
    assert mask is not None
    return mask


def test_every_world_has_its_defaults(world: str) -> None:
    assert set(DEFAULTS[world]) == {"videos", "frames", "size"}


def test_shapes_and_types_are_those_of_a_video(videos: list[Video]) -> None:
    for video in videos:
        truth = truth_of(video)
        t, n = truth.visible.shape
        assert video.frames.shape == (30, 64, 64, 3)
        assert video.frames.dtype == np.uint8
        assert truth.position.shape == (t, n, 2)
        assert truth.radius.shape == (t, n)
        assert masks_of(video).shape == (30, 64, 64)
        assert masks_of(video).max() <= n
        assert np.isfinite(truth.position).all()
        assert np.isfinite(truth.radius).all()


def test_the_same_seed_gives_the_same_video_and_another_does_not(
    world: str, videos: list[Video]
) -> None:
    again = simulate(world, 30, 64, SEEDS[0])
    assert np.array_equal(again.frames, videos[0].frames)
    assert np.array_equal(truth_of(again).position, truth_of(videos[0]).position)
    assert not np.array_equal(videos[0].frames, videos[1].frames)


def test_motion_does_not_depend_on_the_size(world: str, videos: list[Video]) -> None:
    large = truth_of(simulate(world, 30, 128, SEEDS[0]))
    small = truth_of(videos[0])
    both = large.visible & small.visible
    assert both.sum() > 0.9 * small.visible.sum()
    away = np.linalg.norm((large.position + 0.5) / 2 - (small.position + 0.5), axis=-1)
    assert away[both].max() < 1


def test_masks_agree_with_positions_areas_and_visibility(videos: list[Video]) -> None:
    checked = 0
    for video in videos:
        truth, mask = truth_of(video), masks_of(video)
        for time, index in np.argwhere(truth.visible):
            rows, columns = np.nonzero(mask[time] == index + 1)
            # A thin rest of an object may hold no pixel of which it covers half.
            if len(rows) < 12:
                continue
            centroid = np.array([columns.mean(), rows.mean()])
            assert np.linalg.norm(centroid - truth.position[time, index]) < 0.75
            assert len(rows) < 1.3 * np.pi * truth.radius[time, index] ** 2 + 4
            checked += 1
        for time, index in np.argwhere(~truth.visible):
            hidden_area = (mask[time] == index + 1).sum()
            assert hidden_area <= 0.25 * np.pi * truth.radius[time, index] ** 2 + 4
    assert checked > 30


def test_visible_objects_are_in_the_frame(videos: list[Video]) -> None:
    for video in videos:
        truth = truth_of(video)
        seen = truth.position[truth.visible]
        assert len(seen)
        assert seen.min() >= -0.5
        assert seen.max() <= 63.5


def test_an_object_keeps_its_row(videos: list[Video]) -> None:
    """A visible object moves a few pixels a frame at most; a swap of rows would be a leap."""
    for video in videos:
        truth = truth_of(video)
        steady = truth.visible[1:] & truth.visible[:-1]
        steps = np.linalg.norm(np.diff(truth.position, axis=0), axis=-1)
        assert steps[steady].max() < 5


def test_the_background_stays_as_it_is(world: str) -> None:
    video = simulate(world, 40, 64, 3)
    free = masks_of(video) == 0
    for _ in range(4):  # keep away from the objects' soft edges and near shadows
        grown = np.pad(free, ((0, 0), (1, 1), (1, 1)), constant_values=True)
        free = free & grown[:, 2:, 1:-1] & grown[:, :-2, 1:-1]
        free = free & grown[:, 1:-1, 2:] & grown[:, 1:-1, :-2]
    shown = np.where(free[..., None], video.frames.astype(float), np.nan)
    often = free.sum(0) > 1
    assert often.sum() > 100
    # Long shadows, also of objects outside the frame, may darken a few places for a while.
    empty = np.nanmax(shown[:, often], 0)
    assert np.nanmean(empty - shown[:, often] > 4) < 0.02


def test_balls_keep_their_energy_and_neither_overlap_nor_leave() -> None:
    for seed in range(10):
        start = billiards.place(6, np.random.default_rng(seed))
        position, velocity = billiards.move(300, *start)
        energy = (velocity**2).sum((1, 2))
        assert np.allclose(energy, energy[0], rtol=1e-9)
        wall = billiards.BORDER + billiards.RADIUS
        assert position.min() > wall - 1e-9
        assert position.max() < 1 - wall + 1e-9
        apart = np.linalg.norm(position[:, :, None] - position[:, None], axis=-1)
        apart[:, np.arange(6), np.arange(6)] = np.inf
        assert apart.min() > 2 * billiards.RADIUS - 1e-9
        assert (np.abs(np.diff(velocity, axis=0)).max((1, 2)) > 0).sum() > 20  # they do collide


@pytest.mark.parametrize("objects", [1, 12, 18])
def test_as_many_balls_as_are_asked_for_find_room(objects: int) -> None:
    video = simulate("billiards", 8, 64, 0, objects=objects)
    place = truth_of(video).position
    assert place.shape == (8, objects, 2)
    gap = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1) + 1e3 * np.eye(objects)
    assert gap.min() > 1.9 * billiards.RADIUS * 64  # the visible centre is a label's, to the pixel
    assert (place > 0).all()
    assert (place < 63).all()


def test_two_balls_that_meet_head_on_exchange_their_velocities() -> None:
    position = np.array([[0.3, 0.5], [0.7, 0.5]])
    velocity = np.array([[0.02, 0.0], [-0.01, 0.0]])
    position, velocity = billiards.move(12, position, velocity)
    assert np.allclose(velocity[-1], [[-0.01, 0], [0.02, 0]])
    meet = (0.4 - 2 * billiards.RADIUS) / 0.03
    expected = 0.3 + 0.02 * meet - 0.01 * (11 - meet)
    assert np.allclose(position[-1, 0], [expected, 0.5])


def test_cars_keep_their_distance_and_never_drive_backwards() -> None:
    for seed in range(6):
        flow = traffic.drive(60, np.random.default_rng(seed))
        assert (np.diff(flow.along, axis=0) >= 0).all()
        length = np.array([kind.length for kind in flow.kind])
        for lane in range(len(LANES)):
            queue = np.flatnonzero(flow.lane == lane)
            for leader, follower in pairwise(queue):
                gap = flow.along[:, leader] - flow.along[:, follower]
                assert (gap - (length[leader] + length[follower]) / 2).min() > 0.8


def test_cars_brake_enter_and_leave_in_both_directions() -> None:
    flows = [traffic.drive(50, np.random.default_rng(seed)) for seed in range(6)]
    assert any(flow.brakes.any() for flow in flows)
    entered = [(flow.along[0] < -REACH) & (flow.along[-1] > -REACH) for flow in flows]
    left = [(flow.along[0] < REACH) & (flow.along[-1] > REACH) for flow in flows]
    assert all(each.any() for each in entered)
    assert all(each.any() for each in left)
    kinds = {id(kind) for flow in flows for kind in flow.kind}
    assert kinds == {id(kind) for kind in KINDS}
    truth = truth_of(simulate("traffic", 50, 64, 1))
    moved = np.diff(truth.position[..., 0], axis=0)
    assert moved.max() > 0.5
    assert moved.min() < -0.5


def test_three_to_seven_vehicles_are_usual_and_some_are_hidden() -> None:
    counts, hidden = [], 0
    for seed in range(5):
        truth = truth_of(simulate("traffic", 50, 64, seed))
        counts.extend(truth.visible.sum(1).tolist())
        inside = ((truth.position > 2) & (truth.position < 61)).all(-1)
        hidden += int((inside & ~truth.visible).sum())
    assert 3 <= np.mean(counts) <= 7
    assert hidden > 0


def test_a_collision_keeps_momentum_and_never_adds_energy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        bodies = clevrer.choose(4, generator)
        discs = clevrer.start(bodies, 40, generator)
        discs.place[:2] = [[0, 0], [0.9 * discs.reach[:2].sum(), 0]]
        discs.velocity[:2] = generator.normal([[0.2, 0], [-0.2, 0]], 0.1)
        discs.spin[:2] = generator.normal(0, 0.1, 2)
        before = energy(discs), (discs.mass[:2, None] * discs.velocity[:2]).sum(0)
        clevrer.collide(discs, 0, 1)
        after = energy(discs), (discs.mass[:2, None] * discs.velocity[:2]).sum(0)
        assert np.allclose(before[1], after[1])
        assert after[0] < before[0]
        assert np.isclose(np.linalg.norm(discs.place[0] - discs.place[1]), discs.reach[:2].sum())


def energy(discs: clevrer.Discs) -> float:
    """Of the first two discs; a disc's inertia is m r^2 / 2."""
    mass, spin = discs.mass[:2], discs.spin[:2] * discs.reach[:2]
    return float((mass * (discs.velocity[:2] ** 2).sum(-1) / 2 + mass * spin**2 / 4).sum())


def test_bodies_do_not_stay_inside_one_another_and_come_into_view() -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        bodies = clevrer.choose(6, generator)
        discs = clevrer.start(bodies, 40, generator)
        reach = discs.reach
        places, _ = clevrer.move(discs, 40)
        apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
        apart -= reach[:, None] + reach
        apart[:, np.arange(6), np.arange(6)] = 0
        assert apart.min() > -0.05
    truth = truth_of(simulate("clevrer", 40, 64, 0))
    assert truth.visible.any(0).all()
    assert not truth.visible[0].all()


def test_shapes_repeat_one_picture() -> None:
    video = simulate("shapes", 3, 64, 5)
    assert np.array_equal(video.frames[0], video.frames[2])
    assert 6 <= truth_of(video).visible.shape[1] <= 9
    assert truth_of(video).visible.all()
    assert (video.frames[masks_of(video) == 0] == 0).mean() > 0.9


def test_what_is_added_first_hides_what_is_added_later() -> None:
    layers = Layers(np.zeros((32, 32, 3)), frames=1, objects=2, margin=8)
    time, full = np.zeros(1, int), np.ones((1, 8, 8))
    layers.add(0, time, np.array([[10, 10]]), np.full((1, 8, 8, 3), 1.0), full)
    layers.add(1, time, np.array([[14, 10]]), np.full((1, 8, 8, 3), 0.5), full)
    frames, mask = layers.finish()
    assert (mask[0] == 1).sum() == 64
    assert (mask[0] == 2).sum() == 32
    assert layers.seen.tolist() == [[64, 32]]
    assert layers.centroid[0].tolist() == [[13.5, 13.5], [19.5, 13.5]]
    assert frames[0, 12, 15, 0] == 255
    assert frames[0, 12, 20, 0] == 128


def test_an_object_across_the_border_is_seen_in_part() -> None:
    layers = Layers(np.zeros((32, 32, 3)), frames=2, objects=1, margin=8)
    colour, full = np.ones((2, 8, 8, 3)), np.ones((2, 8, 8))
    layers.add(0, np.arange(2), np.array([[-6, 4], [40, 4]]), colour, full)
    _, mask = layers.finish()
    assert layers.seen[:, 0].tolist() == [16, 0]
    assert layers.area[:, 0].tolist() == [64, 64]
    assert mask.sum() == 16


def test_a_polygon_has_the_area_it_should_and_no_back() -> None:
    square = np.array([[[2.0, 2], [2, 7], [6, 7], [6, 2]]])
    axis = (np.arange(100) + 0.5)[None] / 10
    assert inside_polygon(square, axis, axis).sum() == 2000
    assert not inside_polygon(square[:, ::-1], axis, axis).any()


def test_a_data_set_is_split_and_its_videos_differ() -> None:
    heard: list[float] = []
    made = list(generate_dataset("shapes", 20, 1, 32, 7, lambda _, share: heard.append(share)))
    splits = [split for split, _ in made]
    assert [splits.count(name) for name in ("train", "val", "test")] == [16, 2, 2]
    assert len({video.name for _, video in made}) == 20
    assert len({video.frames.tobytes() for _, video in made}) == 20
    assert heard[-1] == 1
    other = list(generate_dataset("shapes", 3, 1, 32, 8))
    assert [split for split, _ in other] == ["train", "val", "test"]
    assert not {v.frames.tobytes() for _, v in made} & {v.frames.tobytes() for _, v in other}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("moon", 5, 64, 0), "billiards"),
        (("shapes", 5, 60, 0), "multiple of 8"),
        (("shapes", 5, 24, 0), "at least 32"),
        (("shapes", 0, 64, 0), "frames = 0"),
        (("shapes", 5, 64, -1), "seed = -1"),
        (("traffic", 4000, 64, 0), "give fewer"),
    ],
)
def test_a_wrong_choice_is_explained_in_one_line(
    given: tuple[str, int, int, int], said: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        simulate(*given)
    assert "\n" not in str(raised.value)
