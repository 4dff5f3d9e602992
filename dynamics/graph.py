"""The k-NN particle graph of a batch of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch


def knn_edges(position: Tensor, alive: Tensor, k: int) -> Tensor:
    """Edges from each live particle's k nearest live ones to it; exact, never across frames.

    Args:
        position: [b, n, 2], any units.
        alive: [b, n] bool.
        k: neighbours; a particle with fewer live ones gets those.

    Returns:
        [2, e] int64, sources above targets, nodes numbered b-major over (b, n).
    """
    b, n = alive.shape
    k = min(k, n - 1)
    if k < 1:
        return torch.empty(2, 0, dtype=torch.long, device=position.device)
    distance = torch.cdist(position, position)  # (b, n, n)
    pair = alive[:, :, None] & alive[:, None, :]
    pair = pair & ~torch.eye(n, dtype=torch.bool, device=position.device)
    nearest = distance.masked_fill(~pair, torch.inf).topk(k, largest=False)  # (b, n, k)
    start = torch.arange(b, device=position.device)[:, None, None] * n
    target = start + torch.arange(n, device=position.device)[:, None]
    found = nearest.values.isfinite()
    return torch.stack([(start + nearest.indices)[found], target.expand(b, n, k)[found]])


def particle_graph(
    node: Tensor, position: Tensor, velocity: Tensor, alive: Tensor, k: int
) -> Batch:
    """One graph a frame, of its live particles, as a torch_geometric Batch.

    Args:
        node: [b, n, f] node features.
        position, velocity: [b, n, 2], in the units that edges are to have (GNS: normalised).
        alive: [b, n] bool; only these m become nodes.
        k: neighbours.

    Returns:
        Batch of b graphs: x [m, f], pos [m, 2], edge_index [2, e] and edge_attr [e, 5]:
        relative displacement, its length, relative velocity, of the source seen from the target.
    """
    number = alive.flatten().cumsum(0) - 1  # the node that each live particle becomes
    edges = number[knn_edges(position.detach(), alive, k)]
    source, target = edges
    pos, vel = position[alive], velocity[alive]
    apart = pos[source] - pos[target]
    length = (apart.square().sum(-1, keepdim=True) + 1e-8).sqrt()
    sizes = alive.sum(1)
    return Batch(
        x=node[alive],
        pos=pos,
        edge_index=edges,
        edge_attr=torch.cat([apart, length, vel[source] - vel[target]], -1),
        batch=torch.arange(len(alive), device=pos.device).repeat_interleave(sizes),
        ptr=nn.functional.pad(sizes.cumsum(0), (1, 0)),
    )
