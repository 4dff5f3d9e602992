"""Any settings, from the command line, a file or a checkpoint: values that hold, or one line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import UserError
from data.frames import FrameConfig
from dlp.config import DLPConfig
from dynamics.config import DynamicsConfig
from pipelines.commands import COMMANDS
from pipelines.config import EngineConfig, build, plain
from pipelines.parsing import parse

CONFIGS = (FrameConfig, DLPConfig, DynamicsConfig, EngineConfig)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**30, -(10**30), 64, 8])
    | st.floats()
    | st.sampled_from(["", "8", "dlp", "cpu", "../x", "${x}", "!!python/object:os.system"])
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
BRIEF = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tried(call: Callable[[], Any]) -> tuple[Any, str]:
    """What it gives, or None and the one line that it is refused with."""
    try:
        return call(), ""
    except UserError as error:
        return None, str(error)


def holds(config: Any) -> bool:
    """Whether a config obeys its own rules, which are checked when it is made."""
    return dataclasses.replace(config) == config or any(
        isinstance(value, float) and math.isnan(value) for value in plain(config).values()
    )


@pytest.mark.parametrize("config", CONFIGS)
@BRIEF
@given(data=st.data())
def test_any_values_as_a_checkpoints_group(config: type, data: st.DataObject) -> None:
    names = [field.name for field in dataclasses.fields(config)] + ["class_path", "other"]
    values = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3) | VALUES)
    found, said = tried(lambda: build(config, values, "config.json: group"))
    assert "\n" not in said
    assert holds(found) if found is not None else said.startswith("config.json: group: ")


def test_an_unknown_name_of_several_lines_is_told_in_one() -> None:
    _, said = tried(lambda: build(EngineConfig, {"a\nb": 1}, "config.json: engine"))
    assert said == r"config.json: engine: unknown setting 'a\nb': remove it"


@pytest.mark.parametrize("name", ["train", "rollout"])
@BRIEF
@given(data=st.data())
def test_any_words_on_the_command_line(name: str, data: st.DataObject) -> None:
    groups = ["--max-minutes", "--seed", "--context", "--dlp.width", "--stage2.clip", "--births"]
    options = st.sampled_from([*groups, "--frames.crop", "--preset", "--config", "--x", "-1"])
    texts = st.text(max_size=5) | st.integers().map(str) | st.floats().map(str)
    pairs = data.draw(st.lists(st.tuples(options, texts), max_size=3))
    words = ["--data", "a", "--run", "b", "--context", "4", "--horizon", "2", "--out", "c"]
    start = words[: 4 if name == "train" else None]
    parsed, said = tried(
        lambda: parse(name, COMMANDS[name], [*start, *(word for pair in pairs for word in pair)])
    )
    assert "\n" not in said
    assert said or parsed.data is not None


@BRIEF
@given(values=VALUES, group=st.sampled_from(["dlp", "frames", "stage1", "seed", "preset", "data"]))
def test_any_config_file(tmp_path: Path, values: Any, group: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({group: values}))
    words = ["--data", "a", "--run", "b", "--config", str(file)]
    parsed, said = tried(lambda: parse("train-dlp", COMMANDS["train-dlp"], words))
    assert "\n" not in said
    assert said or parsed.run == "b"


@BRIEF
@given(content=st.binary(max_size=60))
def test_any_bytes_as_a_config_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    words = ["--data", "a", "--run", "b", "--config", str(file)]
    parsed, said = tried(lambda: parse("train-dlp", COMMANDS["train-dlp"], words))
    assert "\n" not in said
    assert said or parsed.run == "b"
