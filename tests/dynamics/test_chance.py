"""What makes sampled futures differ, and what the model makes of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from dynamics.chance import Chance
from dynamics.config import DynamicsConfig
from dynamics.futures import sample
from dynamics.model import GraphDynamics
from tests.dynamics.made import permuted, roused, state

CONFIG = DynamicsConfig(history=4, hidden=16, neighbours=3, chance=4)


SURE = torch.zeros(1, 5, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_first_half_lasts_and_the_second_is_fresh_at_each_step() -> None:
    chance = Chance((2, 5), 8, seeded(0))
    steps = [chance() for _ in range(4)]
    assert {step.shape for step in steps} == {(2, 5, 8)}
    for one, other in pairwise(steps):
        assert torch.equal(one[..., :4], other[..., :4])
        assert (one[..., 4:] != other[..., 4:]).all()
    # No row is like another, nor its first half like its second.
    assert len(torch.stack(steps)[..., 4:].unique()) == 4 * 2 * 5 * 4
    assert len(steps[0].unique()) == 2 * 5 * 8


def test_the_numbers_are_standard_normal() -> None:
    drawn = Chance((100, 10), 8, seeded(0))()
    for half in drawn.chunk(2, -1):
        assert abs(float(half.mean())) < 0.05
        assert abs(float(half.std()) - 1) < 0.05


def test_a_generator_decides_everything() -> None:
    one, same, other = (Chance((1, 3), 4, seeded(seed)) for seed in (1, 1, 2))
    for _ in range(3):
        first = one()
        assert torch.equal(first, same())
        assert not torch.isin(other(), first).any()


def model(chance: int = 4) -> GraphDynamics:
    return roused(replace(CONFIG, chance=chance))


def test_zeros_are_no_chance_and_others_change_the_forecast() -> None:
    dynamics, given = model(), state()
    drawn = torch.randn(2, 5, 4, generator=seeded(0))
    with torch.no_grad():
        none, zeros, other = dynamics(given), dynamics(given, 0 * drawn), dynamics(given, drawn)
    for a, b, c in zip(none, zeros, other, strict=True):
        assert torch.equal(a, b)
        assert ((a - c)[:, :-1].abs() > 1e-5).any(-1).all()
    # An empty row goes on as before, whatever is drawn for it.
    assert torch.equal(none[0][:, -1], other[0][:, -1])


def test_each_of_the_numbers_counts() -> None:
    dynamics, given = model(), state()
    with torch.no_grad():
        middle = dynamics(given)[0]
        for number in range(4):
            drawn = torch.zeros(2, 5, 4)
            drawn[..., number] = 1.0
            assert not torch.allclose(dynamics(given, drawn)[0], middle, atol=1e-4)


def test_permuting_particles_and_their_chance_permutes_the_forecast() -> None:
    dynamics, given = model(), state()
    order, drawn = torch.tensor([3, 1, 4, 0, 2]), torch.randn(2, 5, 4, generator=seeded(0))
    with torch.no_grad():
        one = dynamics(given, drawn)
        other = dynamics(permuted(given, order), drawn[:, order])
        without = dynamics(permuted(given, order), drawn)
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a[:, order], b, atol=1e-5)
    assert not torch.allclose(one[0][:, order], without[0], atol=1e-3)


def test_a_model_without_chance_has_one_future_only() -> None:
    several, chancy = (next(sample(model(chance), state(b=1), SURE, 6, 3)) for chance in (0, 4))
    for path in (several.position, several.code):
        assert torch.allclose(path[1:], path[:1].expand_as(path[1:]), atol=1e-5)
    assert not torch.allclose(chancy.position[0], chancy.position[1], atol=1e-3)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("chance", -2, "an even number, 0 or more"),
        ("chance", 3, "an even number, 0 or more"),
        ("image", -0.1, "0 or more"),
    ],
)
def test_settings_out_of_range_are_named_with_what_to_set(field: str, value: Any, rule: str):
    with pytest.raises(ValueError, match=rf"dynamics\.{field} must be {rule}, found {value}: set"):
        replace(CONFIG, **{field: value})
    values: list[Any] = [0, 2]
    for good in values:
        assert getattr(replace(CONFIG, **{field: good}), field) == good


def test_what_lasts_is_drawn_anew_for_a_newcomer() -> None:
    chance = Chance((1, 4), 6)
    before = chance()
    chance.renew(torch.tensor([[False, True, False, False]]))
    after = chance()
    assert torch.equal(after[0, [0, 2, 3], :3], before[0, [0, 2, 3], :3])
    assert (after[0, 1, :3] != before[0, 1, :3]).all()
