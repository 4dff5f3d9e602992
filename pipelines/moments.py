"""A forecast step by step, as it comes, and the tracks that lead up to a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.forecast import Forecast


@dataclass(frozen=True)
class Moment:
    """One step of a film.

    Args:
        frame: [h, w, 3] uint8, the prediction.
        position: [k, 2] (x, y) in pixels.
        transparency: [k] in [0, 1].
        identity: [k] int64, the particle in each row; -1: none.
    """

    frame: np.ndarray
    position: np.ndarray
    transparency: np.ndarray
    identity: np.ndarray


def moments(parts: Iterable[Forecast]) -> Iterator[Moment]:
    """The steps of a forecast that comes in parts; no part is asked for before its first step."""
    for part in parts:
        steps = zip(part.frames, part.position, part.transparency, part.identity, strict=True)
        for step in steps:
            yield Moment(*step)


class Trails:
    """Where the particles were lately, one step after another.

    Args:
        tail: steps that are remembered.
    """

    def __init__(self, tail: int) -> None:
        self._past: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=tail + 1)

    def follow(self, now: Moment) -> np.ndarray:
        """The latest positions [at most tail + 1, k, 2], with those of `now` as the last.

        NaN where a row held another particle than now: a reused row does not join two tracks.
        """
        self._past.append((now.position, now.identity))
        return np.stack(
            [
                np.where((identity == now.identity)[:, None], position, np.nan)
                for position, identity in self._past
            ]
        )
