"""Graphs, tracks and forecasts with any number of live particles, none and one among them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp.particles import LIVE, Particles
from dynamics.config import DynamicsConfig
from dynamics.graph import knn_edges, particle_graph
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.tracks import choose_rows, context_state, track

FEATURES = 3
SIZE = (32, 48)
ANY = settings(max_examples=60, deadline=None)
counts, shares = st.integers(1, 6), st.sampled_from([0.0, 0.3, 1.0])
seeds = st.integers(0, 2**31 - 1)


def drawn(t: int, k: int, share: float, seed: int, spread: float) -> Particles:
    """Particles [t, k, ...], each alive with probability `share`; spread 0: all on one spot."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    alive = (rand(t, k) < share).float()
    return Particles(
        position=(rand(t, k, 2) * 2 - 1) * spread,
        log_variance=-rand(t, k, 2) * 9,
        appearance=rand(t, k, FEATURES),
        transparency=alive,
        scale=rand(t, k) + 0.1,
        depth=rand(t, k),
    )


@ANY
@given(counts, counts, shares, seeds, st.sampled_from([0.0, 1.0, 1e6]), st.integers(1, 9))
def test_any_graph(b: int, n: int, share: float, seed: int, spread: float, k: int) -> None:
    particles = drawn(b, n, share, seed, spread)
    position, alive = particles.position, particles.transparency > LIVE
    edges = knn_edges(position, alive, k)
    flat = alive.flatten()
    assert flat[edges].all()
    assert (edges[0] != edges[1]).all()
    assert (edges[0] // n == edges[1] // n).all()
    neighbours = (alive.sum(1, keepdim=True) - 1).clamp(0, k)
    assert torch.equal(
        torch.bincount(edges[1], minlength=b * n), (neighbours * alive).flatten()
    )  # as many as there are, at most k
    graph = particle_graph(particles.appearance, position, position, alive, k)
    assert graph.num_graphs == b
    assert graph.num_nodes == int(alive.sum())
    assert graph.edge_attr.isfinite().all()


@ANY
@given(st.integers(1, 12), counts, shares, seeds, st.sampled_from([0.0, 1.0, 3.0]))
def test_any_particles_are_tracked_and_forecast(
    t: int, k: int, share: float, seed: int, spread: float
) -> None:
    particles = drawn(t, k, share, seed, spread)
    tracks = track(particles, SIZE)
    alive = particles.transparency > LIVE
    assert torch.equal(tracks.seen.sum(1), alive.sum(1))  # each live particle is someone's
    assert tracks.position.isfinite().all()
    assert tracks.code.isfinite().all()
    assert not (tracks.left & tracks.seen).any()

    rows = choose_rows(tracks, k)
    assert len(rows) == len(set(rows)) <= k
    config = DynamicsConfig(hidden=8, edge=8, history=4, layers=1)
    torch.manual_seed(0)
    model = GraphDynamics(config, FEATURES, SIZE).eval()
    state = context_state(tracks, rows, config.history, k)
    with torch.no_grad():
        for later in unroll(model, state, 3):
            assert later.position.isfinite().all()
            assert later.code.isfinite().all()
            assert later.alive.shape == (1, k)
