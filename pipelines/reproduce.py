"""The project's own results, made anew by one command that can be stopped and goes on.

particlecast results --out runs/results --page docs/results.md

For each world and seed: train stage 1, measure it, train stage 2, measure identity and forecasts.
What is done is not done again. Runs are so many steps long, not minutes, and of one thread: what
else the machine does meanwhile, and how many cores it has, change no figure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from pipelines import provenance
from pipelines.checkpoint import checkpoint_root, find_checkpoint, list_checkpoints
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.marks import fill, place
from pipelines.pretrained import keep
from pipelines.reproduce_card import card
from pipelines.reproduce_page import MORE, page
from pipelines.reproduce_summary import summary
from pipelines.runner import Runner, command

CONTEXT, SAMPLES, LONG_VIDEOS = 10, 20, 8
MEASURED = {
    "stage1": "evaluate-dlp/stage1.json",
    "tracking": "evaluate-tracking/tracking.json",
    "forecast": "evaluate/report.json",
    "long": "evaluate-long/long.json",
}
"""What each measurement leaves in a run's folder."""


@dataclass(frozen=True)
class Case:
    """One data set, trained on and measured.

    Args:
        name: of the case, and of its folder.
        source: SOURCE.
        steps: of stage 1, and of stage 2; 0: no stage 2.
        horizon: steps of the forecasts.
        tracks: whether true tracks are known.
        videos: at most so many for what is measured of stage 1.
        options: of train-dlp, beside the preset's.
        more: numbers of things, beyond those of training, in scenes that are forecast too.
    """

    name: str
    source: str
    steps: tuple[int, int]
    horizon: int = 20
    tracks: bool = True
    videos: int = 12
    options: tuple[str, ...] = ()
    more: tuple[int, ...] = ()


LARGE = ("--frames.size", "128", "--dlp.patch", "16", "--dlp.glimpse", "32")
CASES = (
    Case("billiards", "synthetic:billiards,size=64", (2700, 2000), more=(12, 18)),
    Case("traffic", "synthetic:traffic,size=64", (2700, 2000), horizon=40),
    Case("clevrer", "synthetic:clevrer,size=64", (2700, 2000)),
    Case("shapes", "synthetic:shapes,size=64", (3300, 0), videos=200),
    Case("marbles", "synthetic:marbles,size=64", (2700, 0)),
    Case("traffic-128", "synthetic:traffic,size=128", (2500, 0), options=LARGE),
    Case(
        "clevrer-128",
        "synthetic:clevrer,size=128",
        (2500, 0),
        options=(*LARGE, "--dlp.centre", "400"),
    ),
)
"""The bundled worlds, and the steps that two idle cores do in 3 minutes of stage 1, of 16 images
each at 280 images a second (shapes at most 5, at 128 pixels 12), and in 5 minutes of stage 2."""

PRETRAINED = ("billiards", "traffic", "clevrer")
"""Cases whose first run comes with the package."""


def reproduce(
    out: Path,
    page_file: Path,
    seeds: int,
    only: str = "",
    video: str = "",
    cases: Sequence[Case] = CASES,
    run: Runner | None = None,
    pretrained: Path | None = None,
    readme: Path | None = None,
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
        pretrained: where seed 0's runs of PRETRAINED are kept, and their cards.
        readme: a file that keeps the results in short between its marks.

    Raises:
        UserError: no such case, or a folder cannot be written.
    """
    texts = [text.strip() for text in only.split(",") if text.strip()] or [""]
    chosen = [case for case in cases if any(text in case.name for text in texts)]
    if not chosen:
        raise UserError(
            f"--only {only!r}: no such case: one of {', '.join(case.name for case in cases)}"
        )
    if video:
        if not Path(video).is_file():  # said now, not after hours
            raise UserError(f"--video {video}: no such file: mend the path, or leave it out")
        own = Case(f"video-{Path(video).stem}", video, (2000, 1400), tracks=False)
        chosen.append(own)
    make_folder(out)
    make_folder(page_file.parent)
    if readme:
        place(readme)  # what is wrong with it is said now, not after hours
    made_by = provenance.commit()
    for seed in range(seeds):  # all cases once, before any a second time
        for case in chosen:
            complete(case, seed, out / case.name / str(seed), run or command, made_by)
            if pretrained and case.name in PRETRAINED and seed == 0:
                made = [
                    f"particlecast {' '.join(one)}"
                    for one in training(case, 0, f"runs/{case.name}")
                ]
                text = card(case.name, gather(out / case.name)["0"], made)
                keep(out / case.name / "0", pretrained / case.name, text)
            names = [one.name for one in cases]
            names += sorted(path.name for path in out.glob("video-*"))
            found = {name: gather(out / name) for name in names}
            write_whole(page_file, page(found).encode())
            if readme:
                fill(readme, summary(found))
    print(f"the results are in {page_file}", file=sys.stderr)


def complete(case: Case, seed: int, folder: Path, run: Runner, made_by: str = "") -> None:
    """Do what is missing of one run; a file tells that a stage is trained, and what made it."""
    make_folder(folder)
    for number, words in enumerate(training(case, seed, str(folder)), 1):
        steps = case.steps[number - 1]
        if not (done := folder / f"stage{number}.json").exists():
            run((*words, "--resume"))
            told = {"steps": steps, "commit": made_by, **_known(folder, f"stage{number}")}
            write_whole(done, json.dumps(told).encode())
        for name, words in measurements(case, number).items():
            if not (file := folder / left_by(name)).exists():
                things = f",objects={name.removeprefix(MORE)}" if name.startswith(MORE) else ""
                where = ("--data", case.source + things, "--run", str(folder))
                run((words[0], *where, *words[1:], "--out", str(file.parent)))


def _known(folder: Path, stage: str) -> dict[str, object]:
    """The minutes that a stage was trained, if its checkpoint is there."""
    if not list_checkpoints(checkpoint_root(folder, stage)):
        return {}
    found = provenance.training(find_checkpoint(folder, stage))
    return {"minutes": found["minutes"]} if "minutes" in found else {}


def training(case: Case, seed: int, folder: str) -> list[tuple[str, ...]]:
    """The commands that train a run, stage by stage."""
    where = ("--data", case.source, "--run", folder, "--seed", str(seed))
    first, second = case.steps
    commands = [("train-dlp", *where, "--max-steps", str(first), *case.options)]
    if second:
        commands.append(("train-dynamics", *where, "--max-steps", str(second)))
    return commands


def measurements(case: Case, stage: int) -> dict[str, tuple[str, ...]]:
    """What is measured when a stage is trained: the command of each, and its own options."""
    if stage == 1:
        return {"stage1": ("evaluate-dlp", "--limit", str(case.videos))}
    lengths = ("--context", str(CONTEXT), "--horizon", str(case.horizon))
    found: dict[str, tuple[str, ...]] = {
        "forecast": ("evaluate", *lengths, "--samples", str(SAMPLES))
    }
    found["long"] = ("evaluate-long", "--limit", str(LONG_VIDEOS))
    if case.tracks:
        found["tracking"] = ("evaluate-tracking",)
    for number in case.more:
        words = ("evaluate", *lengths, "--particles", "24", "--limit", "10")
        found[f"{MORE}{number}"] = words
    return found


def left_by(name: str) -> str:
    """The file of a measurement, in its run's folder."""
    if name.startswith(MORE):
        return f"evaluate-{name.replace(' ', '-')}/report.json"
    return MEASURED[name]


def gather(folder: Path) -> dict[str, dict[str, Any]]:
    """Seed to measurement, or trained stage, to what its file holds, of what is there.

    Raises:
        UserError: a file is damaged.
    """
    found: dict[str, dict[str, Any]] = {}
    seeds = [path for path in folder.glob("*") if path.name.isdigit()]
    for seed in sorted(seeds, key=lambda path: int(path.name)):
        more = (f"{MORE}{number}" for case in CASES for number in case.more)
        files = {name: seed / left_by(name) for name in (*MEASURED, *dict.fromkeys(more))}
        files |= {f"trained{n}": seed / f"stage{n}.json" for n in (1, 2)}
        read = {name: _read(path) for name, path in files.items() if path.exists()}
        if read.keys() & MEASURED.keys():
            found[seed.name] = read
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged: {error}: remove it, it is made anew") from error
