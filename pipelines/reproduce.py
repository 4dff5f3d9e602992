"""The project's own results, made anew by one command that can be stopped and goes on.

particlecast results --out runs/results --page docs/results.md

For each world and seed: train stage 1, measure it, train stage 2, measure identity and forecasts.
What is done is not done again. One thing runs at a time: leave the machine alone meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.reproduce_page import page

CONTEXT, SAMPLES = 10, 20
STEPS = {
    "stage1": "evaluate-dlp/stage1.json",
    "tracking": "evaluate-tracking/tracking.json",
    "forecast": "evaluate/report.json",
}
"""What each measurement leaves in a run's folder."""


@dataclass(frozen=True)
class Case:
    """One data set, trained on and measured.

    Args:
        name: of the case, and of its folder.
        source: SOURCE.
        minutes: of stage 1, and of stage 2; 0: no stage 2.
        horizon: steps of the forecasts.
        tracks: whether true tracks are known.
        videos: at most so many for what is measured of stage 1.
        options: of train-dlp.
    """

    name: str
    source: str
    minutes: tuple[float, float]
    horizon: int = 20
    tracks: bool = True
    videos: int = 12
    options: tuple[str, ...] = ()


LARGE = ("--frames.size", "128", "--dlp.patch", "16", "--dlp.glimpse", "32")
CASES = (
    Case("billiards", "synthetic:billiards,size=64", (3, 5)),
    Case("traffic", "synthetic:traffic,size=64", (3, 5), horizon=40),
    Case("clevrer", "synthetic:clevrer,size=64", (3, 5)),
    Case("shapes", "synthetic:shapes,size=64", (5, 0), videos=200),
    Case("traffic-128", "synthetic:traffic,size=128", (12, 0), options=LARGE),
    Case("clevrer-128", "synthetic:clevrer,size=128", (12, 0), options=LARGE),
)
"""The bundled worlds; minutes on two cores."""

Runner = Callable[[Sequence[str]], None]


def reproduce(
    out: Path,
    page_file: Path,
    seeds: int,
    only: str = "",
    video: str = "",
    cases: Sequence[Case] = CASES,
    run: Runner | None = None,
) -> None:
    """Train and measure what is missing in OUT, and write the page of it all.

    Args:
        out: OUT/CASE/SEED holds each run.
        page_file: Markdown; a file of that name is replaced.
        seeds: 0 to seeds - 1.
        only: cases whose name holds this text, or one of several with commas between; "": all.
        video: a file without true tracks, such as vtest.avi, as one more case.
        cases: what there is to do.
        run: does a command; none: as a user would.

    Raises:
        UserError: no such case, or a folder cannot be written.
    """
    if video:
        cases = (*cases, Case(Path(video).stem, video, (6, 6), tracks=False))
    texts = [text.strip() for text in only.split(",") if text.strip()] or [""]
    chosen = [case for case in cases if any(text in case.name for text in texts)]
    if not chosen:
        raise UserError(
            f"--only {only!r}: no such case: one of {', '.join(case.name for case in cases)}"
        )
    make_folder(out)
    for seed in range(seeds):  # all cases once, before any a second time
        for case in chosen:
            complete(case, seed, out / case.name / str(seed), run or command)
            found = {one.name: gather(out / one.name) for one in cases}
            text = page(found, {one.name: one.minutes for one in cases}, commit())
            write_whole(page_file, text.encode())
    print(f"the results are in {page_file}", file=sys.stderr)


def complete(case: Case, seed: int, folder: Path, run: Runner) -> None:
    """Do what is missing of one run."""
    make_folder(folder)
    where = ("--data", case.source, "--run", str(folder))
    learn = ("--seed", str(seed), "--resume", "--max-minutes")
    if not (folder / STEPS["stage1"]).exists():
        run(("train-dlp", *where, *learn, str(case.minutes[0]), *case.options))
        out = str((folder / STEPS["stage1"]).parent)
        run(("evaluate-dlp", *where, "--out", out, "--limit", str(case.videos)))
    if not case.minutes[1]:
        return
    if not (folder / STEPS["forecast"]).exists():
        run(("train-dynamics", *where, *learn, str(case.minutes[1])))
        out = str((folder / STEPS["forecast"]).parent)
        lengths = ("--context", str(CONTEXT), "--horizon", str(case.horizon))
        run(("evaluate", *where, *lengths, "--samples", str(SAMPLES), "--out", out))
    if case.tracks and not (folder / STEPS["tracking"]).exists():
        run(("evaluate-tracking", *where, "--out", str((folder / STEPS["tracking"]).parent)))


def gather(folder: Path) -> dict[str, dict[str, Any]]:
    """Seed to measurement to what its file holds, of what is there."""
    found: dict[str, dict[str, Any]] = {}
    for seed in sorted(folder.glob("[0-9]*"), key=lambda path: path.name.zfill(8)):
        files = {name: seed / file for name, file in STEPS.items()}
        read = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
        if read:
            found[seed.name] = read
    return found


def command(words: Sequence[str]) -> None:
    """Run a command in a process of its own, as a user would; its bars go to stderr.

    Raises:
        UserError: it did not end well.
    """
    print("particlecast " + " ".join(words), file=sys.stderr, flush=True)
    ended = subprocess.run([sys.executable, "-P", "-m", "pipelines.cli", *words])
    if ended.returncode:
        raise UserError(
            f"particlecast {words[0]} ended with status {ended.returncode}: mend that, then run "
            "the same command again; what is done is kept"
        )


def commit() -> str:
    """The commit that is checked out, and whether something was changed since; "" if unknown."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip() if said.returncode == 0 else ""
