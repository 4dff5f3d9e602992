"""The card of a pretrained run: what it was trained on, how, how good it is, where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STEPS = (1, 5, 10, 20)
STAGE1 = (
    ("coverage", "true objects with a particle", "{:.3f}"),
    ("precision", "particles on a true object", "{:.3f}"),
    ("live_per_object", "live particles an object", "{:.2f}"),
    ("position_error", "error of a position, px", "{:.2f}"),
    ("psnr", "reconstruction, dB", "{:.1f}"),
)
LIMITS = {
    "billiards": "Elastic balls on one table. Collisions are foreseen for some ten steps; after "
    "that the balls still move like balls, but elsewhere than the true ones.",
    "traffic": "One made street under one light. Vehicles longer than a glimpse may hold two "
    "particles; one that brakes for no reason in view is not foreseen.",
    "clevrer": "Solids that slide and collide on one ground. A thing is seldom missed, mostly one "
    "close to another.",
}
"""What each world's run can't do, beside what all can't."""


def card(name: str, one: Mapping[str, Mapping[str, Any]], commands: Sequence[str]) -> str:
    """Markdown.

    Args:
        name: of the world.
        one: measurement to what its file holds, as `gather` gives it.
        commands: that made the run.
    """
    figures, report = one["stage1"]["figures"], one["forecast"]
    meta = report["meta"]
    lines = [
        f"# pretrained/{name}",
        "",
        f"Both stages, trained on `{meta['data']}` ({meta['frame size']} pixels) and measured on "
        f"its test videos, which were not trained on: the forecasts on all {meta['windows']}, "
        f"stage 1 on the first {one['stage1']['meta']['videos']}. {_made(one)} anew by:",
        "",
        *(f"    {command}" for command in commands),
        "",
        *_minutes(one),
        "| stage 1 | |",
        "|---|---:|",
        *(f"| {title} | {text.format(figures[key]['value'])} |" for key, title, text in STAGE1),
        "",
        f"| forecast, {meta['context']} frames seen | {' | '.join(f'step {s}' for s in STEPS)} |",
        "|---|" + "---:|" * len(STEPS),
    ]
    for key, title in (("position_error", "error of the same particle, px"), ("psnr", "PSNR, dB")):
        for method in ("model", "copy-last"):
            curve = report["per_step"][key]["methods"][method]["per_step"]["mean"]
            cells = " | ".join(f"{curve[step - 1]:.2f}" for step in STEPS)
            lines.append(f"| {title}: {method} | {cells} |")
    lines += [
        "",
        f"Limits: {LIMITS.get(name, '')} It knows this camera and this kind of thing alone: for "
        "your own video, train on it.",
        "",
    ]
    return "\n".join(lines)


def _made(one: Mapping[str, Mapping[str, Any]]) -> str:
    """At which commit its stages were trained, if that is known."""
    commits = [one[name].get("commit") for name in ("trained1", "trained2") if name in one]
    told = " and ".join(dict.fromkeys(str(name) for name in commits if name))
    return f"Made at commit {told};" if told else "Made"


def _minutes(one: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How long its stages were trained, if that is known."""
    found = [one.get(name, {}).get("minutes") for name in ("trained1", "trained2")]
    if None in found:
        return []
    return [f"That took {found[0]} and {found[1]} minutes.", ""]
