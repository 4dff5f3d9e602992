"""Speed and memory: stage 1 beside the same model with full canvases, and stage 2.

particlecast bench --out benchmarks

Each configuration is measured in a process of its own, so that one's memory is not another's.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from dlp.config import MODELS, OBJECTS
from pipelines.folders import make_folder
from pipelines.marks import BEGIN, END, place
from pipelines.progress import reporting

SIZES, PARTICLES, BATCHES = (64, 128), (10, 15, 30, 60), (8, 32)
PIXELS = (32, 64, 96, 128, 192)
"""Sides of the frames over which the growth with the pixels is fitted, at the least K and batch."""

LANDMARKS = tuple(name for name in MODELS if name not in OBJECTS)
"""The models of scenes that are not made of objects."""

FRAME = f"""# Speed and memory

Made by `particlecast bench` (`make bench`; about ten minutes on two idle cores).

{BEGIN}
{END}
"""
"""A new README.md."""

QUICK_SECONDS = 0.1
NAIVE_CHANNELS = 64
"""Planes of the frame's size that full canvases keep for each particle in a training step: about
that many times K * batch * H * W floats were measured, at 64 and 128 pixels."""


@dataclass(frozen=True)
class Case:
    """One configuration; patch and glimpse are an eighth and a quarter of the frame, as published.

    Args:
        size: side of the frames in pixels, a multiple of 32.
        particles: K.
        batch: frames at a time.
    """

    size: int
    particles: int
    batch: int

    @property
    def patch(self) -> int:
        """Side of a patch: the largest that is allowed and at most an eighth of the frame."""
        return max(side for side in (4, 8, 16, 32) if side <= self.size // 8)

    @property
    def glimpse(self) -> int:
        """Side of a glimpse."""
        return self.size // 4

    @property
    def proposals(self) -> int:
        """n_prior."""
        return max(20, 2 * self.particles)

    @property
    def naive_bytes(self) -> int:
        """About what a training step with full canvases needs."""
        return 4 * NAIVE_CHANNELS * self.particles * self.batch * self.size**2


def bench(out: Path, seconds: float = 1.0, quick: bool = False) -> None:
    """Measure, and write bench.json, growth.png and the generated part of README.md to `out`.

    Args:
        out: made if it is not there; what was written by hand in its README.md stays.
        seconds: for each measurement of each way; a slow step is taken three times all the same.
        quick: one small configuration, a moment each, without the curves: does it work?

    Raises:
        UserError: there is no time, or the folder or its README.md is unfit.
    """
    if not 0 < seconds < math.inf:
        raise UserError(f"--seconds must be above 0, found {seconds:g}: give about 1")
    if quick:
        seconds = min(seconds, QUICK_SECONDS)
    make_folder(out)
    place(out / "README.md", FRAME)  # a page that cannot be kept is told before, not after
    with reporting() as progress:
        results = measure(seconds, quick, progress)

    from pipelines.bench_page import write_results

    write_results(out, results)


def measure(seconds: float, quick: bool, progress: Callable[[str, float], None]) -> dict[str, Any]:
    """All results, as bench.json holds them.

    Args:
        seconds: for each measurement of each way.
        quick: the smallest configuration alone.
        progress: told what is being done, and the share that is.
    """
    sizes, counts, batches = (
        (SIZES[:1], PARTICLES[:1], BATCHES[:1]) if quick else (SIZES, PARTICLES, BATCHES)
    )
    table = [Case(size, k, batch) for size in sizes for batch in batches for k in counts]
    sides = [] if quick else [Case(size, counts[0], batches[0]) for size in PIXELS]
    typical = [Case(size, counts[0], batches[-1]) for size in sizes]
    others = [case for case in sides if case not in table]
    done, total = 0, 2 + len(LANDMARKS) + 3 * len(table) + len(others) + len(typical)

    def run(task: str, case: Case | None = None, **options: Any) -> dict[str, Any]:
        nonlocal done
        words = f"{case.size} pixels, K {case.particles}, batch {case.batch}" if case else ""
        progress(f"{task} {words}".strip(), done / total)
        done += 1
        return child(task, case=case and asdict(case), seconds=seconds, **options)

    machine, dynamics = run("machine"), run("dynamics")
    landmarks = [{"model": name, **run("landmarks", model=name)} for name in LANDMARKS]
    rows = {}
    for case in [*table, *others]:
        naive = case.naive_bytes < free_bytes()
        row = {**asdict(case), "patch": case.patch, "glimpse": case.glimpse}
        row |= {"proposals": case.proposals, **run("speed", case, naive=naive)}
        if case in table:
            row["memory"] = {"fast": run("memory", case, naive=False)}
            if naive:
                row["memory"]["naive"] = run("memory", case, naive=True)
        if not naive:
            row["not_run"] = f"not run: needs {case.naive_bytes / 1e9:.0f} GB"
        rows[case] = row
    return {
        "machine": machine,
        "seconds": seconds,
        "quick": quick,
        "cases": [rows[case] for case in table],
        "pixels": [rows[case] for case in sides],
        "dynamics": dynamics,
        "landmarks": landmarks,
        "cost": [{**asdict(case), **run("cost", case)} for case in typical],
    }


def child(task: str, **options: Any) -> dict[str, Any]:
    """A task of `bench_measure` in a new process: what it found."""
    words = ["-P", "-m", "pipelines.bench_measure", json.dumps({"task": task, **options})]
    # -P and the path: a folder ./data where the user stands must not pass for ours.
    where = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.getenv("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": where},
        capture_output=True,
        text=True,
    )
    if ended.returncode == -9:
        raise UserError(f"bench: {options['case']}: out of memory: end other programs")
    if ended.returncode:
        raise RuntimeError(f"{task} {options} ended with {ended.returncode}:\n{ended.stderr}")
    return json.loads(ended.stdout)


def free_bytes() -> int:
    """Memory that new processes can have, or all that the machine has if it does not say."""
    known = linux_bytes("/proc/meminfo", "MemAvailable")
    return known or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def linux_bytes(file: str, name: str) -> int | None:
    """A figure of one of Linux's tables such as "VmHWM:  1234 kB"; None on other systems."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith(f"{name}:")), None)
