"""The energy score that holds sampled futures to the truth."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor

from dynamics.config import DynamicsConfig
from dynamics.futures import move, sample
from dynamics.losses import SAMPLED, SOFT, unrolled_loss
from dynamics.model import GraphDynamics
from dynamics.state import State
from dynamics.statistics import statistics
from dynamics.windows import Window, gather, window_starts
from tests.dynamics.made import coasting, roused, state

H, U = 4, 3
CONFIG = DynamicsConfig(history=H, hidden=16, chance=4)
SIDE = torch.tensor([32.0, 32.0])


def window(b: int, n: int = 5) -> Window:
    """Random targets, of which some are not seen and some have left."""
    generator = torch.Generator().manual_seed(3)
    position = torch.rand(b, U, n, 2, generator=generator) - 0.5
    code = torch.randn(b, U, n, 6, generator=generator)
    kind = torch.randint(4, (b, U, n), generator=generator)  # 0: unseen, 1: left, else seen
    return Window(state(b, H, n), position, code, (kind > 1).float(), (kind == 1).float())


class Placed(GraphDynamics):
    """Puts set i at `places[i]`, whatever it is given."""

    places: Tensor

    def forward(self, state: State, chance: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.places.expand_as(state.position[:, -1]), state.code


def placed(pixels: list[tuple[float, float]], chance: int = 4) -> Placed:
    model = Placed(replace(CONFIG, chance=chance), 3, (64, 64))
    model.places = (torch.tensor(pixels) / SIDE)[:, None]  # (b + 2p, 1, 2)
    return model


def at_the_centre(b: int) -> Window:
    """One particle that stands still in the middle of the frame."""
    tracks = coasting(H + U, [(0.0, 0.0)])
    tracks = replace(tracks, position=tracks.position * 0)
    return gather([tracks] * b, torch.tensor([[v, 0] for v in range(b)]), H, U, 1)


def soft(square: float) -> float:
    return sqrt(square + SOFT)


def test_the_energy_of_known_samples() -> None:
    # The middle is 2 pixels off; the samples are 3 and 4 off, and 5 apart.
    model = placed([(2.0, 0.0), (3.0, 0.0), (0.0, 4.0)])
    found = unrolled_loss(model, at_the_centre(1), U)
    expected = (soft(9) + soft(16)) / 2 - soft(25) / 2
    terms = found.loss.terms
    assert float(terms["position"]) == pytest.approx(soft(4), abs=1e-4)
    assert float(terms["first_step_pixels"]) == pytest.approx(2, abs=1e-4)
    assert float(terms["energy"]) == pytest.approx(expected, abs=1e-4)
    whole = terms["position"] + 0.5 * terms["code"] + terms["energy"]
    assert float(found.loss.total) == pytest.approx(float(whole), abs=1e-4)
    # What it judged is the middle future of each window, and nothing of the samples.
    assert torch.allclose(found.position * SIDE, torch.tensor([2.0, 0.0]).expand(1, U, 1, 2))
    assert found.code.shape == (1, U, 1, 6)


def test_each_pair_of_samples_belongs_to_its_own_window() -> None:
    b = SAMPLED + 1  # two windows are sampled: sets b, b + 1 and b + 2, b + 3
    model = placed([(0.0, 0.0)] * b + [(1.0, 0.0), (6.0, 0.0), (1.0, 0.0), (8.0, 0.0)])
    energy = unrolled_loss(model, at_the_centre(b), U).loss.terms["energy"]
    first, second = soft(1) - soft(0) / 2, (soft(36) + soft(64)) / 2 - soft(4) / 2
    assert float(energy) == pytest.approx((first + second) / 2, abs=1e-4)


def test_without_chance_there_is_no_energy() -> None:
    terms = unrolled_loss(placed([(2.0, 0.0)], chance=0), at_the_centre(1), U).loss.terms
    assert "energy" not in terms
    assert float(terms["position"]) == pytest.approx(soft(4), abs=1e-4)


@pytest.mark.parametrize("b", [1, 4, 6])
def test_samples_that_coincide_pay_their_error_but_half_the_root(b: int) -> None:
    model, given = roused(CONFIG, (64, 64)), window(b)
    first = model.node[0]
    assert isinstance(first, torch.nn.Linear)
    with torch.no_grad():
        apart = unrolled_loss(model, given, U)
        first.weight[:, -CONFIG.chance :] = 0  # whatever is drawn, nothing comes of it
        found = unrolled_loss(model, given, U)
    pairs = -(-b // SAMPLED)
    mask = (given.mask + given.left)[:pairs]
    off = ((found.position - given.position)[:pairs] * model.side).square().sum(-1)
    error = ((off + SOFT).sqrt() * mask).sum() / mask.sum()
    energy = float(found.loss.terms["energy"])
    assert energy == pytest.approx(float(error) - sqrt(SOFT) / 2, rel=1e-4)
    assert abs(float(apart.loss.terms["energy"]) - energy) > 1e-3
    # The middle is the same with and without them.
    assert torch.equal(apart.position, found.position)
    assert torch.equal(apart.loss.terms["position"], found.loss.terms["position"])


def test_the_chance_inputs_get_a_gradient_from_the_energy_alone() -> None:
    for chance in (0, 4):
        model = GraphDynamics(replace(CONFIG, chance=chance), 3, (64, 64))
        torch.manual_seed(0)
        loss = unrolled_loss(model, window(4), U).loss
        (loss.total - loss.total.detach()).backward()
        first = model.node[0]
        assert isinstance(first, torch.nn.Linear)
        assert first.weight.grad is not None
        assert chance == 0 or (first.weight.grad[:, -chance:] != 0).any()


def test_samples_of_a_coin_toss_lie_on_both_sides_and_the_middle_between() -> None:
    """A particle goes right, then turns up or down at 4 pixels a frame, and nobody can tell."""
    torch.manual_seed(0)
    steps, tracks = torch.arange(float(H + U)), []
    for i in range(40):
        x = -0.6 + 0.02 * (i // 2 % 5) + 0.06 * steps
        y = (1 if i % 2 else -1) * 4 / 32 * (steps - H + 1).clamp(min=0)
        path = torch.stack([x, y], -1)[:, None]
        tracks.append(replace(coasting(H + U, [(0.0, 0.0)]), position=path))
    model = GraphDynamics(replace(CONFIG, hidden=32), 3, (64, 64))
    model.fit_normalisation(statistics(tracks, SIDE))
    starts = window_starts(tracks, H, U)
    one = gather(tracks, starts[:1], H, U, 1).state

    def ends() -> tuple[float, float, float]:
        """Shares of samples that end up half-way up and down, pixels of the middle: of 12."""
        drawn = (
            next(sample(model, one, torch.zeros(1, 1, 2), U, 400)).position[:, -1, 0, 1] * SIDE[1]
        )
        middle = next(move(model, one, U)).position[0, -1, 0, 1] * SIDE[1]
        return float((drawn > 6).float().mean()), float((drawn < -6).float().mean()), float(middle)

    assert ends()[:2] == (0, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        given = gather(tracks, starts[torch.randint(len(starts), (128,))], H, U, 1)
        loss = unrolled_loss(model, given, U).loss
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    up, down, middle = ends()
    assert min(up, down) > 0.2
    assert abs(middle) < 15
