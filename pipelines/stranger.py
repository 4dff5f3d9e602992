"""A stranger's settings take no memory before they are known to fit the weights beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from data.errors import UserError
from pipelines.checkpoint import check_shapes, load_model_weights
from pipelines.config import build

LARGEST, DEEPEST = 4096, 64
"""Of sizes and counts, which are whole numbers; and of layers."""
Model = TypeVar("Model", bound=nn.Module)
Config = TypeVar("Config")


def build_settings(cls: type[Config], values: Any, where: str) -> Config:
    """`config.build`, that also stops at a number which no model here can be built with.

    Args:
        cls: the dataclass.
        values: a group of config.json, unchecked.
        where: the file and the group, for the error.

    Raises:
        UserError: naming the setting.
    """
    for name, value in values.items() if isinstance(values, dict) else ():
        if value is None:
            raise UserError(f"{where}: {name} is null, expected a value: train again")
    settings = build(cls, values, where)
    for name, value in asdict(settings).items():  # type: ignore[call-overload]
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{where}: {name} is {value}, not finite: train again")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise UserError(f"{where}: {name} is {value:.6g}, larger than {LARGEST}: train again")
        if name == "layers" and value > DEEPEST:
            raise UserError(f"{where}: {value} layers, more layers than {DEEPEST}: train again")
    return settings


def build_trained(folder: Path, build: Callable[[], Model]) -> Model:
    """The model of a checkpoint with its weights, built only if these are of its shapes.

    Args:
        build: makes the model that the settings ask for.

    Raises:
        UserError: the settings or the weights do not fit.
    """
    try:
        with FakeTensorMode():  # tensors without memory
            expected = {name: list(tensor.shape) for name, tensor in build().state_dict().items()}
        check_shapes(folder, expected)
        model = build()
    except ValueError as error:
        raise UserError(f"{folder}/config.json: {error}") from error
    load_model_weights(folder, model)
    return model
