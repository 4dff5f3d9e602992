"""Particles into their future: in parts, out of the frame and into it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from dynamics.config import DynamicsConfig
from dynamics.futures import CHUNK, HOMING, LEAVE, Moved, leave, move, sample
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.state import State
from tests.dynamics.made import calmed, roused, state

K = 5
CONFIG = DynamicsConfig(history=4, hidden=16, neighbours=3, chance=4)


def lively() -> GraphDynamics:
    """Far from coasting."""
    return roused(CONFIG)


def calm() -> GraphDynamics:
    return calmed(GraphDynamics(CONFIG, features=3, size=(32, 48)))


def with_births(model: GraphDynamics, rate: float = 0.2, speed: float = 0.3) -> GraphDynamics:
    """A gate at the left border, whose entries cross the frame in 2.05 / speed frames."""
    births = model.births
    births.gate[:3] = 0
    births.position[:3] = torch.tensor([[-1.0, -0.5], [-1.0, 0.0], [-1.0, 0.5]])
    births.velocity[:3] = torch.tensor([speed, 0.0])
    births.rate[0] = rate
    return model


def going(*velocities: float) -> State:
    """One set, each particle on a line of its own, from x = 0 at its own velocity to the right."""
    n, h = len(velocities), CONFIG.history
    given = state(b=1, h=h, n=n)
    x = torch.arange(1 - h, 1)[:, None] * torch.tensor(velocities)  # (h, n)
    y = torch.linspace(-0.8, 0.8, n).expand(h, n)
    alive = torch.ones(1, n, dtype=torch.bool)
    return replace(given, position=torch.stack([x, y], -1)[None], alive=alive)


def joined(parts: list[Moved]) -> Moved:
    return Moved(*(torch.cat([getattr(p, f.name) for p in parts], 1) for f in fields(Moved)))


def same(one: Moved, other: Moved) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Moved))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [None, 3])
def test_a_long_future_comes_in_parts_that_join(
    monkeypatch: pytest.MonkeyPatch, seed: int | None
) -> None:
    model, horizon = with_births(lively()), CHUNK + 9
    given = state(b=2, h=4)
    whole = list(move(model, given, horizon, None if seed is None else seeded(seed)))
    assert [part.position.shape[1] for part in whole] == [CHUNK, 9]
    for chunk in (1, 7, 100):
        monkeypatch.setattr("dynamics.futures.CHUNK", chunk)
        parts = list(move(model, given, horizon, None if seed is None else seeded(seed)))
        assert max(part.position.shape[1] for part in parts) == min(chunk, horizon)
        assert same(joined(parts), joined(whole))
    assert (joined(whole).identity >= K).any()  # births across the parts too


def test_shapes() -> None:
    (part,) = move(lively(), state(b=3, h=4), 6)
    assert part.position.shape == (3, 6, K, 2)
    assert part.code.shape == (3, 6, K, 6)
    assert part.identity.shape == (3, 6, K)
    assert part.identity.dtype == torch.int64
    assert part.position[0].isfinite().all()
    assert torch.equal(part.sets(slice(1, 2)).identity, part.identity[1:2])
    assert part.sets(slice(1, 3)).position.shape == (2, 6, K, 2)
    assert torch.equal(part.sets(slice(1, 2)).position[0], part.position[1])


def test_where_nothing_comes_or_goes_it_is_the_unroll() -> None:
    model, given = lively(), going(0.001, -0.002, 0.0)
    (part,) = move(model, given, 1)
    with torch.no_grad():
        expected = torch.stack([s.position[:, -1] for s in unroll(model, given, 1)], 1)
    assert expected.abs().max() < LEAVE
    assert torch.equal(part.position, expected)
    assert (part.identity == torch.arange(3)).all()


def test_who_leaves_is_gone_for_good_and_stays_at_the_border() -> None:
    given = going(0.2, 0.01, -0.2)
    (part,) = move(calm(), given, 9)  # 0.2, 0.4, ... 1.0 and then 1.2
    assert part.identity[0, :, 0].tolist() == [0] * 5 + [-1] * 4
    assert part.identity[0, :, 1].tolist() == [1] * 9
    assert part.identity[0, :, 2].tolist() == [2] * 5 + [-1] * 4
    assert torch.allclose(part.position[0, 5:, 0, 0], torch.tensor(LEAVE))
    assert torch.allclose(part.position[0, 5:, 2, 0], torch.tensor(-LEAVE))
    assert torch.allclose(part.position[0, :, 1, 0], 0.01 * torch.arange(1, 10), atol=1e-5)


def test_who_has_left_moves_nobody() -> None:
    model, given = lively(), going(0.01, -0.01, 0.02)
    dead = replace(given, alive=torch.tensor([[True, True, False]]))
    (one,) = move(model, dead, 5)
    away = dead.position.clone()
    away[:, :, 2] = 0.05
    (other,) = move(model, replace(dead, position=away), 5)
    assert torch.equal(one.position[:, :, :2], other.position[:, :, :2])
    assert (one.identity[..., 2] == -1).all()


def test_leave_keeps_who_is_inside_just_as_it_is() -> None:
    given = going(0.0, 0.0, 0.0)
    given.position[0, -1, :, 0] = torch.tensor([LEAVE - 0.01, LEAVE + 0.01, -LEAVE - 0.01])
    left = leave(given)
    assert left.alive.tolist() == [[True, False, False]]
    assert torch.equal(left.position[:, :, 0], given.position[:, :, 0])
    assert torch.allclose(left.position[0, :, 1, 0], torch.tensor(LEAVE))  # all its history


def test_births_get_new_numbers_in_rows_that_are_free_again() -> None:
    model = with_births(calm(), rate=0.25)
    given = replace(going(0.0, 0.0, 0.0), alive=torch.tensor([[True, False, False]]))
    part = joined(list(move(model, given, 80)))
    who = part.identity[0]  # (t, 3)
    assert (who[:, 0] == 0).all()
    born = [int(one) for one in who[:, 1:].unique() if one >= 0]
    assert born == list(range(3, 3 + len(born)))
    assert len(born) > 10  # with two rows only: they are used again
    firsts = []
    for one in born:
        frames, rows = (who == one).nonzero(as_tuple=True)
        assert len(rows.unique()) == 1
        assert frames.tolist() == list(range(frames[0], frames[-1] + 1))  # never again
        firsts.append(int(frames[0]))
        path = part.position[0, frames, rows]
        assert float(path[0, 0]) == -1.0
        assert torch.allclose(path[:, 0].diff(), torch.tensor(0.3), atol=1e-4)
    assert firsts == sorted(firsts)


def test_two_births_at_once_get_two_numbers() -> None:
    model = with_births(calm(), rate=1.0)
    births = model.births
    births.gate[3:5] = 1
    births.position[3:5], births.velocity[3:5] = torch.tensor([1.0, 0.3]), torch.tensor([-0.3, 0.0])
    births.rate[1] = 1.0
    nobody = replace(going(0.0, 0.0, 0.0, 0.0), alive=torch.zeros(1, 4, dtype=torch.bool))
    (part,) = move(model, nobody, 2)
    assert part.identity[0].tolist() == [[4, 5, -1, -1], [4, 5, 6, 7]]


def test_sets_together_are_as_each_alone() -> None:
    model, given = with_births(lively()), state(b=3, h=4)
    given.alive[1, :3] = False
    together = joined(list(move(model, given, 40)))
    for index in range(3):
        alone = joined(list(move(model, given.sets(slice(index, index + 1)), 40)))
        one = together.sets(slice(index, index + 1))
        assert torch.equal(one.identity, alone.identity)
        assert torch.allclose(one.position, alone.position, atol=1e-4)
    assert not torch.equal(together.identity[0], together.identity[1])


def test_samples_are_their_seed_s() -> None:
    model, given = with_births(lively()), state(b=1, h=4)

    def futures(seed: int) -> Moved:
        return joined(list(sample(model, given, sure(given), 20, 3, seed)))

    one = futures(0)
    assert one.position.shape == (3, 20, K, 2)
    assert same(one, futures(0))
    assert not same(one, futures(1))
    apart = (one.position[0, 4] - one.position[1, 4]).abs().amax(-1)
    assert (apart > 1e-5)[:-1].all()  # each particle's future differs between samples


def test_births_come_at_random_in_samples_and_evenly_in_the_middle() -> None:
    model = with_births(calm())
    nobody = replace(going(*[0.0] * 20), alive=torch.zeros(1, 20, dtype=torch.bool))
    (drawn,) = sample(model, nobody, sure(nobody), 30, 8)
    (middle,) = move(model, nobody, 30)
    counts = [int(who.max()) - 19 for who in drawn.identity]
    assert len(set(counts)) > 2
    assert int(middle.identity.max()) - 19 == 6  # 30 frames at 0.2 a frame


def test_the_middle_future_hangs_on_no_generator() -> None:
    model, given = with_births(lively()), state(b=2, h=4)
    torch.manual_seed(0)
    one = joined(list(move(model, given, 20)))
    before = torch.random.get_rng_state()
    other = joined(list(move(model, given, 20)))
    assert same(one, other)
    assert torch.equal(before, torch.random.get_rng_state())  # nor does it draw from torch's own
    list(sample(model, given.sets(slice(0, 1)), sure(given), 5, 2))
    assert torch.equal(before, torch.random.get_rng_state())


def sure(given: State) -> torch.Tensor:
    """The deviation of positions that are known."""
    return torch.zeros(1, given.alive.shape[1], 2)


def test_where_a_sample_begins_is_as_uncertain_as_the_position() -> None:
    given = going(0.0, 0.0, 0.0)
    model, deviation = calmed(lively()), torch.tensor([[[0.1, 0.2], [0.0, 0.0], [0.05, 0.05]]])
    (drawn,) = sample(model, given.sets(slice(0, 1)), deviation, 3, 2000, seed=1)
    spread = drawn.position[:, 0].std(0)
    assert torch.allclose(spread, deviation[0], rtol=0.1, atol=1e-6)
    # The past was moved with it: nothing jumps.
    assert (drawn.position[:, 1] - drawn.position[:, 0]).abs().max() < 1e-5


def test_what_has_faded_is_no_longer_there() -> None:
    given = going(0.01, 0.01)
    given.code[0, 0, -1] = -4.0
    assert leave(given).alive.tolist() == [[False, True]]


def test_nothing_leaves_a_closed_world() -> None:
    model, given = calm(), going(0.3, 0.0, 0.0)
    (free,) = move(model, given, 6)
    assert free.identity[0, -1].tolist() == [-1, 1, 2]
    model.bounds.copy_(torch.tensor([[-0.9, -0.9], [0.9, 0.9]]))
    (kept,) = move(model, given, 6)
    assert kept.identity[0, -1].tolist() == [0, 1, 2]
    assert kept.position[0, :, 0, 0].max() == pytest.approx(0.9)
    assert torch.equal(kept.position[0, :2], free.position[0, :2])  # before it comes to the wall


def test_looks_drift_no_further_however_long_the_forecast() -> None:
    model, given = calm(), going(0.0, 0.0)
    step, last = 0.1, model.head[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():  # every look grows by `step` at each step
        codes = given.code.shape[-1]
        last.bias[2 : 2 + codes] = step
        last.bias[2 + codes :] = 100.0
    drifted = joined(list(move(model, given, 400))).code[0, :, 0] - given.code[0, 0]
    assert torch.allclose(drifted[0], torch.tensor(step * (1 - HOMING)), rtol=1e-4)
    assert torch.allclose(drifted[-1], torch.tensor(step * (1 - HOMING) / HOMING), rtol=1e-3)
