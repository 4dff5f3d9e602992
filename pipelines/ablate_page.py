"""The table of an ablation as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def row_of(name: str, row: Mapping[str, Any]) -> str:
    """A line of the table: mean over seeds, and the spread from the least to the most."""
    cells = []
    for errors in row["error"].values():
        spread = f" ({min(errors):.2f} to {max(errors):.2f})" if len(errors) > 1 else ""
        cells.append(f"{np.mean(errors):.2f}{spread}")
    return f"| {name} | {' | '.join(cells)} | {np.mean(row['seconds']):.0f} |"


def page(result: Mapping[str, Any]) -> str:
    """The table as Markdown; constant velocity is the same for all rows."""
    first = next(iter(result["rows"].values()))
    coast = " | ".join(f"{x:.2f}" for x in first["constant_velocity"].values())
    meta = result["meta"]
    lines = [
        f"Each row changes one thing. {meta['steps']} steps of training, {meta['seeds']} seeds: "
        "the mean, and from the least to the most. Error of the same particle against its track "
        "in videos never trained on, pixels.",
        "",
        "| | " + " | ".join(f"step {s}" for s in first["error"]) + " | seconds |",
        "|---|" + "---:|" * (len(first["error"]) + 1),
        *(row_of(name, row) for name, row in result["rows"].items()),
        f"| constant velocity of the particles | {coast} | |",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in meta.items()),
        "",
    ]
    return "\n".join(lines)
