"""The results in short, kept between two marks of a Markdown file such as the README."""

from __future__ import annotations

from pipelines.reproduce_page import AT, STAGE1, TRAINED, length, long, sampled, steps_of
from pipelines.reproduce_tracking import Found, identity
from pipelines.tables import spread, table

SHORT = ("coverage", "precision", "live_per_object", "position_error", "jitter", "psnr")
"""Of stage 1's figures."""
ERRORS = {
    "model": "**forecast**",
    "own constant velocity": "its own constant velocity",
    "true constant velocity": "constant velocity of the true tracks",
}
PIXELS = {
    "model": "**forecast**",
    "copy-last": "last frame copied",
    "own constant velocity": "its own constant velocity",
    "optical flow": "optical flow",
}


def summary(found: Found) -> str:
    """Means over the seeds, from the least to the most where there are several, as Markdown."""
    told = [row for row in STAGE1 if row[0] in SHORT]
    first: list[list[str]] = []
    errors: list[list[str]] = []
    pixels: list[list[str]] = []
    for case, seeds in found.items():
        runs = list(seeds.values())
        there = [one["stage1"]["figures"] for one in runs if "stage1" in one]
        if there:
            cells = [
                spread([one[key]["value"] for one in there if key in one], digits)
                for key, _, digits in told
            ]
            first.append([case, length(runs, TRAINED[:1]), str(len(there)), *cells])
        reports = [one["forecast"]["per_step"] for one in runs if "forecast" in one]
        for rows, key, methods in (
            (errors, "position_error", ERRORS),
            (pixels, "psnr_moving", PIXELS),
        ):
            known = [one[key]["methods"] for one in reports if key in one]
            for name, title in methods.items():
                if known and all(name in one for one in known):
                    rows.append([case, title, *steps_of(known, name, 2)])
    steps, heads = [f"step {step}" for step in AT], [head for _, head, _ in told]
    parts = [
        ("**Stage 1: frames to particles.**", table(["", "steps", "seeds", *heads], first)),
        ("**Error of the same particle**, pixels.", table(["", "", *steps], errors)),
        ("**PSNR on moving pixels**, dB.", table(["", "", *steps], pixels)),
        ("**Sampled futures**, 20 of each.", sampled(found)),
        ("**Identity.**", identity(found)),
        ("**A thousand steps**, and what is left of the squared speed.", long(found)),
    ]
    return "\n".join(line for title, lines in parts for line in (title, "", *lines, ""))
