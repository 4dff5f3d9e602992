"""A stranger's settings take no memory before they are known to fit the weights beside them.

What would be refused here is refused before it is trained, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from data.errors import UserError
from pipelines.checkpoint import check_shapes, load_model_weights
from pipelines.config import build, plain

LARGEST, DEEPEST = 4096, 64
"""Of sizes and counts, which are whole numbers; and of layers."""
Model = TypeVar("Model", bound=nn.Module)
Config = TypeVar("Config")


def check_settings(settings: Any, option: str) -> None:
    """Stop before a model is trained that no command could load.

    Args:
        settings: a dataclass of them.
        option: the group's, such as --dlp, for the error.

    Raises:
        UserError: naming the setting.
    """
    build_settings(type(settings), plain(settings), option, "choose another value")


def build_settings(cls: type[Config], values: Any, where: str, fix: str = "train again") -> Config:
    """`config.build`, that also stops at a number which no model here can be built with.

    Args:
        cls: the dataclass.
        values: a group of config.json, unchecked.
        where: the file and the group, for the error.
        fix: what to do about it.

    Raises:
        UserError: naming the setting.
    """
    for name, value in values.items() if isinstance(values, dict) else ():
        if value is None:
            raise UserError(f"{where}.{name} is null, expected a value: {fix}")
    settings = build(cls, values, where)
    for name, value in _named(where, asdict(settings)):  # type: ignore[call-overload]
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name} is {value}, not finite: {fix}")
        most = DEEPEST if name.endswith(".layers") else LARGEST
        if isinstance(value, int) and abs(value) > most:
            raise UserError(f"{name} is {value:.6g}, larger than {most}: {fix}")
    return settings


def _named(where: str, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting with its full name, those of groups inside of groups too."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _named(f"{where}.{name}", value)
        else:
            yield f"{where}.{name}", value


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
