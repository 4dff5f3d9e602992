"""What depends on how far a run has come: its end, its learning rate, its random numbers."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np

from pipelines.config import EngineConfig


@dataclass
class Budget:
    """A run's length, in steps or in minutes, counted over all its resumptions.

    Args:
        max_steps: optimiser steps, or None.
        max_minutes: minutes of training, evaluation and saving, or None.
        before: seconds spent before this process.

    Raises:
        ValueError: not exactly one limit, or one that is not positive.
    """

    max_steps: int | None
    max_minutes: float | None
    before: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.max_minutes is None):
            raise ValueError("a run takes max_steps or max_minutes, one of the two: give one")
        limit = self.max_minutes if self.max_steps is None else self.max_steps
        if limit is None or not 0 < limit < math.inf:
            raise ValueError(f"a run's length must be above 0, found {limit}: give more")

    def elapsed(self) -> float:
        """Seconds spent, those before this process included."""
        return self.before + time.monotonic() - self._started

    def progress(self, step: int, elapsed: float) -> float:
        """The share that is done, in [0, 1]: by steps if they are the limit, or by seconds."""
        if self.max_steps is not None:
            return min(1.0, step / self.max_steps)
        assert self.max_minutes is not None  # __post_init__ saw to it
        return min(1.0, elapsed / (60 * self.max_minutes))


def rate_share(config: EngineConfig, step: int, progress: float) -> float:
    """The learning rate over its peak: linear warm-up in steps, cosine decay over the run."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    decay = config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2
    return warm * decay


def step_seeds(seed: int, step: int, shard: int) -> tuple[int, int]:
    """Seeds for one draw: of the data, and of torch's global random numbers.

    They depend on nothing but (seed, step, shard): a resumed run needs no random state, and two
    processes draw what one process draws with twice as many draws a step.
    """
    words = np.random.SeedSequence([seed, step, shard]).generate_state(2, np.uint64)
    return int(words[0] >> np.uint64(1)), int(words[1] >> np.uint64(1))
