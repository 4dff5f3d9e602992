"""When a stage is trained in bfloat16."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dlp.losses import Loss
from pipelines.checkpoint import find_checkpoint
from pipelines.config import EngineConfig
from pipelines.devices import LossModule, Sealed, has_bfloat16, settled
from tests.pipelines.commands import STAGE1, Trained, particlecast


@pytest.mark.parametrize(
    ("precision", "found_good", "capable", "on_cpu"),
    [
        ("auto", True, True, "bf16-mixed"),
        ("auto", True, False, "32-true"),
        ("auto", False, True, "32-true"),
        ("bf16-mixed", False, False, "bf16-mixed"),
        ("32-true", True, True, "32-true"),
        ("16-mixed", True, True, "16-mixed"),
    ],
)
def test_bfloat16_is_taken_where_it_is_quick_and_good_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: Any, found_good: bool, capable: bool, on_cpu: str
) -> None:
    known = {"avx512_bf16": capable, "avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    stage: Any = SimpleNamespace(bfloat16=found_good)
    config = EngineConfig(precision=precision)
    assert settled(config, stage, torch.device("cpu")).precision == on_cpu
    other = "32-true" if precision == "auto" else precision
    assert settled(config, stage, torch.device("cuda")).precision == other


@pytest.mark.parametrize("precision", ["auto", "32-true"])
def test_a_run_tells_what_it_was_trained_in(tiny: Trained, tmp_path: Path, precision: str) -> None:
    words = ("--data", tiny.data, "--run", tmp_path, "--max-steps", 2)
    particlecast("train-dlp", *words, *STAGE1, "--stage1.precision", precision)
    told = json.loads((find_checkpoint(tmp_path, "stage1") / "config.json").read_text())
    narrow = precision == "auto" and has_bfloat16()
    assert told["engine"]["precision"] == ("bf16-mixed" if narrow else "32-true")


@pytest.mark.parametrize("narrow", [False, True])
def test_the_loss_is_computed_in_what_was_chosen(narrow: bool) -> None:
    model = nn.Linear(2, 2)

    def loss(batch: torch.Tensor, step: int, progress: float) -> Loss:
        out = model(batch)
        assert out.dtype == (torch.bfloat16 if narrow else torch.float32)
        return Loss(out.float().sum(), {"loss": out.float().sum()})

    stage: Any = SimpleNamespace(model=model, loss=loss)
    total, _ = LossModule(stage, narrow)(Sealed(torch.ones(1, 2)), 0, 0.0)
    total.backward()
    assert model.weight.grad is not None
    assert model.weight.grad.dtype == torch.float32
