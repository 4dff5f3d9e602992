import torch
from torch_geometric.data import Data

from dynamics.graph import knn_edges, particle_graph


def naive(position: torch.Tensor, alive: torch.Tensor, k: int) -> set[tuple[int, int]]:
    """Every (source, target), by loops over pairs."""
    edges = set()
    b, n = alive.shape
    for f in range(b):
        for i in range(n):
            if not alive[f, i]:
                continue
            others = [j for j in range(n) if j != i and alive[f, j]]
            others.sort(key=lambda j: float((position[f, i] - position[f, j]).norm()))
            edges |= {(f * n + j, f * n + i) for j in others[:k]}
    return edges


def test_the_edges_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    position, alive = torch.rand(3, 7, 2), torch.rand(3, 7) > 0.3
    for k in (1, 3, 10):
        found = knn_edges(position, alive, k)
        assert set(map(tuple, found.T.tolist())) == naive(position, alive, k)
        assert found.shape[1] == len(naive(position, alive, k))


def test_none_or_one_live_particle_has_no_edges() -> None:
    position = torch.rand(2, 4, 2)
    alive = torch.zeros(2, 4, dtype=torch.bool)
    alive[1, 2] = True
    assert knn_edges(position, alive, 3).shape == (2, 0)
    assert knn_edges(position[:, :1], torch.ones(2, 1, dtype=torch.bool), 3).shape == (2, 0)


def test_the_graph_is_a_batch_of_live_particles_with_what_edges_carry() -> None:
    position = torch.tensor(
        [[[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[1.0, 1.0], [1.0, 3.0], [0, 0]]]
    )
    velocity = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [0, 0]], [[0.0, 0.0], [0.0, -1.0], [0, 0]]])
    alive = torch.tensor([[True, True, False], [True, True, False]])
    graph = particle_graph(torch.rand(2, 3, 4), position, velocity, alive, k=2)
    assert isinstance(graph, Data)
    assert graph.num_graphs == 2
    assert graph.num_nodes == 4
    assert graph.batch.tolist() == [0, 0, 1, 1]
    edge = (graph.edge_index == torch.tensor([[1], [0]])).all(0).nonzero().item()
    assert torch.allclose(graph.edge_attr[edge], torch.tensor([3.0, 4, 5, -1, 2]), atol=1e-4)
    crossing = graph.batch[graph.edge_index[0]] != graph.batch[graph.edge_index[1]]
    assert not crossing.any()


def test_the_edges_are_exact_far_from_the_origin() -> None:
    torch.manual_seed(0)
    position, alive = torch.rand(1, 40, 2) + 500, torch.ones(1, 40, dtype=torch.bool)
    found = knn_edges(position, alive, 3)
    assert set(map(tuple, found.T.tolist())) == naive(position, alive, 3)
