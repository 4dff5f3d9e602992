"""A command's options to checked values: presets, config files, one-line errors."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from data.errors import UserError
from data.frames import LARGEST_SIDE
from pipelines.config import choose_preset, load_preset

MINUTES = 10.0  # of training, unless a limit is given
LEAST = {
    "context": 1,
    "horizon": 1,
    "limit": 0,
    "particles": 0,
    "start": 0,
    "videos": 1,
    "frames": 1,
    "size": 8,
    "seed": 0,
    "seeds": 1,
    "samples": 0,
    "max_steps": 1,
    "train_images": 0,
}

MOST = {"size": LARGEST_SIDE, "seed": 2**32 - 1}
"""Larger ones are refused before memory or a generator of random numbers gives out."""


@dataclass(frozen=True)
class Command:
    """One word of the command line.

    Args:
        summary: its line in the help.
        options: adds its options to a parser.
        run: does it, from what was parsed.
    """

    summary: str
    options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], None]


def parse(name: str, command: Command, words: Sequence[str]) -> Namespace:
    """The values of a command's options, config groups as dataclasses.

    Args:
        name: the command's word.
        command: what it takes.
        words: what the user wrote after it.

    Raises:
        UserError: a mistake in them.
        SystemExit: after --help and --print_config.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog=f"particlecast {name}",
        description=command.summary.capitalize() + ".",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", action="config", help="YAML file of settings; options overrule it."
    )
    command.options(parser)
    try:
        _apply_preset(parser, words)
        parsed = parser.parse_args(list(words))
        _check_numbers(parsed)
        return parser.instantiate(parsed)
    except (argparse.ArgumentError, ValueError, TypeError) as error:
        hint = f"see particlecast {name} --help"
        raise UserError(f"{_readable(str(error))} ({hint})") from error


def _apply_preset(parser: ArgumentParser, words: Sequence[str]) -> None:
    """Make the preset's values the defaults, those of groups that the command knows."""
    known = {action.dest for action in parser._actions}
    if "preset" not in known:
        return
    preset, source = _peek(words)
    for group, values in load_preset(choose_preset(preset, source)).items():
        if group in known:
            parser.set_defaults({f"{group}.{field}": value for field, value in values.items()})


def _peek(words: Sequence[str]) -> tuple[str, str]:
    """--preset and --data, which decide the defaults and so are read before all else."""
    scout = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--config", "--preset", "--data"):
        scout.add_argument(name)
    found = vars(scout.parse_known_args(list(words))[0])
    written: Any = None
    if found["config"]:
        try:
            with open(found["config"], encoding="utf-8") as file:
                written = yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError):
            written = None  # the parser itself tells what is wrong with the file
    if not isinstance(written, dict):
        written = {}
    preset = found["preset"] or written.get("preset") or "auto"
    return str(preset), str(found["data"] or written.get("data") or "")


def _check_numbers(parsed: Namespace) -> None:
    """The rules of the options that belong to no config dataclass."""
    for name, least in LEAST.items():
        value, most = parsed.get(name), MOST.get(name, math.inf)
        if isinstance(value, int) and value < least:
            raise UserError(f"--{name.replace('_', '-')} must be at least {least}, found {value}")
        if isinstance(value, int) and value > most:
            raise UserError(f"--{name.replace('_', '-')} must be at most {most}, found {value}")
    for name in ("run", "out"):
        if parsed.get(name) == "":
            raise UserError(f"--{name} is empty: say which")
    minutes = parsed.get("max_minutes")
    if minutes is not None and not 0 < minutes < math.inf:
        raise UserError(f"--max-minutes must be above 0, found {minutes}")
    if minutes is not None and parsed.get("max_steps") is not None:
        raise UserError("--max-minutes and --max-steps exclude each other: give one of them")
    if "max_minutes" in parsed and minutes is None and parsed.get("max_steps") is None:
        parsed["max_minutes"] = MINUTES


def _readable(text: str) -> str:
    """The parser's words as one line that names the option as the user wrote it."""
    text = " ".join(text.split()).replace("a <class 'int'>", "an <class 'int'>")
    text = (
        re.sub(r"<class '(\w+)'>", r"\1", text).replace("NoneType", "null").replace("typing.", "")
    )
    union = r"(.*)Does not validate.*Subtypes: \[(.*?)\] Errors: .*(Given value: .*)"
    if many := re.match(union, text):
        text = f"{many[1]}Expected one of: {many[2]}. {many[3]}"
    return re.sub(r'^Parser key "([\w.]+)": ?', lambda key: f"--{_dashed(key[1])}: ", text)


def _dashed(key: str) -> str:
    """An option's spelling; the fields of groups keep their underscores."""
    return key if "." in key else key.replace("_", "-")
