"""Made tracks and states."""

from __future__ import annotations

import torch

from dlp.particles import Particles
from dynamics.config import DynamicsConfig
from dynamics.model import GraphDynamics
from dynamics.state import State
from dynamics.tracks import Tracks


def state(b: int = 2, h: int = 4, n: int = 5, codes: int = 6, seed: int = 0) -> State:
    """A random state whose last row is empty."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(b, 1, n, 2, generator=generator) * 1.2 - 0.6
    velocity = torch.randn(b, 1, n, 2, generator=generator) * 0.05
    position = start + torch.arange(h)[None, :, None, None] * velocity
    alive = torch.ones(b, n, dtype=torch.bool)
    alive[:, -1] = False
    code = torch.randn(b, n, codes, generator=generator)
    return State(position, torch.ones(b, h, n), code, alive)


def permuted(given: State, order: torch.Tensor) -> State:
    """The same particles in other rows."""
    return State(
        given.position[:, :, order],
        given.seen[:, :, order],
        given.code[:, order],
        given.alive[:, order],
    )


def roused(
    config: DynamicsConfig, size: tuple[int, int] = (32, 48), by: float = 0.2
) -> GraphDynamics:
    """A model far from its quiet start, so that every part matters."""
    torch.manual_seed(1)
    model = GraphDynamics(config, 3, size)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(by * torch.randn_like(weight))
    return model.eval()


def calmed(model: GraphDynamics) -> GraphDynamics:
    """The model as one in which everything goes on at its velocity, exactly."""
    last = model.head[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return model.eval()


def coasting(t: int, speeds: list[tuple[float, float]], codes: int = 6) -> Tracks:
    """Tracks at constant velocity, in [-1, 1] units a frame, all seen."""
    velocity = torch.tensor(speeds)
    start = torch.linspace(-0.5, 0.5, len(speeds))[:, None].expand(-1, 2)
    position = start + torch.arange(t)[:, None, None] * velocity
    code = torch.arange(len(speeds))[None, :, None].expand(t, -1, codes).float()
    seen = torch.ones(t, len(speeds), dtype=torch.bool)
    return Tracks(position, code, seen, ~seen, position * 0)


def particles(position: torch.Tensor, transparency: torch.Tensor) -> Particles:
    """Particles [t, k, 2] with an appearance that tells them apart."""
    t, k, _ = position.shape
    appearance = torch.eye(k).expand(t, k, k).clone()
    one = torch.ones(t, k)
    return Particles(position, torch.zeros(t, k, 2), appearance, transparency, one, one * 0)
