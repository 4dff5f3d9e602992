"""The speed and the memory of the landmark models: training steps, and encoding."""

from __future__ import annotations

from typing import Any

import torch

from dlp.build import build_model
from dlp.config import DLPConfig
from pipelines.bench_dynamics import median
from pipelines.config import STAGE1, build, load_preset

BATCH, SIDE = 16, 64
PRESET = "faces-world"


def measure_landmarks(name: str, seconds: float) -> dict[str, float]:
    """Images a second of one model with the preset of the synthetic faces.

    Args:
        name: of the model.
        seconds: for each measurement.
    """
    torch.manual_seed(0)
    values: dict[str, Any] = {**load_preset(PRESET)["dlp"], "model": name}
    model = build_model(build(DLPConfig, values, PRESET), (SIDE, SIDE), training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0)
    image = torch.rand(BATCH, 3, SIDE, SIDE)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(image, 1.0).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), STAGE1.clip)
        optimizer.step()

    train = BATCH / median(step, seconds)
    model.eval()
    with torch.no_grad():
        return {"train": train, "encode": BATCH / median(lambda: model.encode(image), seconds)}
