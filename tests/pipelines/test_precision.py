"""When a stage is trained in bfloat16."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dlp.losses import Loss
from pipelines.devices import LossModule, Sealed, takes_bfloat16


@pytest.mark.parametrize(
    ("precision", "found_good", "capable", "narrow"),
    [
        ("auto", True, True, True),
        ("auto", True, False, False),
        ("auto", False, True, False),
        ("bf16-mixed", False, False, True),
        ("32-true", True, True, False),
        ("16-mixed", True, True, False),
    ],
)
def test_bfloat16_is_taken_where_it_is_quick_and_good_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: str, found_good: bool, capable: bool, narrow: bool
) -> None:
    known = {"avx512_bf16": capable, "avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    stage: Any = SimpleNamespace(bfloat16=found_good)
    assert takes_bfloat16(precision, stage, torch.device("cpu")) is narrow
    other = takes_bfloat16(precision, stage, torch.device("cuda"))
    assert other is (precision == "bf16-mixed")


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
