"""The one progress bar of a training run, and its speed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from tqdm import tqdm

from pipelines.schedule import Budget

FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"


class Bar:
    """Says what a run is doing and how long it will take, over its steps or its seconds.

    Args:
        name: the stage.
        budget: the run's length.
        step: steps made already.
        show: False for silence.
    """

    def __init__(self, name: str, budget: Budget, step: int, show: bool) -> None:
        self.name = name.replace("stage", "stage ")
        self.by_steps = budget.max_steps is not None
        self.total = budget.max_steps or 60 * (budget.max_minutes or 0)
        self.first, self.show = (step if self.by_steps else budget.before), show

    def __enter__(self) -> Bar:
        self.bar = tqdm(
            desc=f"{self.name}: training",
            total=self.total,
            initial=min(self.first, self.total),
            bar_format=FORMAT,
            dynamic_ncols=True,
            mininterval=_interval(),
            disable=not self.show,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def describe(self, doing: str) -> None:
        """Say what is being done."""
        self.bar.set_description_str(f"{self.name}: {doing}")

    def tell(self, loss: float, speed: float) -> None:
        """Show the loss, and the speed in images a second."""
        self.bar.set_postfix_str(f"loss {loss:.4g}, {speed:.0f} images/s", refresh=False)

    def move(self, step: int, elapsed: float) -> None:
        """Move to a step and to the seconds spent; training goes on."""
        done = min(step if self.by_steps else elapsed, self.total)
        self.bar.update(done - self.bar.n)
        self.bar.set_description_str(f"{self.name}: training", refresh=False)


class Rate:
    """Items a second, over the time that went into training steps alone.

    Args:
        items: items a step.
    """

    def __init__(self, items: int) -> None:
        self.items, self.steps, self.seconds = items, 0, 0.0

    def start(self) -> None:
        """A step begins."""
        self.began = time.monotonic()

    def stop(self) -> None:
        """A step ends."""
        self.steps, self.seconds = self.steps + 1, self.seconds + time.monotonic() - self.began

    def take(self) -> float:
        """The rate since it was last taken."""
        rate = self.items * self.steps / max(self.seconds, 1e-9)
        self.steps, self.seconds = 0, 0.0
        return rate


@contextmanager
def reporting() -> Iterator[Callable[[str, float], None]]:
    """A bar for work that calls back with what it is doing and the share done, in [0, 1].

    A share below the one before begins the bar anew. Work that is done at once shows no bar.
    """
    with tqdm(
        total=1.0, bar_format=FORMAT, dynamic_ncols=True, mininterval=_interval(), delay=0.5
    ) as bar:

        def report(doing: str, share: float) -> None:
            if share < bar.n:
                bar.reset()
            bar.set_description_str(doing, refresh=False)
            bar.update(min(share, 1.0) - bar.n)

        yield report


def _interval() -> float:
    """Seconds between two updates: a terminal shows all, a log file takes a line a minute."""
    return 0.2 if sys.stderr.isatty() else 60
