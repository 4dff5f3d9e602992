"""The evaluation as one page to look at: everything is in the file, films too."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from pipelines.figures import FIGURES, measured
from pipelines.film import gif_bytes, png_bytes, write_whole
from pipelines.report import (
    CALIBRATION,
    calibration_plot,
    calibration_table,
    once,
    plot,
    table,
    worst,
)
from pipelines.report_words import told, trust, verdict
from pipelines.results import EvaluationResult

STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, td.text { text-align: left; }
.wide { overflow-x: auto; } img { max-width: 100%; height: auto; }
.films { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1.5rem; }
.films img { width: 100%; image-rendering: pixelated; border-radius: 4px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
.verdict { padding: .8rem 1rem; background: var(--faint); border-left: 4px solid #e8862e; }
small, .small { font-size: .85rem; opacity: .8; }
"""


@dataclass(frozen=True)
class Example:
    """One video to look at.

    Args:
        word: which it is, such as "worst".
        name: of the video.
        film: [t, H, W, 3] uint8, truth | prediction | particles.
        fps: frames a second.
        steps: of the film that stand in the strip.
        why: what went wrong.
    """

    word: str
    name: str
    film: np.ndarray
    fps: float
    steps: Sequence[int]
    why: str


def write_html(folder: Path, result: EvaluationResult, examples: Sequence[Example]) -> None:
    """Write FOLDER/report.html, whole or not at all; it needs no other file.

    Args:
        folder: there already.
        result: see `EvaluationResult`.
        examples: films that stand at its head.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation: {escape(str(result.meta.get('data', '')))}</title>",
        f"<style>{STYLE}</style></head><body>",
        "<h1>Evaluation</h1>",
        f'<p class="verdict">{escape(verdict(result))}</p>',
        *_examples(examples),
        *_figures(result),
        *_calibration(result),
        "<h2>Particles and reconstruction</h2>",
        *_rows([[name, text] for name, text in once(result).items()]),
        *_markdown(worst(result)),
        "<h2>What was evaluated</h2>",
        *_rows([[str(name), str(value)] for name, value in result.meta.items()]),
        "<details><summary>Settings of the run</summary>",
        *_rows([[name, str(value)] for name, value in result.settings.items()]),
        "</details>",
        "<h2>Conventions</h2><ul class=small>",
        *(f"<li>{escape(title)}: {escape(words)}</li>" for title, words in told(result).items()),
        "</ul></body></html>",
    ]
    write_whole(folder / "report.html", "\n".join(parts).encode(errors="replace"))


def _examples(examples: Sequence[Example]) -> list[str]:
    """Films, and strips of some of their steps."""
    if not examples:
        return []
    lines = ["<h2>Films: truth, prediction, particles</h2>", '<div class="films">']
    for one in examples:
        why = f"<br><small>{escape(one.why)}</small>" if one.why else ""
        film = _picture(gif_bytes(one.film, one.fps), "gif", f"film of {one.name}")
        lines.append(f"<p>{film}<b>{escape(one.word)}</b>: {escape(one.name)}{why}</p>")
    lines += ["</div>", "<h2>Film strips</h2>", '<div class="films">']
    for one in examples:
        strip = np.concatenate([one.film[step] for step in one.steps])
        picture = _picture(png_bytes(strip), "png", f"steps of {one.name}")
        lines.append(f"<p>{picture}<b>{escape(one.word)}</b>: {escape(one.name)}</p>")
    return [*lines, "</div>"]


def _figures(result: EvaluationResult) -> list[str]:
    """Curves, then tables."""
    found = [(figure, scores) for figure in FIGURES if (scores := measured(result, figure))]
    lines = ["<h2>Error against horizon</h2>", '<div class="plots">']
    for figure, scores in found:
        lines.append(_picture(plot(scores, figure, result.seed), "png", figure.title))
    lines += ["</div>", f'<p class="small">{escape(trust(result))}</p>']
    for figure, scores in found:
        lines += [f"<h2>{escape(figure.title)} <small>({escape(figure.unit)})</small></h2>"]
        lines += _markdown(table(scores, figure, result.seed))
    return lines


def _calibration(result: EvaluationResult) -> list[str]:
    """Whether the sampled futures are as spread as they say."""
    picture = calibration_plot(result)
    if picture is None:
        return []
    lines = [f"<h2>{CALIBRATION}</h2>", _picture(picture, "png", CALIBRATION)]
    return [*lines, *_markdown(calibration_table(result))]


def _markdown(lines: Sequence[str]) -> list[str]:
    """The headings and tables of a Markdown page as HTML."""
    found, rows = [], []
    for line in [*lines, ""]:
        if line.startswith("|"):
            cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")]
            if set("".join(cells)) - set("-: "):
                rows.append(cells)
        elif rows:
            found += _rows(rows, head=True)
            rows = []
        if line.startswith("## "):
            found.append(f"<h2>{escape(line[3:])}</h2>")
    return found


def _rows(rows: Sequence[Sequence[str]], head: bool = False) -> list[str]:
    """A table; the cells that are no numbers stand to the left."""
    lines = ['<div class="wide"><table>']
    for index, row in enumerate(rows):
        tag = "th" if head and index == 0 else "td"
        cells = "".join(
            f"<{tag}{'' if _numeric(cell) else ' class=text'}>{escape(cell)}</{tag}>"
            for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    return [*lines, "</table></div>"]


def _numeric(cell: str) -> bool:
    return bool(cell) and (cell[0].isdigit() or cell[0] in "-–+")


def _picture(content: bytes, kind: str, words: str) -> str:
    """An image that is in the page itself."""
    data = b64encode(content).decode()
    return f'<img alt="{escape(words)}" src="data:image/{kind};base64,{data}">'
