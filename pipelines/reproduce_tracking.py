"""Identity in the results: the tracking field's figures, and curves out to where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.evaluate_tracking import CROWDS, HIDDEN, SPEEDS, kept_long
from pipelines.tables import spread, table

Found = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Case to seed to measurement to what its file holds."""


def identity(found: Found) -> list[str]:
    """The tracking field's figures, by what motion the links expect."""
    rows = []
    for case, seeds in found.items():
        runs = [one["tracking"]["linked by"] for one in seeds.values() if "tracking" in one]
        for motion in dict.fromkeys(name for run in runs for name in run):
            linked = [run[motion] for run in runs if motion in run]
            every = [one["videos"]["all"] for one in linked]
            keys = (("idf1", 3), ("mota", 3), ("switches_per_1000", 1))
            cells = [spread([one[key] for one in every], digits) for key, digits in keys]
            rows.append([case, motion, *cells, spread([kept_long(one) for one in linked], 3)])
    head = ["data", "motion expected", "IDF1", "MOTA", "switches per 1,000"]
    return table([*head, "kept through 10 hidden frames"], rows)


def curves(found: Found) -> list[str]:
    """IDF1 over speed and over crowding, and what is kept over the length of an occlusion."""
    lines = []
    for key, title, at in (
        ("idf1_by_speed", "IDF1, so many times as fast", SPEEDS),
        ("idf1_by_crowd", "IDF1, the particles of so many videos laid over one another", CROWDS),
        ("kept_by_hidden", "Kept, hidden for so many frames", HIDDEN),
    ):
        rows = []
        for case, seeds in found.items():
            runs = [one["tracking"]["linked by"] for one in seeds.values() if "tracking" in one]
            for motion in dict.fromkeys(name for run in runs for name in run):
                curve = [run[motion][key] for run in runs if key in run.get(motion, {})]
                if curve:
                    columns = zip(*curve, strict=True)
                    rows.append([case, motion, *(spread(column, 3) for column in columns)])
        lines += [f"{title}:", "", *table(["data", "motion expected", *map(str, at)], rows), ""]
    return lines[:-1]
