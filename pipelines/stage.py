"""What the engine trains: a stage, its loss, and where its curves go."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch import nn

from dlp.losses import Loss


class Board(Protocol):
    """Where the curves go."""

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Add a point to each named curve."""

    def flush(self) -> None:
        """Have on the disk what was added so far."""


class Stage(Protocol):
    """What is trained: a model, its data, its loss, its validation.

    A stage may have a method `parameter_groups()` too, giving torch's parameter groups with
    peak rates of their own; else every parameter has the config's. If its attribute `bfloat16`
    is true, its loss was found as good in bfloat16, where there are instructions for it.
    """

    name: str
    """The stage's folder in the run."""
    best_key: str
    """The key of `evaluate` that decides which checkpoint is best."""
    best_mode: Literal["min", "max"]
    """Whether less or more of it is better."""

    @property
    def model(self) -> nn.Module:
        """What is trained and saved."""

    def batch(self, step: int, generator: torch.Generator) -> Any:
        """Draw a batch, every choice from the generator alone; on any device."""

    def loss(self, batch: Any, step: int, progress: float) -> Loss:
        """The loss of a batch on the model's device; progress in [0, 1) is the share done."""

    def evaluate(self, step: int) -> dict[str, float]:
        """Validation, on one process, with the model in eval mode and without gradients."""

    def config(self) -> dict[str, Any]:
        """What builds the stage again, as plain values; a run resumes only if it is the same."""
