"""PointNet++ over a set of particles: the global context of the background (DLP, section 4.3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def nearest(position: Tensor, count: int) -> Tensor:
    """The nearest particles of each, itself first; exact.

    Args:
        position: [b, k, 2].
        count: how many, at most k.

    Returns:
        [b, k, count] int64.
    """
    distance = torch.cdist(position.detach(), position.detach())
    return distance.topk(min(count, position.shape[1]), largest=False).indices


class PointNetLayer(nn.Module):
    """x'_i = max_j z_j ReLU(LN(MLP([x_j, p_j - p_i]))), j the neighbours of i (Qi et al., 2017).

    With the weight z_j a particle that is not in use says nothing.

    Args:
        inputs, outputs: features of a particle before and after.

    Shapes:
        x [b, k, inputs], position [b, k, 2], weight [b, k], neighbours [b, k, n]
        -> [b, k, outputs], 0 or more.
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

    def forward(self, x: Tensor, position: Tensor, weight: Tensor, neighbours: Tensor) -> Tensor:
        """One round."""
        batch = torch.arange(len(x), device=x.device)[:, None, None]
        apart = position[batch, neighbours] - position[:, :, None]  # (b, k, n, 2)
        messages = self.mlp(torch.cat([x[batch, neighbours], apart], -1))
        return (messages * weight[batch, neighbours][..., None]).amax(2)


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
        neighbours = nearest(position, self.neighbours)
        x = torch.cat([position, features], -1)
        for layer in self.rounds:
            x = layer(x, position, weight, neighbours)
        return (x * weight[..., None]).amax(1)
