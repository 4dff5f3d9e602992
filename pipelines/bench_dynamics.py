"""The speed of stage 2: training steps, and forecasts with their frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from dlp.config import DLPConfig
from dlp.model import DLP
from dynamics.config import DynamicsConfig
from dynamics.losses import unrolled_loss
from dynamics.model import GraphDynamics
from dynamics.state import State
from dynamics.windows import Window
from pipelines.bench_cost import operators, timed
from pipelines.config import STAGE2
from pipelines.forecast import predict

SIDE, PARTICLES, LIVE = 64, 12, 5
"""Frames of 64 pixels, K rows of which LIVE hold a thing: billiards has 3 to 6 balls."""
BATCH, UNROLL = 32, 8
VIDEOS, HORIZON = 8, 32
ROUNDS = 5


def measure_dynamics(seconds: float) -> dict[str, Any]:
    """Steps a second, by the number of live particles, and forecast frames a second."""
    torch.manual_seed(0)
    dlp = DLP(DLPConfig(particles=PARTICLES), (SIDE, SIDE)).eval().requires_grad_(False)
    dynamics = GraphDynamics(DynamicsConfig(), dlp.config.features, dlp.size)
    training = {}
    for live in (LIVE, PARTICLES):
        step = training_step(dynamics, live)
        training[live] = {"steps": 1 / median(step, seconds), "operators": operators(step)}
    given = scene(dynamics, VIDEOS, LIVE)
    frames = VIDEOS * HORIZON
    return {
        "training": [{"live": live, **found} for live, found in training.items()],
        "forecast": frames / median(lambda: list(predict(dlp, dynamics, given, HORIZON)), seconds),
        "batch": BATCH,
        "unroll": UNROLL,
        "videos": VIDEOS,
        "particles": PARTICLES,
        "live": LIVE,
        "size": SIDE,
    }


def scene(dynamics: GraphDynamics, b: int, live: int) -> State:
    """b sets of particles at rest, `live` of them there."""
    history, codes = dynamics.config.history, len(dynamics.code_mean)
    position = (torch.rand(b, 1, PARTICLES, 2) * 1.6 - 0.8).expand(-1, history, -1, -1)
    alive = (torch.arange(PARTICLES) < live).expand(b, -1)
    seen = alive[:, None].expand(-1, history, -1).float()
    return State(position, seen, torch.zeros(b, PARTICLES, codes), alive)


def training_step(dynamics: GraphDynamics, live: int) -> Callable[[], None]:
    """Loss, backward, clip, step, as the engine makes it."""
    optimizer = torch.optim.AdamW(dynamics.parameters(), lr=1e-6, fused=True)
    given = scene(dynamics, BATCH, live)
    position = given.position[:, -1:].expand(-1, UNROLL, -1, -1)
    code = given.code[:, None].expand(-1, UNROLL, -1, -1)
    mask = given.seen[:, -1:].expand(-1, UNROLL, -1)
    window = Window(given, position, code, mask, torch.zeros_like(mask))

    def step() -> None:
        optimizer.zero_grad()
        unrolled_loss(dynamics, window, UNROLL).loss.total.backward()
        torch.nn.utils.clip_grad_norm_(dynamics.parameters(), STAGE2.clip)
        optimizer.step()

    return step


def median(work: Callable[[], object], seconds: float) -> float:
    """The median seconds of some work, after once to warm up."""
    work()
    times = [timed(work) for _ in range(ROUNDS)]
    while sum(times) < seconds:
        times.append(timed(work))
    return sorted(times)[len(times) // 2]
