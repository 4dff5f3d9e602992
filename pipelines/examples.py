"""The videos of an evaluation that a person should see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.videos import Video
from data.write import write_mp4
from dynamics.model import GraphDynamics
from pipelines.film import film_frames
from pipelines.forecast import observe, predict, reconstruct
from pipelines.load import TrainedDLP
from pipelines.report import WORST, ranking
from pipelines.report_html import Example
from pipelines.results import EvaluationResult
from pipelines.troubles import why

PANEL = 128
"""Least height of a panel of these films, pixels."""
STEPS = (1, 5, 10, 20)


def extremes(order: Sequence[int]) -> dict[int, str]:
    """The best, the median and the worst of videos that are in order, each once."""
    if not order:
        return {}
    words: dict[int, str] = {}
    for place, word in ((0, "best"), (len(order) - 1, "worst"), (len(order) // 2, "median")):
        words.setdefault(order[place], word)
    return words


def examples(
    dlp: TrainedDLP,
    dynamics: GraphDynamics,
    windows: Sequence[Video],
    result: EvaluationResult,
    context: int,
    horizon: int,
    folder: Path,
) -> list[Example]:
    """The films of the best, the worst and the median video; FOLDER gets NAME.mp4 of these and of
    all that the report names as the worst.

    Args:
        windows: of context + horizon frames each, in the order of `result`.
    """
    found = []
    order = ranking(result) or [*range(len(windows))]
    words = extremes(order)
    for index in dict.fromkeys([*words, *order[::-1][:WORST]]):
        video = windows[index]
        observed = observe(dlp.model, dynamics, np.ascontiguousarray(video.frames[:context]))
        parts = [part[0] for part in predict(dlp.model, dynamics, observed.state, horizon)]
        seen = reconstruct(dlp.model, observed)
        write_mp4(
            folder / f"{video.name}.mp4",
            film_frames(video.frames, seen, parts, objects=video.truth),
            video.fps,
        )
        if (word := words.get(index)) is None:
            continue
        film = np.stack(
            list(film_frames(video.frames, seen, parts, panel_height=PANEL, objects=video.truth))
        )
        steps = [context - 1, *(context - 1 + step for step in STEPS if step <= horizon)]
        found.append(Example(word, video.name, film, video.fps, steps, why(result, index)))
    return found
