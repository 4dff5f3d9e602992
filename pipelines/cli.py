"""The command line: `particlecast COMMAND --help` tells what each command takes.

Settings come from the dataclasses' defaults, then the preset, then --config FILE, then the
options; the later one wins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from data.errors import UserError
from pipelines.allocator import keep_memory
from pipelines.commands import COMMANDS
from pipelines.full_disk import telling_of_full_disks
from pipelines.parsing import parse
from pipelines.signals import stopping
from pipelines.status import status
from pipelines.together import together

# OpenMP's threads spin while they wait, by default for so long that one other busy program makes
# training ten times slower. Read when torch is imported, which is later than this line.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
keep_memory()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status, see `pipelines.status`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return status("particlecast", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    """0, or 2 if there are no words."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"particlecast {version('particlecast')}")
        return 0
    if words[0] not in COMMANDS:
        raise UserError(f"no command {words[0]!r}: choose from {', '.join(COMMANDS)}")
    with stopping(), together(), telling_of_full_disks():
        COMMANDS[words[0]].run(parse(words[0], COMMANDS[words[0]], words[1:]))
    return 0


def _overview() -> str:
    """The help of the whole."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: particlecast COMMAND [OPTIONS]",
            "",
            "A video goes in, its predicted future comes out.",
            "",
            *lines,
            "",
            "particlecast COMMAND --help tells the options of each.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
