"""Landmark models side by side: trained for about as long each, and measured alike.

    python -m pipelines.compare_keypoints --out runs/keypoints

For each seed and case (the masked model, its ablations, KeyNet, Zhang et al.): train, then
regress-keypoints. What is done is not done again, so it can be stopped and started anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.marks import fill, place
from pipelines.provenance import commits, in_words
from pipelines.regress_keypoints import chosen
from pipelines.runner import Runner, command
from pipelines.status import status

MASKED, KEYNET, ZHANG = 1700, 2650, 2400
"""Steps of 16 that one idle core, of 145, 241 and 249 images a second, makes in three minutes."""
FREE = ("--dlp.paper.equivariance", "0")
CASES: dict[str, tuple[int, tuple[str, ...]]] = {
    "masked": (MASKED, ()),
    "masked, positions not held to bendings": (MASKED, FREE),
    "... and KL in listed order": (MASKED, (*FREE, "--dlp.paper.kl", "ordered")),
    "... and no KL on positions": (MASKED, (*FREE, "--dlp.paper.kl", "none")),
    "zhang": (ZHANG, ("--dlp.model", "zhang")),
    "keynet": (KEYNET, ("--dlp.model", "keynet")),
}
"""The steps of each case, and what it changes of the preset."""
FIGURES = ("positions", "and variances", "and features", "and both")


def compare(
    out: Path,
    source: str,
    length: Sequence[str],
    seeds: int,
    only: str = "",
    options: Sequence[str] = (),
    run: Runner = command,
    kept: Path | None = None,
) -> str:
    """Do what is missing in OUT, and write OUT/keypoints.md.

    Args:
        out: OUT/CASE/SEED holds each run.
        source: SOURCE, with landmarks.
        length: `--max-steps N` or `--max-minutes M`, of each run; none: each case's own steps.
        seeds: 0 to seeds - 1.
        only: cases whose name holds this text; "": all.
        options: of train-dlp, in every case.
        run: does a command.
        kept: a file that keeps the table between its marks.

    Returns:
        The page.

    Raises:
        UserError: no such case, what OUT holds was made otherwise, or a command fails.
    """
    cases = {name: case for name, case in CASES.items() if only in name}
    if not cases:
        raise UserError(f"--only {only!r}: no such case: one of {'; '.join(CASES)}")
    if kept:
        place(kept)  # what is wrong with it is said now, not after hours
    lengths = {name: [*(length or ("--max-steps", str(n)))] for name, (n, _) in CASES.items()}
    settings = {"data": source, "options": list(options)}
    for name in CASES:
        _refuse_other(_folder(out, name), settings | {"length": lengths[name]})
    text = ""
    for seed in range(seeds):  # all cases once, before any a second time
        for name, (_, words) in cases.items():
            folder = _folder(out, name) / str(seed)
            make_folder(folder)
            where = ("--data", source, "--run", str(folder))
            if not (done := folder / "trained.json").exists():
                learn = ("--resume", "--seed", str(seed), *lengths[name], "--stage1.keep", "20")
                run(("train-dlp", *where, *learn, *words, *options))
                told = settings | {"length": lengths[name]}
                write_whole(done, json.dumps(told).encode())
            if not (folder / "keypoints" / "keypoints.json").exists():
                measured = str(folder / "keypoints")
                run(("regress-keypoints", *where, "--out", measured, "--checkpoints"))
            text = page(gather(out), source, lengths) + _made(out)
            write_whole(out / "keypoints.md", text.encode())
            if kept:
                fill(kept, text)
    return text


def _folder(out: Path, case: str) -> Path:
    return out / case.replace("... ", "also ").replace(", ", "-").replace(" ", "_")


def _refuse_other(folder: Path, settings: dict[str, Any]) -> None:
    """Stop before results of other settings would stand under the heading of these."""
    for path in sorted(folder.glob("*/trained.json")):
        saved = json.loads(path.read_text("utf-8"))
        for name, now in settings.items():
            if (before := saved.get(name, now)) != now:
                raise UserError(
                    f"{path.parent} was trained with {name} {_words(before)}, this is with "
                    f"{_words(now)}: give the same, or choose another --out"
                )


def _words(value: str | list[str]) -> str:
    """As on the command line."""
    return value if isinstance(value, str) else " ".join(value) or "none"


def gather(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Case to what was measured of each seed."""
    found = {}
    for name in CASES:
        files = sorted(_folder(out, name).glob("*/keypoints/keypoints.json"))
        if files:
            found[name] = [json.loads(path.read_text("utf-8")) for path in files]
    return found


def page(found: dict[str, list[dict[str, Any]]], source: str, lengths: dict[str, list[str]]) -> str:
    """The table: mean over seeds and range."""
    lines = [
        f"Landmarks of {source}'s test pictures by linear regression: error over the distance "
        "between the eyes, %, mean over seeds, and the least and the most.",
        "",
        "| case | length | seeds | "
        + " | ".join(FIGURES)
        + " | chosen by uncertainty | by validation |",
        "|---|---:|---:|" + "---:|" * (len(FIGURES) + 2),
    ]
    for name, runs in found.items():
        columns = [[run["by_inputs"][figure] for run in runs] for figure in FIGURES]
        best = [chosen(run["checkpoints"]) for run in runs if run.get("checkpoints")]
        for way in ("mean uncertainty", "validation error"):
            columns.append([row["test_error"] for one in best if (row := one[way]) is not None])
        size = " ".join(lengths[name]).removeprefix("--max-")
        lines.append(f"| {name} | {size} | {len(runs)} | {' | '.join(map(_spread, columns))} |")
    return "\n".join(lines) + "\n"


def _made(out: Path) -> str:
    """What trained and measured it all, as a line."""
    folders = [path for name in CASES for path in sorted(_folder(out, name).glob("*"))]
    made = [dict(run["machine"]) for runs in gather(out).values() for run in runs]
    measured = ", ".join(sorted({str(machine.pop("commit", "unknown")) for machine in made}))
    machines = "; ".join(sorted({in_words(machine) for machine in made}))
    trained = commits(folders, "stage1")
    return f"\nTrained at commit {trained}; measured at {measured}, on {machines}.\n"


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    middle = f"{np.mean(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def main(words: Sequence[str] | None = None) -> int:
    """The command line; the exit status, see `pipelines.status`."""
    parser = argparse.ArgumentParser(prog="compare_keypoints", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="synthetic:faces")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--max-steps", type=int)
    length.add_argument("--max-minutes", type=float)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--page", type=Path, help="keeps the table between its marks")
    given, options = parser.parse_known_args(words)
    size: tuple[str, ...] = ()
    if given.max_steps is not None:
        size = ("--max-steps", str(given.max_steps))
    if given.max_minutes is not None:
        size = ("--max-minutes", str(given.max_minutes))
    where = {"run": command, "kept": given.page}
    plan = (given.out, given.data, size, given.seeds, given.only, options)
    return status("compare_keypoints", lambda: print(compare(*plan, **where)))


if __name__ == "__main__":
    sys.exit(main())
