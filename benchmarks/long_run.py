"""Does training keep its memory flat? Trains stage 2 and writes its resident memory against time.

    python benchmarks/long_run.py --data SOURCE --run DIR --minutes 60

DIR holds a trained stage 1 and no stage 2. Leaves DIR/memory.csv (seconds, MB, step of the last
checkpoint) and prints the slope of a straight line through the second half, in MB an hour.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

EVERY = 5.0  # seconds


def resident(pid: int) -> float:
    """The memory that a process has now, MB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> int:
    """Train and watch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    words = ["train-dynamics", "--data", given.data, "--run", given.run]
    words += ["--max-minutes", str(given.minutes)]
    rows: list[tuple[float, float, int]] = []
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words]) as process:
        while process.poll() is None:
            found = sorted(Path(given.run).glob("stage2/checkpoints/step_*[0-9]"))
            step = int(found[-1].name[5:]) if found else 0
            rows.append((time.monotonic() - began, resident(process.pid), step))
            time.sleep(EVERY)
    with (Path(given.run) / "memory.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("seconds", "MB", "step"), *rows])
    seconds, megabytes, _ = np.array(rows[:-1]).T
    late = seconds > seconds[-1] / 2
    slope = np.polyfit(seconds[late] / 3600, megabytes[late], 1)[0]
    print(
        f"{megabytes[late].mean():.0f} MB in the second half, least {megabytes[late].min():.0f}, "
        f"most {megabytes[late].max():.0f}, slope {slope:+.1f} MB an hour"
    )
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
