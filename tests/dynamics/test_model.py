from dataclasses import replace
from typing import Literal

import pytest
import torch

from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.state import State
from tests.dynamics.made import permuted, roused, state

CONFIG = DynamicsConfig(history=4, hidden=16, neighbours=3)
Conv = Literal["interaction", "summed", "gcn", "gat", "gatv2", "transformer"]
CONVS: tuple[Conv, ...] = ("interaction", "summed", "gcn", "gat", "gatv2", "transformer")


def model(conv: Conv = "interaction") -> GraphDynamics:
    torch.manual_seed(1)
    return roused(replace(CONFIG, conv=conv))


@pytest.mark.parametrize("conv", CONVS)
def test_permuting_the_particles_permutes_the_forecast(conv: Conv) -> None:
    dynamics, given = model(conv), state()
    order = torch.tensor([3, 1, 4, 0, 2])
    with torch.no_grad():
        for one, other in zip(
            unroll(dynamics, given, 5), unroll(dynamics, permuted(given, order), 5), strict=True
        ):
            assert torch.allclose(one.position[:, :, order], other.position, atol=1e-5)
            assert torch.allclose(one.code[:, order], other.code, atol=1e-5)


@pytest.mark.parametrize("conv", CONVS)
def test_the_videos_of_a_batch_do_not_touch_each_other(conv: Conv) -> None:
    dynamics, given = model(conv), state(b=3)
    alone = State(*(x[1:2] for x in (given.position, given.seen, given.code, given.alive)))
    with torch.no_grad():
        together, single = dynamics(given), dynamics(alone)
    assert torch.allclose(together[0][1:2], single[0], atol=1e-6)


def test_an_empty_row_has_no_influence_whatever_it_holds() -> None:
    dynamics, given = model(), state()
    junk = given.position.clone()
    junk[:, :, -1] = 0.01
    with torch.no_grad():
        one, other = dynamics(given), dynamics(replace(given, position=junk))
    assert torch.equal(one[0][:, :-1], other[0][:, :-1])


@pytest.mark.parametrize("conv", CONVS)
def test_every_weight_gets_a_gradient_through_the_unroll(conv: Conv) -> None:
    dynamics = model(conv)
    last = list(unroll(dynamics, state(), 3))[-1]
    (last.position.square().sum() + last.code.square().sum()).backward()
    for name, weight in dynamics.named_parameters():
        if name.endswith("lin_key.bias"):
            continue  # the same added to all keys moves no attention
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_a_new_model_coasts() -> None:
    torch.manual_seed(0)
    dynamics, given = GraphDynamics(CONFIG, 3, (32, 48)), state()
    position, code = dynamics(given)
    expected = 2 * given.position[:, -1] - given.position[:, -2]
    assert (position - expected)[:, :-1].abs().max() * 24 < 0.1  # pixels
    assert (code - given.code).abs().max() < 0.01


def test_a_new_model_of_displacements_stands_still() -> None:
    torch.manual_seed(0)
    dynamics, given = GraphDynamics(replace(CONFIG, target="displacement"), 3, (32, 48)), state()
    position, _ = dynamics(given)
    assert (position - given.position[:, -1])[:, :-1].abs().max() * 24 < 0.1  # pixels


@pytest.mark.parametrize("conv", CONVS)
def test_no_particles_and_one_particle(conv: Conv) -> None:
    dynamics = model(conv)
    for alive in ([False] * 5, [True] + [False] * 4):
        given = replace(state(b=1), alive=torch.tensor([alive]))
        for last in unroll(dynamics, given, 3):
            assert last.position.isfinite().all()


def test_the_direction_of_a_lone_neighbour_matters_where_messages_carry_it() -> None:
    """A plain GCN has a scalar weight on an edge: it cannot know where its neighbour is. GAT and
    GATv2 use edges to weigh neighbours alone, and with one neighbour there is nothing to weigh."""
    given = state(b=1, n=2)
    given = replace(given, alive=torch.ones(1, 2, dtype=torch.bool))
    for conv in CONVS:
        dynamics = GraphDynamics(
            replace(CONFIG, conv=conv, walls=False),
            3,
            (32, 48),
        )
        torch.manual_seed(2)
        with torch.no_grad():
            for weight in dynamics.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
            layer = dynamics.rounds[0]
            node = torch.rand(2, CONFIG.hidden)
            index = torch.tensor([[1, 0], [0, 1]])
            edges = [dynamics.edge(torch.tensor([[s, 0.0, 1, 0, 0]] * 2)) for s in (1.0, -1.0)]
            out = [layer(node, index, edge)[0] for edge in edges]
        assert torch.allclose(out[0], out[1]) == (conv in ("gcn", "gat", "gatv2"))
