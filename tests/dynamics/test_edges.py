"""The graph and its weights are those that a step uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dynamics.graph import knn_edges
from dynamics.layers import HEADS, AttentionBlock, InteractionConv
from dynamics.model import GraphDynamics
from tests.dynamics.made import state
from tests.dynamics.test_model import CONVS, Conv, model


def heard(dynamics: GraphDynamics, given: Any) -> tuple[Tensor, Tensor]:
    """What the last round of a forward pass passed along its edges: the edges [2, e] and the
    messages [e, ...]."""
    last: Any = dynamics.rounds[-1]
    conv = last if isinstance(last, InteractionConv) else last.conv
    seen: list[Tensor] = []

    def before(_: Any, inputs: tuple) -> None:
        seen.append(inputs[0])

    def after(_: Any, __: Any, output: Tensor) -> None:
        seen.append(output)

    handles = [
        conv.register_propagate_forward_pre_hook(before),
        conv.register_message_forward_hook(after),
    ]
    with torch.no_grad():
        dynamics(given)
    for handle in handles:
        handle.remove()
    index, messages = seen[0], seen[-1]
    return index, messages


@pytest.mark.parametrize("conv", CONVS)
def test_the_edges_are_those_of_a_step(conv: Conv) -> None:
    dynamics, given = model(conv), state()
    found = dynamics.edges(given)
    expected = knn_edges(given.position[:, -1] * dynamics.side, given.alive, 3)
    assert torch.equal(found.index, expected)
    row = given.alive.flatten().nonzero()[:, 0]
    used, _ = heard(dynamics, given)
    if conv != "gcn":  # which adds loops of its own
        assert torch.equal(row[used], expected)


@pytest.mark.parametrize("conv", CONVS)
def test_weights_are_shares_of_what_a_particle_hears(conv: Conv) -> None:
    dynamics, given = model(conv), state()
    found = dynamics.edges(given)
    if conv in ("gcn", "summed"):
        assert found.weight is None
        return
    assert found.weight is not None
    total = torch.zeros(given.alive.numel()).index_add(0, found.index[1], found.weight)
    assert torch.allclose(total[given.alive.flatten()], torch.ones(1), atol=1e-5)
    assert float(found.weight.std()) > 1e-4  # they tell neighbours apart


def test_the_weights_are_those_by_which_the_last_round_weighs() -> None:
    dynamics, given = model("interaction"), state()
    last = dynamics.rounds[-1]
    assert isinstance(last, InteractionConv)
    carried: list[Tensor] = []
    handle = last.register_forward_hook(lambda _, __, output: carried.append(output[1]))
    _, messages = heard(dynamics, given)
    handle.remove()
    by_head = messages.unflatten(-1, (HEADS, -1)) / carried[0].unflatten(-1, (HEADS, -1))
    found = dynamics.edges(given).weight
    assert found is not None
    assert torch.allclose(found, by_head[..., 0].mean(-1), atol=1e-5)


@pytest.mark.parametrize("conv", ["gat", "gatv2", "transformer"])
def test_the_weights_of_attention_blocks_are_those_of_their_messages(conv: Conv) -> None:
    dynamics, given = model(conv), state()
    last = dynamics.rounds[-1]
    assert isinstance(last, AttentionBlock)
    used: Any = last.conv
    shares: list[Tensor] = []

    def after(conv: Any, inputs: tuple, _: Any) -> None:
        # TransformerConv works its shares out within the message, the others before.
        shares.append(inputs[0].get("alpha", getattr(conv, "_alpha", None)))

    handle = used.register_message_forward_hook(after)
    with torch.no_grad():
        dynamics(given)
    handle.remove()
    found = dynamics.edges(given).weight
    assert found is not None
    assert torch.equal(found, shares[0].mean(-1))


def test_looking_at_the_edges_changes_no_forecast() -> None:
    dynamics, given = model(), state()
    with torch.no_grad():
        before = dynamics(given)
        dynamics.edges(given)
        after = dynamics(given)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_lone_particle_has_no_edges() -> None:
    given = replace(state(b=1), alive=torch.tensor([[True, False, False, False, False]]))
    found = model().edges(given)
    assert found.index.shape == (2, 0)
    assert found.weight is not None
    assert found.weight.shape == (0,)
