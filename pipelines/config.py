"""Settings: how a stage is trained, and the presets. Light: nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from data.errors import UserError

PRESETS = Path(__file__).parent / "presets"
Config = TypeVar("Config")


@dataclass(frozen=True)
class EngineConfig:
    """How a stage is trained: the optimiser, when to look and save, on which devices."""

    batch: int = 32
    """Items drawn at a time by each process; a step sees batch * accumulate * devices * nodes."""
    accumulate: int = 1
    """Draws whose gradients are averaged before one step."""
    learning_rate: float = 2e-3
    """Adam's rate after the warm-up."""
    warmup_steps: int = 50
    """Steps over which the rate rises from 0."""
    final_rate: float = 0.02
    """Share of the rate that is left at the end of its cosine decay, in [0, 1]."""
    clip: float = 1.0
    """Largest norm of the gradient; .inf for no clipping."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW)."""
    log_every: int = 20
    """Steps between two points of the training curves."""
    evaluate_every: int = 0
    """Steps between two evaluations; 0: eight in a run, whatever its length."""
    save_every_minutes: float = 1.0
    """Minutes between two checkpoints; each evaluation saves one too."""
    keep: int = 2
    """Newest checkpoints kept, beside the best."""
    accelerator: str = "auto"
    """cpu, cuda, mps, or auto for what the machine has."""
    devices: int = 1
    """Devices (on a CPU: processes) on each machine."""
    nodes: int = 1
    """Machines."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Arithmetic of the forward pass; weights stay in 32 bits. auto: bf16-mixed for stage 1 with
    model dlp on a CPU that has instructions for it, else 32-true."""

    def __post_init__(self) -> None:
        precisions = ("auto", "32-true", "bf16-mixed", "16-mixed")
        rules = [
            (self.batch >= 1, "batch", "at least 1"),
            (self.accumulate >= 1, "accumulate", "at least 1"),
            (0 < self.learning_rate < math.inf, "learning_rate", "above 0"),
            (self.warmup_steps >= 0, "warmup_steps", "0 or more"),
            (0 <= self.final_rate <= 1, "final_rate", "from 0 to 1"),
            (self.clip > 0, "clip", "above 0"),
            (0 <= self.weight_decay < math.inf, "weight_decay", "0 or more"),
            (self.log_every >= 1, "log_every", "at least 1"),
            (self.evaluate_every >= 0, "evaluate_every", "0 or more"),
            (self.save_every_minutes >= 0, "save_every_minutes", "0 or more"),
            (self.keep >= 1, "keep", "at least 1"),
            (bool(self.accelerator), "accelerator", "cpu, cuda, mps or auto"),
            (self.devices >= 1, "devices", "at least 1"),
            (self.nodes >= 1, "nodes", "at least 1"),
            (self.precision in precisions, "precision", "one of " + ", ".join(precisions)),
        ]
        for holds, name, rule in rules:
            if not holds:
                raise ValueError(
                    f"{name} must be {rule}, found {getattr(self, name)}: "
                    f"set --stage1.{name} or --stage2.{name} to {rule}"
                )


STAGE1 = EngineConfig(batch=16, learning_rate=4e-3, clip=100.0)
"""Where stage 1's settings start from: its gradient is large while particles are still few."""
STAGE2 = EngineConfig(learning_rate=1e-3, weight_decay=1e-4)
"""Where stage 2's settings start from."""
JOINT = EngineConfig(batch=4, learning_rate=2e-4)
"""Where fine-tuning's settings start from: each window is many frames to encode."""


def plain(config: Any) -> dict[str, Any]:
    """A config dataclass as what JSON gives back: lists for tuples, text for paths."""

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): convert(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [convert(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    is_config = is_dataclass(config) and not isinstance(config, type)
    return convert(asdict(config) if is_config else config)


def build(cls: type[Config], values: Any, where: str) -> Config:
    """A config dataclass from a stranger's mapping, each name, type and rule checked.

    Args:
        cls: the dataclass.
        values: what `plain` gave; fields that it lacks keep their defaults.
        where: what to name in an error, such as the file and the group.

    Raises:
        UserError: an unknown name, a wrong type, or a rule that does not hold.
    """
    from jsonargparse import ArgumentParser

    if not isinstance(values, dict):
        raise UserError(f"{where}: expected names and values, found {type(values).__name__}")
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(str(name) for name in values.keys() - known):
        raise UserError(f"{where}: unknown setting {unknown[0]!r}: remove it")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "config")
    try:
        return parser.instantiate(parser.parse_object({"config": values})).config
    except Exception as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}") from error


def presets() -> list[str]:
    """The names of the presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def choose_preset(name: str, source: str) -> str:
    """The preset's name; `auto` gives the world's own, or `video`.

    Raises:
        UserError: no preset of that name.
    """
    if name == "auto":
        world = source.removeprefix("synthetic:") if source.startswith("synthetic:") else ""
        world = world.split(",")[0]
        return f"{world}-world" if f"{world}-world" in presets() else "video"
    if name not in presets():
        raise UserError(f"no preset {name!r}: --preset takes auto, {', '.join(presets())}")
    return name


def load_preset(name: str) -> dict[str, Any]:
    """What a preset changes: {group: {field: value}}."""
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text("utf-8")) or {}
