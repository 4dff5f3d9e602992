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
    # Above 25 rows cdist would otherwise multiply matrices, and lose what is small far from 0.
    exact = "donot_use_mm_for_euclid_dist"
    distance = torch.cdist(position, position, compute_mode=exact)  # (b, n, n)
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
        Batch of b graphs: x [m, f], pos [m, 2], row [m] (which of the b * n rows each node is),
        edge_index [2, e] and edge_attr [e, 5]: relative displacement, its length, relative
        velocity, of the source seen from the target.
    """
    row = alive.flatten().nonzero()[:, 0]
    number = alive.flatten().cumsum(0) - 1  # the node that each live particle becomes
    edges = number[knn_edges(position.detach(), alive, k)]
    # index_select, as its gradient is many times faster than that of a mask
    moving = torch.cat([position, velocity], -1).flatten(0, 1).index_select(0, row)  # (m, 4)
    apart = moving.index_select(0, edges[0]) - moving.index_select(0, edges[1])  # (e, 4)
    length = (apart[:, :2].square().sum(-1, keepdim=True) + 1e-8).sqrt()
    sizes = alive.sum(1)
    return Batch(
        x=node.flatten(0, 1).index_select(0, row),
        pos=moving[:, :2],
        row=row,
        edge_index=edges,
        edge_attr=torch.cat([apart[:, :2], length, apart[:, 2:]], -1),
        batch=torch.arange(len(alive), device=row.device).repeat_interleave(sizes),
        ptr=nn.functional.pad(sizes.cumsum(0), (1, 0)),
    )
