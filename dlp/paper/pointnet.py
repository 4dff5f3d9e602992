"""PointNet++ over a set of particles: the global context of a picture (DLP, section 4.3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing


def nearest(position: Tensor, count: int) -> Tensor:
    """The nearest particles of each, itself first; exact, and without a compiled extension.

    Args:
        position: [b, k, 2].
        count: how many, at most k.

    Returns:
        [b, k, count] int64.
    """
    distance = torch.cdist(position.detach(), position.detach())
    return distance.topk(min(count, position.shape[1]), largest=False).indices


def graph(neighbours: Tensor) -> Tensor:
    """The edges from `nearest` particles, [2, b * k * n]: sources above targets, b-major."""
    b, k, n = neighbours.shape
    start = torch.arange(b, device=neighbours.device)[:, None, None] * k
    target = torch.arange(b * k, device=neighbours.device).repeat_interleave(n)
    return torch.stack([(neighbours + start).flatten(), target])


class PointNetLayer(MessagePassing):
    """x'_i = max_j z_j ReLU(LN(MLP([x_j, p_j - p_i]))), j the neighbours of i (Qi et al., 2017).

    With the weight z_j a particle that is not in use says nothing.

    Args:
        inputs, outputs: features of a particle before and after.

    Shapes:
        x [n, inputs], position [n, 2], weight [n], edges [2, e] of a graph in which each particle
        has as many neighbours, listed target by target -> [n, outputs], 0 or more.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(inputs + 2, outputs),
            nn.ReLU(),
            nn.Linear(outputs, outputs),
            nn.LayerNorm(outputs),
            nn.ReLU(),
        )

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        for layer in self.mlp:
            if isinstance(layer, nn.Linear | nn.LayerNorm):
                layer.reset_parameters()

    def forward(self, x: Tensor, position: Tensor, weight: Tensor, edges: Tensor) -> Tensor:
        """One round."""
        return self.propagate(edges, x=x, position=position, weight=weight[:, None])

    def message(
        self, x_j: Tensor, position_i: Tensor, position_j: Tensor, weight_j: Tensor
    ) -> Tensor:
        """What a neighbour says."""
        return weight_j * self.mlp(torch.cat([x_j, position_j - position_i], -1))

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int) -> Tensor:
        """The maximum over each one's neighbours; as many each, so no scatter is needed."""
        return rearrange(inputs, "(n j) c -> n j c", n=dim_size).amax(1)


class PointNet(nn.Module):
    """Rounds of gathering from neighbours, then the maximum over all particles.

    Args:
        inputs: features of a particle, its position not among them.
        width: features of the first round; each later round doubles them.
        neighbours: from how many each gathers.
        rounds: of gathering.

    Shapes:
        features [b, k, inputs], position [b, k, 2], weight [b, k] -> [b, self.outputs].
    """

    def __init__(self, inputs: int, width: int, neighbours: int, rounds: int = 3) -> None:
        super().__init__()
        self.neighbours = neighbours
        sizes = [inputs + 2, *(width * 2**i for i in range(rounds))]
        self.outputs = sizes[-1]
        self.rounds = nn.ModuleList(
            PointNetLayer(before, after) for before, after in pairwise(sizes)
        )

    def forward(self, features: Tensor, position: Tensor, weight: Tensor) -> Tensor:
        """The context of each set."""
        edges = graph(nearest(position, self.neighbours))
        x = torch.cat([position, features], -1).flatten(0, 1)  # (b k, c)
        places, weights = position.flatten(0, 1), weight.flatten()
        for layer in self.rounds:
            x = layer(x, places, weights, edges)
        return rearrange(x * weights[:, None], "(b k) c -> b k c", b=len(position)).amax(1)
