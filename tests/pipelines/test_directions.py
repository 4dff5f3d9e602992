"""The directions in which appearance varies."""

from __future__ import annotations

import torch

from pipelines.directions import COLUMNS, DIRECTIONS, find_directions, principal_directions, strips
from tests.pipelines.commands import FEATURES, Trained
from tests.pipelines.exploring import open_tiny


def test_the_directions_of_a_known_cloud_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.1, 3.0, 0.0, 1.0])
    cloud = torch.randn(4000, 4, generator=generator) * spread + torch.tensor([1.0, 2, 3, 4])
    found = principal_directions(cloud)
    assert torch.allclose(found.mean, torch.tensor([1.0, 2, 3, 4]), atol=0.2)
    assert torch.allclose(found.vectors, torch.eye(4)[[1, 3, 0]], atol=0.05)
    assert torch.allclose(found.share, torch.tensor([9, 1, 0.01]) / 10.01, atol=0.01)
    quantile = 2.054  # of 0.98, of a normal distribution
    assert torch.allclose(found.high, quantile * spread[[1, 3, 0]], rtol=0.1)
    assert torch.allclose(found.low, -quantile * spread[[1, 3, 0]], rtol=0.1)


def test_the_order_of_the_particles_does_not_turn_a_direction() -> None:
    cloud = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    one, other = principal_directions(cloud), principal_directions(cloud.flip(0))
    assert torch.allclose(one.vectors, other.vectors, atol=1e-4)


def test_too_few_particles_have_no_directions() -> None:
    for count in (0, 1):
        found = principal_directions(torch.ones(count, 3))
        assert found.vectors.shape == (0, 3)
        assert found.low.shape == found.high.shape == found.share.shape == (0,)
        assert found.mean.isfinite().all()


def test_a_runs_directions_are_the_same_each_time_and_seen(tiny: Trained) -> None:
    world = open_tiny(tiny)
    one, other = (find_directions(world.model, world.videos) for _ in range(2))
    for name in ("mean", "vectors", "share", "low", "high"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    n = len(one.vectors)
    assert 0 < n <= min(DIRECTIONS, FEATURES)
    assert torch.allclose(one.vectors @ one.vectors.T, torch.eye(n), atol=1e-4)
    assert (one.share.diff() <= 0).all()
    side = world.model.config.glimpse
    sheet = strips(world.model, world.videos, one)
    assert sheet.shape == (n * side, COLUMNS * side, 4)
    assert (sheet[:side, :side] != sheet[:side, -side:]).any()
