"""Particles that are taken hold of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dlp.particles import to_pixels
from dynamics.config import DynamicsConfig
from dynamics.edit import Added, Change, Edit, edit_state, velocity
from dynamics.futures import move
from dynamics.state import State
from dynamics.tracks import decode_code
from tests.dynamics.made import calmed, roused, state

SIZE = (32, 48)
CONFIG = DynamicsConfig(history=4, hidden=16, neighbours=3)
LOOKS = (0.5, -1.0, 2.0)


def scene() -> State:
    """One set of four particles and an empty row."""
    return state(b=1)


def pixels(given: State) -> torch.Tensor:
    """The last positions, [n, 2]."""
    return to_pixels(given.position[0, -1], *SIZE)


def speeds(given: State) -> torch.Tensor:
    """[n, 2] pixels a frame."""
    return velocity(given)[0] * torch.tensor([SIZE[1], SIZE[0]]) / 2


def same(one: State, other: State, rows: list[int]) -> bool:
    """Whether two states agree bit for bit in some rows."""
    return (
        torch.equal(one.position[:, :, rows], other.position[:, :, rows])
        and torch.equal(one.seen[:, :, rows], other.seen[:, :, rows])
        and torch.equal(one.code[:, rows], other.code[:, rows])
        and torch.equal(one.alive[:, rows], other.alive[:, rows])
    )


def test_an_empty_edit_gives_the_very_same_tensors() -> None:
    given = scene()
    assert edit_state(given, Edit(), SIZE) is given


def test_a_moved_particle_is_there_and_keeps_its_velocity_and_the_others_stay() -> None:
    given = scene()
    before = State(*(x.clone() for x in (given.position, given.seen, given.code, given.alive)))
    changed = edit_state(given, Edit((Change(1, position=(20.0, 7.5)),)), SIZE)
    assert torch.allclose(pixels(changed)[1], torch.tensor([20.0, 7.5]), atol=1e-4)
    assert torch.allclose(speeds(changed), speeds(given), atol=1e-4)
    assert same(changed, given, [0, 2, 3, 4])
    assert torch.equal(changed.code, given.code)
    assert same(given, before, [0, 1, 2, 3, 4])  # what was given is left as it was


def test_a_push_adds_to_the_velocity_where_the_particle_is() -> None:
    given = scene()
    changed = edit_state(given, Edit((Change(2, push=(1.5, -0.5)),)), SIZE)
    assert torch.equal(changed.position[:, -1], given.position[:, -1])
    assert torch.allclose(
        speeds(changed)[2] - speeds(given)[2], torch.tensor([1.5, -0.5]), atol=1e-4
    )
    assert same(changed, given, [0, 1, 3, 4])


def test_a_pushed_particle_coasts_faster_by_the_push() -> None:
    dynamics, given = calmed(roused(CONFIG)), scene()
    pushed = edit_state(given, Edit((Change(0, push=(0.3, 0.2)),)), SIZE)
    one, other = (next(move(dynamics, s, 3)).position[0] for s in (given, pushed))
    apart = to_pixels(other, *SIZE) - to_pixels(one, *SIZE)  # (t, n, 2)
    expected = torch.arange(1, 4)[:, None] * torch.tensor([0.3, 0.2])
    assert torch.allclose(apart[:, 0], expected, atol=1e-3)
    assert torch.equal(one[:, 1:], other[:, 1:])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"appearance": LOOKS}, {"appearance": LOOKS}),
        ({"transparency": 0.25}, {"transparency": 0.25}),
        ({"scale": 1.25}, {"scale": 1.25}),
        ({"depth": -2.0}, {"depth": -2.0}),
    ],
)
def test_what_is_set_is_drawn_and_the_rest_stays_bit_for_bit(given: dict, expected: dict) -> None:
    old = scene()
    new = edit_state(old, Edit((Change(3, **given),)), SIZE)
    drawn = decode_code(new.position[0, -1], new.code[0], new.alive[0])
    for name, value in expected.items():
        assert torch.allclose(getattr(drawn, name)[3], torch.tensor(value), atol=1e-4)
    kept = (old.code == new.code)[0, 3].sum()
    assert kept == old.code.shape[-1] - len(torch.tensor(list(expected.values())).flatten())
    assert same(old, new, [0, 1, 2, 4])


def test_an_added_particle_has_a_row_of_its_own_and_comes_at_its_velocity() -> None:
    given = scene()
    new = Added((10.0, 12.0), LOOKS, velocity=(1.0, 2.0), transparency=0.9, scale=1.2, depth=1.0)
    twice = edit_state(given, Edit(added=(new, replace(new, position=(30.0, 5.0)))), SIZE)
    assert twice.alive[0].tolist() == [True] * 4 + [False] + [True] * 2
    old = [0, 1, 2, 3, 4]
    assert torch.equal(twice.position[:, :, old], given.position)
    assert torch.equal(twice.seen[..., old], given.seen)
    assert torch.equal(twice.code[:, old], given.code)
    assert torch.allclose(pixels(twice)[5:], torch.tensor([[10.0, 12.0], [30.0, 5.0]]), atol=1e-4)
    assert torch.allclose(speeds(twice)[5:], torch.tensor([[1.0, 2.0]] * 2), atol=1e-4)
    assert (twice.seen[0, :, 5:] == 1).all()
    drawn = decode_code(twice.position[0, -1], twice.code[0], twice.alive[0])
    assert torch.allclose(drawn.appearance[5], torch.tensor(LOOKS))
    found = torch.stack([drawn.transparency, drawn.scale, drawn.depth], -1)[5]
    assert torch.allclose(found, torch.tensor([0.9, 1.2, 1.0]), atol=1e-4)


def test_a_removed_particle_has_no_influence_any_more() -> None:
    dynamics, given = roused(CONFIG), scene()
    gone = edit_state(given, Edit(removed=(1,)), SIZE)
    assert gone.alive[0].tolist() == [True, False, True, True, False]
    elsewhere = edit_state(given, Edit((Change(1, position=(1.0, 1.0)),)), SIZE)
    elsewhere = edit_state(elsewhere, Edit(removed=(1,)), SIZE)
    rows = [0, 2, 3]
    with torch.no_grad():
        one, other, whole = (dynamics(s)[0][:, rows] for s in (gone, elsewhere, given))
    assert torch.equal(one, other)
    assert not torch.equal(one, whole)  # while it was there, it had


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (Edit((Change(4, push=(1, 0)),)), "row 4 holds no particle: the scene's are 0, 1, 2, 3"),
        (Edit(removed=(5,)), "row 5 holds no particle"),
        (Edit(removed=(-1,)), "row -1 holds no particle"),
        (Edit((Change(2, depth=1.0),), removed=(2,)), "row 2 is named twice"),
        (Edit(removed=(3, 3)), "row 3 is named twice"),
        (Edit((Change(0, appearance=(1.0,)),)), "appearance has 1 features: the model's has 3"),
        (Edit(added=(Added((0, 0), (1.0,) * 4),)), "appearance has 4 features"),
        (Edit((Change(0, scale=0),)), "scale must be positive and finite, found 0"),
        (Edit((Change(0, scale=-1.5),)), "scale must be positive and finite, found -1.5"),
        (Edit((Change(0, scale=float("nan")),)), "scale .* found nan"),
        (Edit((Change(0, scale=1e-50),)), "scale .* found 1e-50"),
        (Edit((Change(0, scale=1e39),)), "scale .* found 1e"),
        (Edit((Change(0, transparency=1.5),)), r"transparency must be in \[0, 1\], found 1.5"),
        (Edit((Change(0, transparency=float("nan")),)), "transparency .* found nan"),
        (Edit((Change(0, depth=100),)), "depth must be from -4 to 4, found 100"),
        (Edit((Change(0, depth=float("nan")),)), "depth .* found nan"),
        (
            Edit((Change(0, position=(float("nan"), 1)),)),
            r"position must be finite, found \(nan, 1",
        ),
        (Edit((Change(0, position=(1e300, 1)),)), "position must be finite"),
        (Edit((Change(0, push=(0, float("inf"))),)), r"push must be finite, found \(0, inf"),
        (Edit((Change(0, appearance=(0, float("nan"), 0)),)), "appearance must be finite"),
        (Edit(added=(Added((0, float("nan")), LOOKS),)), "position must be finite"),
        (Edit(added=(Added((0, 0), LOOKS, velocity=(float("inf"), 0)),)), "velocity must be"),
        (Edit(added=(Added((0, 0), LOOKS, depth=-4.1),)), "depth .* found -4.1"),
        (Edit(added=(Added((0, 0), LOOKS, scale=-2.0),)), "scale .* found -2.0"),
        (Edit(added=(Added((0, 0), LOOKS, transparency=-0.1),)), "transparency .* found -0.1"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edit: Edit, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        edit_state(scene(), edit, SIZE)
