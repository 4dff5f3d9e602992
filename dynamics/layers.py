"""Rounds of message passing over the particle graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, MessagePassing, TransformerConv
from torch_geometric.utils import softmax

HEADS = 4
"""Of attention; the widths of nodes and edges divide by it."""


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a SiLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class InteractionConv(MessagePassing):
    """Residual message passing with edge features (GNS, section 3; interaction networks).

    e'_ij = e_ij + MLP([e_ij, LN(x_i), LN(x_j)]), x'_i = x_i + MLP([LN(x_i), sum_j w_ij e'_ij]).

    GNS sums the messages as they are (w = 1). Here each head's part is weighed by attention,
    w_ij = softmax_j(a . e'_ij): of several neighbours the one that is about to be hit counts. The
    first linear map of the edge's MLP is applied to nodes before they are gathered to edges: the
    same sum, at n instead of e rows.

    Args:
        hidden: width of nodes.
        edge: width of edges and messages, a multiple of HEADS.
        attend: whether messages are weighed, or summed as they are.

    Shapes:
        x [n, hidden], edge_index [2, e], edge_attr [e, edge] -> x and edge_attr, the same.
    """

    def __init__(self, hidden: int, edge: int, attend: bool = True) -> None:
        super().__init__(aggr="sum")
        self.widths = (hidden, edge)
        self.norm = nn.LayerNorm(hidden)
        self.source = nn.Linear(hidden, edge, bias=False)
        self.target = nn.Linear(hidden, edge, bias=False)
        self.edge = nn.Linear(edge, edge)
        self.edge_out = nn.Linear(edge, edge)
        self.attend: nn.Linear | None = nn.Linear(edge, HEADS, bias=False) if attend else None
        self.node = mlp(hidden + edge, hidden, hidden)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        parts = (self.norm, self.source, self.target, self.edge, self.edge_out)
        for module in parts:
            module.reset_parameters()
        if self.attend is not None:
            self.attend.reset_parameters()
        for layer in self.node:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        """One round."""
        normed = self.norm(x)
        edge_attr = edge_attr + self.edge_updater(
            edge_index, s=self.source(normed), t=self.target(normed), edge_attr=edge_attr
        )
        gathered = self.propagate(edge_index, edge_attr=edge_attr, size=(len(x), len(x)))
        return x + self.node(torch.cat([normed, gathered], -1)), edge_attr

    def edge_update(self, s_j: Tensor, t_i: Tensor, edge_attr: Tensor) -> Tensor:
        """The change of each edge."""
        return self.edge_out(nn.functional.silu(s_j + t_i + self.edge(edge_attr)))

    def message(self, edge_attr: Tensor, index: Tensor, size_i: int) -> Tensor:
        """What an edge tells its target, by its share of the attention."""
        if self.attend is None:
            return edge_attr
        share = softmax(self.attend(edge_attr), index, num_nodes=size_i)  # (e, heads)
        return (edge_attr.unflatten(-1, (HEADS, -1)) * share[..., None]).flatten(-2)

    def attention(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor | None:
        """The share of each edge in what its target hears, [e, heads]; None: it does not weigh."""
        if self.attend is None:
            return None
        _, changed = self(x, edge_index, edge_attr)
        return softmax(self.attend(changed), edge_index[1], num_nodes=len(x))

    def __repr__(self) -> str:
        hidden, edge = self.widths
        return f"{type(self).__name__}({hidden=}, {edge=}, attend={self.attend is not None})"


class GCNBlock(nn.Module):
    """The paper's plain graph convolution (DLP, section 5), residual; it has no edge features.

    Shapes:
        x [n, hidden], edge_index [2, e], edge_attr (returned as it is) -> x, edge_attr.
    """

    def __init__(self, hidden: int, edge: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.conv = GCNConv(hidden, hidden, add_self_loops=True)
        self.node = mlp(hidden, hidden, hidden)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        """One round."""
        return x + self.node(torch.relu(self.conv(self.norm(x), edge_index))), edge_attr

    def attention(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> None:
        """None: it weighs by the numbers of neighbours alone."""


class AttentionBlock(nn.Module):
    """Residual attention over the neighbours, weighed by the edges' features.

    x'_i = x_i + MLP(LN([x_i, conv_i])); edges stay as they are. A particle without neighbours hears
    nothing.

    Args:
        conv: GATConv (Velickovic et al., 2018), GATv2Conv (Brody et al., 2022) or TransformerConv
            (Shi et al., 2021), made for a width, with heads and edge features.
        hidden: width of nodes, a multiple of HEADS.
        edge: width of edges.

    Shapes:
        x [n, hidden], edge_index [2, e], edge_attr [e, edge] (returned as it is) -> x, edge_attr.
    """

    def __init__(self, conv: Callable[..., nn.Module], hidden: int, edge: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.conv = conv(hidden, hidden // HEADS, heads=HEADS, edge_dim=edge)
        self.node = mlp(2 * hidden, hidden, hidden)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        """One round."""
        normed = self.norm(x)
        heard = self.conv(normed, edge_index, edge_attr)
        return x + self.node(torch.cat([normed, heard], -1)), edge_attr

    def attention(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """The share of each edge in what its target hears, [e, heads]."""
        normed = self.norm(x)
        _, (_, share) = self.conv(normed, edge_index, edge_attr, return_attention_weights=True)
        return share


CONVS: dict[str, Callable[[int, int], nn.Module]] = {
    "interaction": InteractionConv,
    "summed": partial(InteractionConv, attend=False),
    "gcn": GCNBlock,
    "gat": partial(AttentionBlock, partial(GATConv, add_self_loops=False)),
    "gatv2": partial(AttentionBlock, partial(GATv2Conv, add_self_loops=False)),
    "transformer": partial(AttentionBlock, TransformerConv),
}
"""A round of message passing of given widths of nodes and edges, by the config's name."""
