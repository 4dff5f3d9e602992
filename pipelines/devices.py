"""Processes and devices: starting them, sending a batch, agreeing on a value."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from data.errors import UserError
from pipelines.config import EngineConfig
from pipelines.stage import Stage
from pipelines.together import remember


def start_fabric(config: EngineConfig) -> Fabric:
    """The processes and devices, started once and shared by all stages.

    Raises:
        UserError: the machine does not have them.
    """
    # bfloat16 needs none of Fabric's help, and stages that differ in it share their processes.
    precision = "16-mixed" if config.precision == "16-mixed" else "32-true"
    return _start(config.accelerator, config.devices, config.nodes, precision)


@functools.cache
def _start(accelerator: str, devices: int, nodes: int, precision: Any) -> Fabric:
    try:
        fabric = Fabric(
            accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision
        )
        remember(getattr(fabric.strategy.launcher, "procs", []))
        fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"cannot train with accelerator {accelerator}, {devices} devices on {nodes} nodes, "
            f"precision {precision}: {' '.join(str(error).split())}: use --accelerator auto"
        ) from error
    return fabric


def to_device(value: Any, device: torch.device) -> Any:
    """Every tensor of a batch, in whatever dataclasses and containers, on the device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if is_dataclass(value) and not isinstance(value, type):
        moved = {f.name: to_device(getattr(value, f.name), device) for f in fields(value)}
        return type(value)(**moved)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value.to(device) if hasattr(value, "to") else value


class Sealed:
    """Hides a batch from Fabric, which refuses frozen dataclasses."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16: without them it is slower."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))


def settled(config: EngineConfig, stage: Stage, device: torch.device) -> EngineConfig:
    """The settings with `precision: auto` made what it stands for.

    It is bf16-mixed on a CPU with instructions for bfloat16, if that was found as good for the
    stage.
    """
    if config.precision != "auto":
        return config
    narrow = getattr(stage, "bfloat16", False) and device.type == "cpu" and has_bfloat16()
    return replace(config, precision="bf16-mixed" if narrow else "32-true")


class LossModule(nn.Module):
    """The stage's loss as a forward pass, for Fabric to average over processes.

    Args:
        stage: whose loss it is.
        narrow: whether in bfloat16, where that may be.
    """

    def __init__(self, stage: Stage, narrow: bool) -> None:
        super().__init__()
        self.model = stage.model
        self.compute = stage.loss
        self.narrow = narrow

    def forward(self, sealed: Sealed, step: int, progress: float) -> tuple[Tensor, dict]:
        """The total, and the detached terms."""
        device = next(self.model.parameters()).device
        # Fabric's own autocast, in 16-mixed, stays as it is.
        narrow = torch.autocast(device.type, torch.bfloat16) if self.narrow else nullcontext()
        with narrow:
            loss = self.compute(sealed.batch, step, progress)
        return loss.total, {name: term.detach() for name, term in loss.terms.items()}


def mean_terms(fabric: Fabric, losses: list[dict[str, Tensor]]) -> dict[str, float]:
    """Each term's mean over a step's draws and processes."""
    rows = torch.stack([torch.stack([term.float() for term in loss.values()]) for loss in losses])
    means = fabric.all_reduce(rows.mean(0), reduce_op="mean")
    assert isinstance(means, Tensor)  # a tensor in, a tensor out
    return dict(zip(losses[0], means.tolist(), strict=True))


def agree(fabric: Fabric, value: Any) -> Any:
    """The first process's word, so that all stop at the same step."""
    return fabric.broadcast(value) if fabric.world_size > 1 else value


def all_agree(fabric: Fabric | None, yes: bool) -> bool:
    """Whether every process says yes; None: this one is alone."""
    if fabric is None or fabric.world_size == 1:
        return yes
    votes = fabric.all_reduce(torch.tensor(float(yes), device=fabric.device), reduce_op="sum")
    assert isinstance(votes, Tensor)  # a tensor in, a tensor out
    return float(votes) == fabric.world_size
