"""Births: found in tracks, and made in rollouts."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from dynamics.births import GATES, Births
from dynamics.entries import Entry, find_entries, typical
from dynamics.state import State
from dynamics.tracks import Tracks, fill, has_left
from tests.dynamics import made

SIDE = torch.tensor([32.0, 32.0])
T = 60
LEFT, RIGHT = (0.05, 0.0), (-0.08, 0.0)
CODES = 6


def tracks_of(*objects: tuple[tuple[float, float], tuple[float, float], int]) -> Tracks:
    """Objects (position in the frame when first seen, velocity, that frame), seen while inside."""
    path, begin = torch.zeros(T, len(objects), 2), torch.zeros(len(objects))
    frames = torch.arange(T)
    for row, (place, velocity, start) in enumerate(objects):
        since = (frames - start)[:, None]
        path[:, row] = torch.tensor(place) + since * torch.tensor(velocity)
        begin[row] = start
    seen = (frames[:, None] >= begin) & (path.abs() <= 1).all(-1)
    position = fill(path * seen[..., None], seen)
    code = path.abs().amax(-1, keepdim=True).expand(-1, -1, CODES)  # tells where it was taken
    return Tracks(position, code, seen, has_left(position, seen), position * 0)


def from_left(start: int, y: float = 0.4) -> tuple[tuple[float, float], tuple[float, float], int]:
    return (-0.9, y), LEFT, start


def from_right(start: int) -> tuple[tuple[float, float], tuple[float, float], int]:
    return (0.9, -0.4), RIGHT, start


def fitted() -> Births:
    """Two gates, of 4 and of 2 births in the 54 frames of a video in which one is noticed."""
    births = Births(CODES - 3)
    video = tracks_of(*map(from_left, (4, 16, 28, 40)), *map(from_right, (10, 30)))
    births.fit([video] * 3, SIDE)
    return births


def nobody(b: int = 1, n: int = 100, h: int = 4) -> State:
    alive = torch.zeros(b, n, dtype=torch.bool)
    return State(torch.zeros(b, h, n, 2), torch.zeros(b, h, n), torch.zeros(b, n, CODES), alive)


def total(births: Births, state: State, steps: int, seed: int | None = None) -> torch.Tensor:
    """Births [b, GATES] in so many frames; each newcomer is taken away at once."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    clock = births.start(len(state.alive))
    for _ in range(steps):
        _, clock, _ = births.step(state, clock, generator)
    return clock.count


def test_fit_finds_the_gates_their_rates_and_velocities():
    births = fitted()
    assert births.rate[:2].tolist() == pytest.approx([4 / 54, 2 / 54])
    assert not births.rate[2:].any()
    for gate, (x, y), velocity in ((0, (-1.0, 0.4), LEFT), (1, (1.0, -0.4), RIGHT)):
        own = births.gate == gate
        assert torch.allclose(births.position[own], torch.tensor([x, y]), atol=1e-4)
        assert torch.allclose(births.velocity[own], torch.tensor(velocity), atol=1e-4)
    assert (births.gate >= 0).sum() == 18
    # The looks are those furthest inside of the first eight sightings.
    assert births.code[births.gate == 0].max() == pytest.approx(0.9 - 7 * 0.05, abs=1e-4)


def test_an_entry_is_carried_back_despite_noise_and_a_cut_first_sighting():
    video = tracks_of(from_left(10))
    torch.manual_seed(0)
    position = video.position + torch.randn_like(video.position) * 0.005
    position[10, 0, 0] += 0.05
    (entry,) = find_entries(replace(video, position=position), SIDE)
    assert torch.allclose(entry.velocity, torch.tensor(LEFT), atol=0.005)
    assert entry.position[0] == pytest.approx(-1)


@pytest.mark.parametrize(
    "one",
    [
        ((-0.5, 0.4), LEFT, 10),  # in the middle
        ((-0.9, 0.4), LEFT, 0),  # there from the beginning
        ((-0.9, 0.4), LEFT, 1),
        ((-0.9, 0.4), LEFT, T - 3),  # too late to be sure
        ((-0.9, 0.4), (-0.01, 0.0), 10),  # going out
        ((-0.9, 0.4), (0.0, 0.03), 10),  # going along
        ((-0.9, 0.4), (0.001, 0.0), 10),  # hardly moving
    ],
)
def test_what_did_not_come_in_is_no_entry(one):
    assert find_entries(tracks_of(one), SIDE) == []
    assert len(find_entries(tracks_of(one, from_left(10, -0.4)), SIDE)) == 1


def test_what_is_seen_too_seldom_is_no_entry():
    video = tracks_of(from_left(10), from_left(30))
    video.seen[11:14, 0] = False
    assert len(find_entries(video, SIDE)) == 1


@pytest.mark.parametrize("missed", [0, 8])
def test_one_found_again_beside_where_it_was_is_no_entry(missed):
    # The second goes on where the first is, or was last seen and must be by now.
    video = tracks_of(((-0.98, 0.4), (0.02, 0.0), 5), ((-0.72, 0.42), (0.02, 0.0), 18))
    assert find_entries(replace(video, seen=video.seen & torch.tensor([False, True])), SIDE)
    if missed:
        video.seen[18 - missed :, 0] = False
    assert len(find_entries(video, SIDE)) == 1


def test_rare_gates_are_dropped():
    births = Births(CODES - 3)
    video = tracks_of(*map(from_left, (4, 20, 30)), *map(from_right, (10, 30)))
    births.fit([video], SIDE)
    assert births.rate.count_nonzero() == 1
    assert (births.velocity[births.gate >= 0][:, 0] > 0).all()
    births.fit([tracks_of(from_left(4), from_left(30))], SIDE)
    assert not births.rate.any()


def test_room_is_what_entries_were_seen_to_keep():
    births = Births(CODES - 3)
    # Each follows 4 frames, 0.2 or 6.4 pixels, behind the one before, but the first.
    births.fit([tracks_of(*map(from_left, range(10, 50, 4)))], SIDE)
    assert births.room[0] == pytest.approx(6.4, abs=0.01)


def test_a_refit_forgets():
    births = fitted()
    births.fit([made.coasting(T, [(0.0, 0.0)])], SIDE)
    empty = Births(CODES - 3).state_dict() | {"side": SIDE}
    assert all(torch.equal(value, empty[name]) for name, value in births.state_dict().items())


@pytest.mark.parametrize("steps", [7, 40, 200])
def test_births_at_even_intervals_keep_the_rate(steps):
    births = fitted()
    early = total(births, nobody(), steps)[0] - births.rate * steps
    assert (early.abs() <= 0.75 + 1e-3).all()  # two gates begin at a quarter and three quarters
    assert early.sum().abs() <= 1 + 1e-3


def test_gates_alike_open_in_turn():
    births = fitted()
    births.rate[:2] = 0.1
    births.room.zero_()
    clock, frames = births.start(1), []
    for frame in range(20):
        _, clock, born = births.step(nobody(), clock)
        frames += [frame] * int(born.sum())
    assert len(frames) == 4
    assert all(4 <= gap <= 6 for gap in torch.tensor(frames).diff().tolist())


def test_a_lone_gate_opens_halfway():
    births = fitted()
    births.rate[1:] = 0.0
    assert births.start(2).due[:, 0].tolist() == [0.5, 0.5]


def test_random_births_keep_the_rate_and_differ_by_seed():
    births = fitted()
    counts = total(births, nobody(b=200), 40, seed=0)
    assert torch.allclose(counts.float().mean(0), births.rate * 40, atol=0.3)
    assert counts.float().var(0)[0] == pytest.approx(40 * 4 / 54 * 50 / 54, rel=0.3)
    assert torch.equal(counts, total(births, nobody(b=200), 40, seed=0))
    assert not torch.equal(counts, total(births, nobody(b=200), 40, seed=1))


def test_random_entries_are_their_own_gates():
    births = fitted()
    births.rate[1] = 0.0
    clock, generator = births.start(50), torch.Generator().manual_seed(0)
    codes = set()
    births.code[births.gate == 0] = torch.arange(12.0)[:, None].expand(-1, CODES)
    for _ in range(40):
        state, clock, born = births.step(nobody(b=50), clock, generator)
        assert (state.position[:, -1][born][:, 0] < 0).all()
        codes |= set(state.code[born][:, 0].tolist())
    assert codes == set(range(12))


def test_entries_come_in_turn():
    births = fitted()
    births.code[births.gate == 0] = torch.arange(12.0)[:, None].expand(-1, CODES)
    births.rate[0], births.rate[1] = 1.0, 0.0
    clock, codes = births.start(1), []
    for _ in range(14):
        state, clock, born = births.step(nobody(), clock)
        codes += state.code[born][:, 0].tolist()
    assert codes == [*range(12), 0, 1]


def test_a_birth_waits_for_room():
    births = fitted()
    births.rate[0], births.rate[1], births.room[0] = 0.1, 0.0, 5.0
    taken = nobody(n=3)
    taken.position[0, :, 2] = births.position[0]  # an empty row takes no room
    taken.alive[0, 1] = True
    taken.position[0, :, 1] = births.position[0] + torch.tensor([4.9, 0.0]) / SIDE
    clock = births.start(1)
    for _ in range(50):
        state, clock, born = births.step(taken, clock)
        assert not born.any()
        assert torch.equal(state.position, taken.position)
    free = replace(taken, position=taken.position + torch.tensor([0.2, 0.0]) / SIDE)
    state, clock, born = births.step(free, clock)
    assert born.tolist() == [[True, False, False]]
    later = [births.step(free, clock)[2].any()]
    for _ in range(5):
        _, clock, born = births.step(free, clock)
        later.append(born.any())
    assert sum(map(int, later)) <= 2  # no burst of the five that were due


def test_a_birth_waits_for_an_empty_row():
    births = fitted()
    births.rate[:2] = 1.0
    births.room.zero_()
    full = nobody(n=2)
    full.alive[:] = True
    state, clock, born = births.step(full, births.start(1))
    assert not born.any()
    assert torch.equal(state.position, full.position)
    full.alive[0, 1] = False
    _, clock, born = births.step(full, clock)  # two gates are due, one row is empty
    assert born.tolist() == [[False, True]]
    assert clock.count[0, :2].tolist() == [1, 0]


def test_a_new_row_moves_at_the_entrys_velocity_and_the_others_stay():
    births = fitted()
    births.rate[0], births.rate[1] = 1.0, 0.0
    before = made.state(b=2, codes=CODES)
    before.position[:, -1, :-1] *= 0.1  # far from the gate
    kept = {f.name: getattr(before, f.name).clone() for f in fields(State)}
    clock = births.start(2)
    after, new_clock, born = births.step(before, clock)
    assert born.tolist() == [[False] * 4 + [True]] * 2
    assert torch.equal(after.position[:, -1, -1], births.position[:1].expand(2, -1))
    assert torch.allclose(after.position[:, :, -1].diff(dim=1), births.velocity[0])
    assert after.seen[:, :, -1].tolist() == [[1, 1, 1, 1]] * 2
    assert torch.equal(after.code[:, -1], births.code[:1].expand(2, -1))
    assert after.alive.all()
    for name in ("position", "seen"):
        assert torch.equal(getattr(after, name)[:, :, :-1], kept[name][:, :, :-1])
    assert torch.equal(after.code[:, :-1], kept["code"][:, :-1])
    assert all(torch.equal(getattr(before, name), value) for name, value in kept.items())
    assert torch.equal(clock.due, births.start(2).due)
    assert not clock.count.any()
    assert new_clock.count[:, 0].tolist() == [1, 1]


def test_an_empty_one_changes_nothing():
    births = Births(CODES - 3)
    state, clock = made.state(codes=CODES), births.start(2)
    same, still, born = births.step(state, clock, torch.Generator().manual_seed(0))
    assert same is state
    assert still is clock
    assert not born.any()
    assert clock.due.shape == (2, GATES)


def test_it_survives_saving():
    births, loaded = fitted(), Births(CODES - 3)
    loaded.load_state_dict(births.state_dict())
    births.rate[:2], loaded.rate[:2] = 1.0, 1.0
    one, other = (each.step(nobody(), each.start(1))[0] for each in (births, loaded))
    assert all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(State))
    assert one.alive.sum() == 2


def test_permuting_the_sets_permutes_the_births():
    births = fitted()
    births.rate[:2] = torch.tensor([0.5, 0.3])
    state = made.state(b=3, n=6, codes=CODES)
    state.alive[0], state.alive[1, :3] = True, False
    order = torch.tensor([2, 0, 1])
    other = State(*(getattr(state, f.name)[order] for f in fields(State)))
    clock, its = births.start(3), births.start(3)
    for _ in range(5):
        state, clock, born = births.step(state, clock)
        other, its, same = births.step(other, its)
        assert torch.equal(born[order], same)
        assert torch.equal(state.position[order], other.position)
        assert torch.equal(clock.count[order], its.count)
    assert len(set(clock.count[:, 0].tolist())) > 1


def test_what_looks_like_the_others_comes_first() -> None:
    looks = [5.0, 1.0, 1.1, -3.0, 0.9]
    found = [Entry(torch.zeros(2), torch.ones(2), torch.full((CODES,), x), 1.0) for x in looks]
    assert [float(one.code[0]) for one in typical(found)] == pytest.approx([1, 1.1, 0.9, 5, -3])
