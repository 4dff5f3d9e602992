"""Tables in Markdown: cells, spreads, rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spread(values: Sequence[float | None], digits: int) -> str:
    """Mean, and the range if there is any."""
    known = [value for value in values if value is not None and not np.isnan(value)]
    if not known:
        return "–"
    middle, least, most = (f"{x:.{digits}f}" for x in (np.mean(known), min(known), max(known)))
    return middle if least == most else f"{middle} ({least} to {most})"


def cell(value: float | None, digits: int) -> str:
    """One number; a dash where there is none."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    if not rows:
        return ["Nothing yet."]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
