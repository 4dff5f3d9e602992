"""The demo: a small synthetic road, watched, learned and forecast, in one go.

particlecast demo
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from data.decode import read_video
from data.errors import UserError
from data.frames import FrameConfig
from pipelines.commands import COMMANDS
from pipelines.film import write_gif
from pipelines.lock import hold_run
from pipelines.parsing import parse

WORLD, SIZE, FRAMES = "traffic", 64, 50
TRAINING_VIDEOS, UNSEEN_VIDEOS = 140, 24
CONTEXT, HORIZON, FORECASTS = 10, 20, 6
OTHER_MINUTES = 1.6
"""What is not training: making videos, forecasts, films."""


def demo(run: Path, max_minutes: float = 9.0) -> None:
    """Make videos, train both stages, forecast unseen videos, measure and film them.

    Leaves in `run`: videos/ and unseen/, forecasts/, films/, demo.gif, report.html, report.md and
    tensorboard/.
    One that was stopped goes on where it was.

    Raises:
        UserError: there is too little time, or the folder is of something else.
    """
    if max_minutes < 2 * OTHER_MINUTES:
        raise UserError(
            f"the demo needs at least {2 * OTHER_MINUTES:g} minutes, found {max_minutes:g}: "
            "raise --max-minutes"
        )
    started = time.monotonic()
    _say(f"the demo takes at most {max_minutes:g} minutes and writes to {run}")
    with hold_run(run):
        _say("1 of 4: videos of a road, to learn from and to forecast")
        videos, unseen = run / "videos", run / "unseen"
        _make(videos, TRAINING_VIDEOS, seed=0)
        _make(unseen, UNSEEN_VIDEOS, seed=1)
        _say("2 of 4: training; frames to particles, then particles to their future")
        minutes = str(round(max_minutes - OTHER_MINUTES, 2))
        preset = ("--preset", f"{WORLD}-world", "--resume", "--max-minutes", minutes)
        _particlecast("train", "--data", videos, "--run", run, *preset)
        lengths = ("--context", CONTEXT, "--horizon", HORIZON)
        _say("3 of 4: forecasts of videos that were never seen")
        where = ("--data", unseen, "--run", run, *lengths)
        _particlecast("rollout", *where, "--out", run / "forecasts", "--limit", FORECASTS)
        _say("4 of 4: measuring them beside the baselines")
        _particlecast("evaluate", *where, "--out", run)
        film = read_video(run / "films" / f"{WORLD}_00000.mp4", FrameConfig())
        write_gif(run / "demo.gif", list(film.frames), film.fps)
    minutes_spent = (time.monotonic() - started) / 60
    _say(f"done in {minutes_spent:.1f} minutes: see {run}/report.html, {run}/films, {run}/demo.gif")
    _say(f"curves and panels: tensorboard --logdir {run}/tensorboard")


def _make(folder: Path, videos: int, seed: int) -> None:
    """Videos in a folder that is whole or absent."""
    if folder.exists():
        return
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    numbers = ("--videos", videos, "--frames", FRAMES, "--size", SIZE, "--seed", seed)
    _particlecast("make-data", WORLD, aside, *numbers)
    aside.rename(folder)


def _particlecast(name: str, *words: object) -> None:
    """Run a command as a person would type it."""
    texts = [str(word) for word in words]
    _say("particlecast " + " ".join([name, *texts]))
    COMMANDS[name].run(parse(name, COMMANDS[name], texts))


def _say(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)
