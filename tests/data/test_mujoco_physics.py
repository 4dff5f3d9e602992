"""MuJoCo's physics of the clevrer world: true shapes collide, and neither sink in nor speed up."""

from __future__ import annotations

import sys
from itertools import combinations, combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest

from data.errors import UserError
from data.frames import FrameConfig
from data.make import make_data
from data.source import open_source
from data.worlds import clevrer, mujoco_physics, simulate
from data.worlds.bodies import Body
from data.worlds.clevrer import RADII, Discs
from pipelines.cli import main

SEEDS = range(6)
FRAMES = 40


def begin(seed: int) -> Discs:
    """Six bodies of a seed, as they start."""
    generator = np.random.default_rng(seed)
    return clevrer.start(clevrer.choose(6, generator), FRAMES, generator)


def two(kinds: tuple[str, str], metal: tuple[bool, bool], aside: float = 0.0) -> Discs:
    """One body sliding to the right at another at rest; both with a face across the way."""
    bodies = [
        Body(kind, RADII[kind], np.ones(3), hard, np.zeros(2))
        for kind, hard in zip(kinds, metal, strict=True)
    ]
    return Discs(
        bodies,
        place=np.array([[-1.3, aside], [0.0, 0.0]]),
        velocity=np.array([[0.2, 0.0], [0.0, 0.0]]),
        yaw=np.zeros(2),
        spin=np.zeros(2),
        reach=np.array([body.radius * 1.4143 for body in bodies]),
        mass=np.array([clevrer.MASS[hard] for hard in metal]),
        bounce=np.array([clevrer.RESTITUTION[hard] for hard in metal]),
        entry=np.zeros(2),
    )


def inertia(discs: Discs) -> np.ndarray:
    """About the vertical, [n]: of a cube's side 2 r, a solid sphere, a solid cylinder."""
    share = {"cube": 2 / 3, "sphere": 2 / 5, "cylinder": 1 / 2}
    return np.array(
        [share[b.kind] * m * b.radius**2 for b, m in zip(discs.bodies, discs.mass, strict=True)]
    )


def energies(discs: Discs, places: np.ndarray, yaws: np.ndarray) -> np.ndarray:
    """Of each body between frames [t - 1, n], from its mean speeds."""
    speed, spin = np.diff(places, axis=0), np.diff(yaws, axis=0)
    return discs.mass * (speed**2).sum(-1) / 2 + inertia(discs) * spin**2 / 2


def overlap(
    one: Body, place: np.ndarray, yaw: float, two: Body, at: np.ndarray, turn: float
) -> float:
    """How deep the bodies' outlines, squares and circles, are in one another; below 0: apart."""
    if one.kind != "cube" and two.kind != "cube":
        return float(one.radius + two.radius - np.linalg.norm(place - at))
    if one.kind != "cube":
        one, place, yaw, two, at, turn = two, at, turn, one, place, yaw
    if two.kind != "cube":
        x, y = at - place
        c, s = np.cos(yaw), np.sin(yaw)
        beyond = np.maximum(np.abs([c * x + s * y, c * y - s * x]) - one.radius, 0)
        return float(two.radius - np.linalg.norm(beyond))
    # Two squares are apart if they are along the normal of some side (separating axes).
    angles = np.array([yaw, yaw + np.pi / 2, turn, turn + np.pi / 2])
    normals = np.stack([np.cos(angles), np.sin(angles)], -1)
    reach = sum(
        body.radius * (np.abs(np.cos(angles - a)) + np.abs(np.sin(angles - a)))
        for body, a in ((one, yaw), (two, turn))
    )
    return float((reach - np.abs(normals @ (at - place))).min())


def test_the_same_seed_gives_the_same_video_with_another_course_than_the_plain_one() -> None:
    videos = [simulate("clevrer", FRAMES, 32, 0, physics=p) for p in ("mujoco", "mujoco", "plain")]
    first, again, plain = videos
    assert np.array_equal(first.frames, again.frames)
    assert first.truth is not None
    assert plain.truth is not None
    assert np.array_equal(first.frames[0], plain.frames[0])
    apart = np.linalg.norm(first.truth.position - plain.truth.position, axis=-1)
    assert apart[0].max() == 0
    assert apart[-1].max() > 2


def test_bodies_never_sink_into_one_another_though_they_touch() -> None:
    deepest = []
    for seed in SEEDS:
        discs = begin(seed)
        places, yaws = mujoco_physics.move(discs, FRAMES)
        deepest.append(
            max(
                overlap(a, places[t, i], yaws[t, i], b, places[t, j], yaws[t, j])
                for (i, a), (j, b) in combinations(enumerate(discs.bodies), 2)
                for t in range(FRAMES)
            )
        )
    assert max(deepest) < 0.02
    assert max(deepest) > 0


def test_energy_never_exceeds_what_came_in() -> None:
    for seed in SEEDS:
        discs = begin(seed)
        came = discs.mass * (discs.velocity**2).sum(-1) / 2 + inertia(discs) * discs.spin**2 / 2
        places, yaws = mujoco_physics.move(discs, FRAMES)
        entered = discs.entry <= np.arange(1, FRAMES)[:, None]
        total = energies(discs, places, yaws).sum(-1)
        assert (total <= (came * entered).sum(-1) + 1e-6).all()
        assert total[-1] < 0.9 * came.sum()


@pytest.mark.parametrize("kinds", list(combinations_with_replacement(RADII, 2)))
def test_a_collision_keeps_momentum_turns_included_and_only_loses_energy(
    kinds: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mujoco_physics, "SLIDING", 0.0)
    monkeypatch.setattr(mujoco_physics, "SPINNING", 0.0)
    generator = np.random.default_rng(0)
    for _ in range(12):
        discs = two(kinds, (True, bool(generator.integers(2))), generator.uniform(-0.5, 0.5))
        discs.yaw[:] = generator.uniform(0, 6, 2)
        discs.spin[:] = generator.uniform(-0.3, 0.3, 2)
        places, yaws = mujoco_physics.move(discs, 20)
        speed, spin = np.diff(places, axis=0), np.diff(yaws, axis=0)
        push = discs.mass[:, None] * speed
        assert not np.allclose(push[0], push[-1])
        assert np.allclose(push[0].sum(0), push[-1].sum(0), atol=1e-9)
        (x, y), (along, across) = np.moveaxis(places[:-1], -1, 0), np.moveaxis(push, -1, 0)
        turning = (x * across - y * along + inertia(discs) * spin).sum(-1)
        assert np.isclose(turning[0], turning[-1], atol=1e-3)
        energy = energies(discs, places, yaws).sum(-1)
        assert energy[-1] < energy[0]


def test_a_hit_off_the_middle_turns_a_cube() -> None:
    for aside, way in ((0.25, -1), (-0.25, 1)):
        _, yaws = mujoco_physics.move(two(("sphere", "cube"), (True, True), aside), 16)
        assert way * yaws[-1, 1] > 0.2


def test_shapes_meet_at_their_faces_where_discs_meet_at_their_corners() -> None:
    for kind in RADII:
        gaps = []
        for physics in (mujoco_physics.move, clevrer.move):
            places, _ = physics(two((kind, "cube"), (True, True)), 60)
            gaps.append(np.linalg.norm(places[:, 1] - places[:, 0], axis=1).min())
        face = RADII[kind] + RADII["cube"]
        assert face - 0.02 < gaps[0] < face + 0.12  # a frame's way
        assert gaps[0] < gaps[1]


@pytest.mark.parametrize(("metal", "bounce"), [((True, True), 0.9), ((False, False), 0.6)])
def test_round_bodies_bounce_as_their_material_says(
    metal: tuple[bool, bool], bounce: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mujoco_physics, "SLIDING", 0.0)
    places, _ = mujoco_physics.move(two(("sphere", "cylinder"), metal), 12)
    speed = (places[-1] - places[-2])[:, 0]
    assert (speed[1] - speed[0]) / 0.2 == pytest.approx(bounce, abs=0.06)


def test_the_floor_stops_a_body_as_its_friction_says() -> None:
    discs = two(("cube", "sphere"), (True, False))
    discs.velocity[:] = [[0.03, 0.04], [0, 0]]
    discs.spin[:] = [0.03, 0]
    places, yaws = mujoco_physics.move(discs, 40)
    way = 0.05**2 / (2 * clevrer.SLIDING)
    assert places[-1, 0] - places[0, 0] == pytest.approx(way * np.array([0.6, 0.8]), rel=0.01)
    assert yaws[-1, 0] == pytest.approx(0.03**2 / (2 * clevrer.SPINNING), rel=0.03)
    assert (places[:, 1] == 0).all()


def test_a_body_enters_only_once_its_place_is_free() -> None:
    discs = two(("cube", "cube"), (True, True))
    discs.velocity[1] = [-0.1, 0]
    discs.place[0] = [-0.5, 0]  # in the other's way
    discs.entry[1] = 1
    places, _ = mujoco_physics.move(discs, 20)
    assert (places[:2, 1] == 0).all()
    assert places[-1, 1, 0] < -0.5
    assert np.abs(np.diff(places, axis=0)).max() <= 0.2


def test_the_source_and_the_command_take_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "synthetic:clevrer,videos=3,frames=3,size=32,seed=4"
    plain, other = (
        open_source(source + end, FrameConfig(), tmp_path) for end in ("", ",physics=mujoco")
    )
    assert plain.fingerprint != other.fingerprint
    made = simulate("clevrer", 3, 32, 4_000_000, physics="mujoco")
    assert np.array_equal(other.whole[0].frames, made.frames)
    words = ["--videos", "1", "--frames", "3", "--size", "32", "--physics", "mujoco"]
    assert main(["make-data", "clevrer", str(tmp_path / "set"), *words]) == 0
    assert (tmp_path / "set" / "clevrer_00000.mp4").stat().st_size > 0


def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    out = tmp_path / "set"
    assert main(["make-data", "clevrer", str(out), "--physics", "mujoco"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("particlecast: error: physics mujoco is not installed: ")
    assert said.endswith(": pip install 'particlecast[mujoco]'\n")
    assert said.count("\n") == 1
    assert not out.exists()
    with pytest.raises(UserError, match="physics mujoco is not installed"):
        open_source("synthetic:clevrer,physics=mujoco", FrameConfig(), tmp_path)
    make_data("clevrer", out, 1, 2, 32, 0)  # the plain one does not need it


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("synthetic:billiards,physics=mujoco", "'billiards' moves by rules of its own.*clevrer"),
        ("synthetic:clevrer,physics=newton", "unknown physics: 'newton'.*plain, mujoco"),
        ("synthetic:clevrer,physics", "unknown physics: ''"),
    ],
)
def test_a_physics_that_is_not_there_is_explained(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        open_source(source, FrameConfig(), tmp_path)
    assert "\n" not in str(raised.value)
