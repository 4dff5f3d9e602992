"""The smallest stage that the engine can train: a line through noisy points, with dropout.

Run as a script it trains in a process of its own, to be killed by a test.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from dlp.losses import Loss
from pipelines.config import EngineConfig
from pipelines.engine import train

CONFIG = EngineConfig(
    batch=4,
    learning_rate=0.05,
    warmup_steps=2,
    log_every=1,
    save_every_minutes=0,
    accelerator="cpu",
)


class Toy:
    """A stage whose data, dropout and normalisation would all show a resume that is not exact."""

    name = "stage1"
    best_key = "error"
    best_mode: Literal["min", "max"] = "min"

    def __init__(self, width: int = 8, seed: int = 0, pause: float = 0.0) -> None:
        torch.manual_seed(seed)
        self.width, self.pause = width, pause
        self.model = nn.Sequential(
            nn.Linear(2, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 1)
        )
        self.broken_at = -1
        self.batches: list[torch.Tensor] = []

    def batch(self, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        x = torch.randn(4, 2, generator=generator)
        self.batches.append(x)
        time.sleep(self.pause)
        return {"x": x, "y": x.sum(1, keepdim=True)}

    def loss(self, batch: dict[str, torch.Tensor], step: int, progress: float) -> Loss:
        error = (self.model(batch["x"]) - batch["y"]).square().mean()
        price = error.new_tensor(progress)
        if step == self.broken_at:
            price = price / 0 * 0
        return Loss(error + price, {"error": error, "price": price})

    def evaluate(self, step: int) -> dict[str, float]:
        assert not self.model.training
        x = torch.randn(16, 2)
        return {"error": float((self.model(x) - x.sum(1, keepdim=True)).square().mean())}

    def config(self) -> dict[str, Any]:
        return {"toy": {"width": self.width}}


if __name__ == "__main__":
    train(Toy(pause=0.01), Path(sys.argv[1]), CONFIG, max_steps=int(sys.argv[2]), resume=True)
