from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics.identity import LinkConfig, Track, link
from dynamics.tracks import choose_rows, context_state, of_nearest_sighting, track
from tests.dynamics.made import particles


def shuffled(
    paths: np.ndarray, seed: int, looks: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paths [t, n, 2] with the slots of each frame in an order of its own."""
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(paths.shape[1]) for _ in paths])
    looks = np.zeros((paths.shape[1], 2)) if looks is None else looks
    return np.take_along_axis(paths, order[..., None], 1), looks[order], order


def straight(t: int, starts: list, speeds: list) -> np.ndarray:
    return np.array(starts, float) + np.arange(t)[:, None, None] * np.array(speeds, float)


def test_particles_keep_their_identities_whatever_slots_they_come_in() -> None:
    paths = straight(20, [(10, 10), (50, 50), (10, 50)], [(2, 1), (-2, -1), (1, -2)])
    position, looks, order = shuffled(paths, 0)
    identities = link(position, looks, np.ones((20, 3)), 64)
    by_object = np.take_along_axis(identities, order.argsort(1), 1)
    assert (by_object == by_object[0]).all()
    assert set(by_object[0]) == {0, 1, 2}


def test_equal_things_that_cross_keep_their_direction() -> None:
    paths = straight(24, [(8, 30), (56, 31)], [(2, 0), (-2, 0)])
    position, looks, order = shuffled(paths, 1)
    identities = link(position, looks, np.ones((24, 2)), 64)
    by_object = np.take_along_axis(identities, order.argsort(1), 1)
    assert (by_object == by_object[0]).all()


def test_appearance_decides_where_position_cannot() -> None:
    # Both rest at one spot apart from each other, then trade places at once.
    paths = np.repeat(np.array([[(30.0, 30.0), (33.0, 30.0)]]), 10, 0)
    paths[5:] = paths[5:, ::-1]
    looks = np.array([[0.0, 0.0], [6.0, 6.0]])
    identities = link(paths, np.repeat(looks[None], 10, 0), np.ones((10, 2)), 64)
    assert (identities == identities[0]).all()


def test_one_hidden_for_a_while_is_remembered() -> None:
    paths = straight(30, [(5, 20), (40, 50)], [(1.5, 0), (0.5, 0)])
    alive = np.ones((30, 2))
    alive[10:18, 0] = 0
    identities = link(paths, np.zeros((30, 2, 2)), alive, 64)
    assert (identities[:10, 0] == 0).all()
    assert (identities[10:18, 0] == -1).all()
    assert (identities[18:, 0] == 0).all()


def test_one_who_leaves_does_not_lend_its_identity_to_one_who_enters_elsewhere() -> None:
    paths = straight(20, [(60, 20)], [(1, 0)])
    paths[5:] = straight(15, [(3, 50)], [(1, 0)])
    identities = link(paths, np.zeros((20, 1, 2)), np.ones((20, 1)), 64)[:, 0]
    assert (identities[:5] == 0).all()
    assert (identities[5:] == 1).all()


def test_of_two_at_hand_the_one_in_full_use_is_taken() -> None:
    position = np.array([[(30.0, 30.0), (0, 0)], [(29.5, 30.0), (30.5, 30.0)]])
    for faint in (0, 1):
        alive = np.array([[1.0, 0.0], [1.0, 1.0]])
        alive[1, faint] = 0.4
        identities = link(position, np.zeros((2, 2, 2)), alive, 64)
        assert identities[1, 1 - faint] == 0
        assert identities[1, faint] == 1


def test_an_unsure_particle_may_be_further_off() -> None:
    position = np.array([[(10.0, 30.0)], [(12, 30)], [(14, 30)], [(23, 30)]])
    looks, alive = np.zeros((4, 1, 2)), np.ones((4, 1))
    sure = link(position, looks, alive, 64, sigma=np.full((4, 1), 0.1))[:, 0]
    unsure = link(position, looks, alive, 64, sigma=np.full((4, 1), 3.0))[:, 0]
    assert sure.tolist() == [0, 0, 0, 1]
    assert unsure.tolist() == [0, 0, 0, 0]


def test_an_unsure_particle_far_off_is_another() -> None:
    # As in traffic: the dim second particle of a truck, when that of another is found and its not.
    position = np.array([[(41.5, 27.9)], [(40.3, 27.6)], [(38.5, 27.4)], [(47.9, 44.9)]])
    looks, alive = np.zeros((4, 1, 2)), np.ones((4, 1))
    identities = link(position, looks, alive, 64, sigma=np.full((4, 1), 8.0))[:, 0]
    assert identities.tolist() == [0, 0, 0, 1]


def test_what_is_struck_may_go_as_fast_as_what_strikes_it() -> None:
    striker = [(5.0 * t, 20.0) for t in range(6)] + [(25.0, 20.0)] * 4
    struck = [(30.0, 20.0)] * 6 + [(30.0 + 5 * t, 20.0) for t in range(1, 5)]
    resting = [(2.0, 50.0 + 0.1 * t) for t in range(6)] + [(7.0, 50.6 + 0.1 * t) for t in range(4)]
    looks, alive = np.zeros((10, 2, 2)), np.ones((10, 2))
    hit = link(np.array([striker, struck]).swapaxes(0, 1), looks, alive, 64)
    assert (hit == [0, 1]).all()
    alone = link(np.array(resting)[:, None], looks[:, :1], alive[:, :1], 64)[:, 0]
    assert alone[5] != alone[6]  # nothing was there to strike it


def test_a_better_guess_of_the_motion_holds_on_to_what_turns() -> None:
    path = np.array([(10.0 + 5 * t, 30.0) for t in range(6)])
    path = np.concatenate([path, path[::-1][1:]])[:, None]  # it bounces off at 35
    looks, alive = np.zeros((11, 1, 2)), np.ones((11, 1))

    def knows(tracks: Sequence[Track]) -> np.ndarray:
        return np.stack([path[len(one.path), 0] for one in tracks])

    config = LinkConfig(gate=2.0, gate_speed=0.0)
    coasting = link(path, looks, alive, 64, config)[:, 0]
    assert coasting[5] != coasting[-1]
    assert (link(path, looks, alive, 64, config, motion=knows)[:, 0] == 0).sum() >= 9


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 6), st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0])
)
def test_any_number_of_live_particles(k: int, t: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    alive = (rng.random((t, k)) < share).astype(float)
    identities = link(rng.random((t, k, 2)) * 64, rng.random((t, k, 3)), alive, 64)
    assert ((identities >= 0) == (alive > 0.3)).all()
    for row in identities:
        used = row[row >= 0]
        assert len(set(used)) == len(used)  # one particle an identity


def test_tracks_fill_gaps_in_a_straight_line_and_carry_on_beyond_the_ends() -> None:
    position = torch.zeros(8, 1, 2)
    position[:, 0, 0] = torch.arange(8) * 0.1 - 0.4
    alive = torch.ones(8, 1)
    alive[[0, 3, 4, 7]] = 0
    found = track(particles(position, alive), (64, 64))
    assert found.seen[:, 0].tolist() == [False, True, True, False, False, True, True, False]
    assert torch.allclose(found.position, position, atol=1e-5)


def test_no_live_particle_gives_no_tracks_and_an_empty_state() -> None:
    found = track(particles(torch.zeros(5, 3, 2), torch.zeros(5, 3)), (64, 64))
    assert found.position.shape == (5, 0, 2)
    state = context_state(found, choose_rows(found, 4), history=8, rows=4)
    assert not state.alive.any()
    assert state.position.isfinite().all()


def test_a_short_context_is_carried_on_backwards() -> None:
    position = torch.tensor([[[0.0, 0.0]], [[0.1, 0.2]]])
    found = track(particles(position, torch.ones(2, 1)), (64, 64))
    state = context_state(found, choose_rows(found, 2), history=4, rows=2)
    expected = torch.tensor([[-0.2, -0.4], [-0.1, -0.2], [0.0, 0.0], [0.1, 0.2]])
    assert torch.allclose(state.position[0, :, 0], expected, atol=1e-6)
    assert state.seen[0, :, 0].tolist() == [0, 0, 1, 1]
    assert state.alive.tolist() == [[True, False]]


def test_those_in_view_come_first() -> None:
    position = torch.linspace(-0.8, 0.8, 3)[None, :, None].expand(6, 3, 2)
    alive = torch.ones(6, 3)
    alive[4:, 0] = 0
    alive[:3, 2] = 0
    found = track(particles(position, alive), (64, 64))
    assert choose_rows(found, 3) == [1, 2, 0]
    assert choose_rows(found, 2) == [1, 2]


def test_what_was_seen_early_only_is_not_alive_at_the_end() -> None:
    position = torch.tensor([[-0.5, 0.0], [0.5, 0.0]]).expand(60, 2, 2)
    alive = torch.ones(60, 2)
    alive[3:, 1] = 0  # a blip
    found = track(particles(position, alive), (64, 64))
    assert not found.left.any()
    rows = choose_rows(found, 3)
    state = context_state(found, rows, history=4, rows=3)
    assert rows == [0, 1]  # the context's own frames are drawn with it
    assert state.alive.tolist() == [[True, False, False]]
    assert choose_rows(found, 1) == [0]


def test_a_resting_thing_that_was_hidden_for_longer_than_it_is_remembered_lives_once() -> None:
    alive = torch.ones(40, 1)
    alive[12:27] = 0
    found = track(particles(torch.zeros(40, 1, 2), alive), (64, 64))
    assert found.seen.shape[1] == 2  # it has become another
    rows = choose_rows(found, 2)
    state = context_state(found, rows, history=4, rows=2)
    assert rows == [1, 0]
    assert state.alive.tolist() == [[True, False]]


@pytest.mark.parametrize(("hidden", "lives"), [(10, True), (11, False)])
def test_what_is_hidden_at_the_end_lives_as_long_as_it_is_remembered(
    hidden: int, lives: bool
) -> None:
    alive = torch.ones(20, 1)
    alive[20 - hidden :] = 0
    found = track(particles(torch.zeros(20, 1, 2), alive), (64, 64))
    state = context_state(found, choose_rows(found, 1), history=4, rows=1)
    assert state.alive.item() == lives
    # Had the video gone on, linking would have found it again, or not.
    back = track(particles(torch.zeros(21, 1, 2), torch.cat([alive, alive[:1]])), (64, 64))
    assert (back.seen.shape[1] == 1) == lives


def test_the_living_come_before_those_that_were_seen_more() -> None:
    position = torch.linspace(-0.8, 0.8, 3)[None, :, None].expand(40, 3, 2)
    alive = torch.ones(40, 3)
    alive[25:, 0] = 0  # forgotten
    alive[:30, 1] = 0
    alive[36:, 1] = 0  # hidden
    alive[:38, 2] = 0  # in view
    found = track(particles(position, alive), (64, 64))
    assert choose_rows(found, 3) == [2, 1, 0]
    assert choose_rows(found, 2) == [2, 1]


def test_what_was_not_seen_is_as_the_nearest_sighting_was() -> None:
    given = torch.Generator().manual_seed(0)
    seen = torch.rand(40, 30, generator=given) < torch.linspace(0.02, 0.9, 30)
    seen[7] |= ~seen.any(0)
    code = torch.randn(40, 30, 2, generator=given)
    found = of_nearest_sighting(code, seen)
    for row in range(30):
        frames = seen[:, row].nonzero()[:, 0]
        for t in range(40):
            nearest = frames[(frames - t).abs().argmin()]  # the earlier of two
            assert torch.equal(found[t, row], code[nearest, row])
