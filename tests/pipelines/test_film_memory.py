"""How much of a long forecast the films of it hold."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.videos import Video
from pipelines.forecast import Forecast
from pipelines.rollout import save_films

SIDE, STEPS = 16, 2


def parts(count: int, alive: list[weakref.ref[Forecast]], most: list[int]) -> Iterator[Forecast]:
    """Parts of a forecast; how many of the earlier ones are still held when the next is made."""
    for _ in range(count):
        gc.collect()
        most.append(sum(one() is not None for one in alive))
        part = Forecast(
            np.zeros((STEPS, SIDE, SIDE, 3), np.uint8),
            np.zeros((STEPS, 1, 2)),
            np.ones((STEPS, 1)),
            np.zeros((STEPS, 1, 3)),
            np.zeros((STEPS, 1), np.int64),
        )
        alive.append(weakref.ref(part))
        yield part


def test_the_film_of_a_forecast_holds_a_part_at_a_time(tmp_path: Path) -> None:
    frames = np.zeros((4, SIDE, SIDE, 3), np.uint8)
    (seen,) = parts(1, [], [])
    most: list[int] = []
    save_films(tmp_path, Video("one", frames, 10.0), frames, seen, parts(80, [], most), None)
    assert len(most) == 80
    assert max(most) <= 2
    assert (tmp_path / "one_compare.mp4").exists()
