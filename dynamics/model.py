"""The graph network that moves particles by one frame (GNS; DLP, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch_geometric.data import Batch

from dynamics.births import Births
from dynamics.config import DynamicsConfig
from dynamics.graph import particle_graph
from dynamics.layers import CONVS, AttentionBlock, GCNBlock, InteractionConv, mlp
from dynamics.state import State
from dynamics.statistics import Statistics

REACH = 4.0
"""The unit of lengths on edges and to walls, in frames of typical motion."""


@dataclass(frozen=True)
class Edges:
    """The e edges of a step.

    Args:
        index: [2, e] int64, sources above targets, rows numbered b-major over (b, n).
        weight: [e] in [0, 1], an edge's share in what its target hears, the mean of the last
            round's heads; None from layers that do not weigh edges.
    """

    index: Tensor
    weight: Tensor | None


class GraphDynamics(nn.Module):
    """Predicts the deltas of position and code between a frame and the next.

    The position's target is a normalised acceleration: next = x + v + a, with v the mean
    displacement of the history's last two steps; or, `target: displacement`, next = x + d. The
    code's is a delta that starts at nothing.

    Args:
        config: the settings.
        features: D of the appearance.
        size: (h, w) of the frames.
    """

    side: Tensor
    speed: Tensor
    jitter: Tensor
    code_mean: Tensor
    code_std: Tensor
    bounds: Tensor

    def __init__(self, config: DynamicsConfig, features: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.config = config
        self.size = size
        codes = features + 3
        self.register_buffer("side", torch.tensor([size[1], size[0]]) / 2.0)  # pixels a unit
        self.register_buffer("speed", torch.ones(()))  # typical displacement, pixels a frame
        self.register_buffer("jitter", torch.zeros(()))  # of the encoder's positions, pixels
        self.register_buffer("code_mean", torch.zeros(codes))
        self.register_buffer("code_std", torch.ones(codes))
        self.register_buffer("bounds", torch.tensor([[-torch.inf] * 2, [torch.inf] * 2]))
        hidden, edge = config.hidden, config.edge
        inputs = 3 * (config.history - 1) + 1 + codes + 2 + (4 if config.walls else 0)
        inputs += config.chance
        self.node = mlp(inputs, hidden, hidden)
        self.edge = nn.Identity() if config.conv == "gcn" else mlp(5, edge, edge)
        conv = CONVS[config.conv]
        self.rounds = nn.ModuleList(conv(hidden, edge) for _ in range(config.layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = mlp(hidden, hidden, 2 + 2 * codes)
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.births = Births(features)

    def fit_normalisation(self, found: Statistics) -> None:
        """Take the scales of inputs and targets from the training tracks."""
        self.speed.fill_(max(found.speed, 0.05))
        self.jitter.fill_(found.jitter)
        self.code_mean.copy_(found.code_mean)
        self.code_std.copy_(found.code_std.clamp(min=1e-3))
        self.bounds.copy_(found.bounds)

    def graph(self, state: State, chance: Tensor | None = None) -> tuple[Batch, Tensor]:
        """The graph of a state, and the velocities [b, n, 2] in units of `speed`; see `forward`."""
        config = self.config
        pixels = state.position * self.side  # (b, h, n, 2)
        steps = (pixels[:, 1:] - pixels[:, :-1]) / self.speed  # (b, h - 1, n, 2)
        velocity = steps[:, -2:].mean(1)
        code = (state.code - self.code_mean) / self.code_std
        where = state.position[:, -1]
        parts = [
            rearrange(steps, "b h n xy -> b n (h xy)"),
            rearrange(state.seen, "b h n -> b n h"),
            code,
            where,
        ]
        near = REACH * self.speed  # pixels
        if config.walls:
            low, high = (where + 1) * self.side, (1 - where) * self.side
            parts.append((torch.cat([low, high], -1) / near).clamp(-1, 2))
        parts.append(where.new_zeros(*where.shape[:2], config.chance) if chance is None else chance)
        graph = particle_graph(
            torch.cat(parts, -1), pixels[:, -1] / near, velocity, state.alive, config.neighbours
        )
        return graph, velocity

    def forward(self, state: State, chance: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            state: with h = config.history frames.
            chance: [b, n, config.chance] standard normal, what makes this future differ from
                others; none: the middle one, as with zeros.

        Returns:
            position [b, n, 2] and code [b, n, d + 3] of the next frame.
        """
        graph, velocity = self.graph(state, chance)
        x, edges = self.node(graph.x), self.edge(graph.edge_attr)
        for layer in self.rounds:
            x, edges = layer(x, graph.edge_index, edges)
        codes = state.code.shape[-1]
        out = x.new_zeros(state.alive.numel(), 2 + 2 * codes)
        out = out.index_copy(0, graph.row, self.head(self.norm(x)))  # empty rows go on as before
        out = out.unflatten(0, state.alive.shape)
        change, delta, gate = out.split([2, codes, codes], -1)
        if self.config.target == "acceleration":
            change = change + velocity
        position = state.position[:, -1] + change * self.speed / self.side
        code = state.code + torch.sigmoid(gate - 3) * delta * self.code_std
        return position, code

    @torch.no_grad()
    def edges(self, state: State, chance: Tensor | None = None) -> Edges:
        """The graph that `forward` builds of the same state, and how the last round weighs it."""
        graph, _ = self.graph(state, chance)
        x, edges = self.node(graph.x), self.edge(graph.edge_attr)
        *before, last = self.rounds
        for layer in before:
            x, edges = layer(x, graph.edge_index, edges)
        assert isinstance(last, InteractionConv | GCNBlock | AttentionBlock)
        share = last.attention(x, graph.edge_index, edges)
        return Edges(graph.row[graph.edge_index], None if share is None else share.mean(-1))
