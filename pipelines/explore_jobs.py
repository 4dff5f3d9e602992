"""Work that a page waits for: in threads, with progress, to be cancelled, bounded in number."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from data.errors import UserError
from pipelines.explore_json import Refused

AT_ONCE, KEPT = 2, 8
"""Jobs that run at the same time, and that are remembered in all."""
NICE = 5
"""How far they give way to the pictures that are drawn as a particle is dragged."""

Result = TypeVar("Result")


class Cancelled(Exception):
    """Nobody waits any more."""


class Job(Generic[Result]):
    """One piece of work.

    Attributes:
        state: waiting, running, done, failed or cancelled.
        done, total: steps.
        error: one line, when it has failed.
        result: when it is done.
    """

    def __init__(self, work: Callable[[Job[Result]], Result], total: int) -> None:
        self.id = secrets.token_urlsafe(16)
        self.state, self.done, self.total, self.error = "waiting", 0, total, ""
        self.result: Result | None = None
        self._work = work
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")

    def step(self) -> None:
        """A step is done.

        Raises:
            Cancelled: it was the last.
        """
        if self.state == "cancelled":
            raise Cancelled
        self.done += 1

    def cancel(self) -> None:
        """Stop before the next step; what is over stays as it is."""
        self._become("cancelled")

    def run(self) -> None:
        """Work, in the thread that calls."""
        if not self._become("running"):
            return
        try:
            self.result = self._work(self)
            self._become("done")
        except Cancelled:
            pass
        except UserError as error:
            self.error = " ".join(str(error).split())
            self._become("failed")
        except Exception:  # the thread lives, for the jobs after this one
            traceback.print_exc(file=sys.stderr)
            self.error = "the server made a mistake: its terminal says which"
            self._become("failed")

    def _become(self, state: str) -> bool:
        with self._lock:
            if not self.over:
                self.state = state
            return self.state == state


class Jobs(Generic[Result]):
    """The jobs of all tabs, under names that nobody guesses.

    Args:
        at_once: threads.
        kept: jobs that are remembered; the oldest that is over goes first.
    """

    def __init__(self, at_once: int = AT_ONCE, kept: int = KEPT) -> None:
        self.kept = kept
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job[Result]] = OrderedDict()
        self._queue: SimpleQueue[Job[Result] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (job := self._queue.get()) is not None:
            job.run()

    def close(self) -> None:
        """Cancel all jobs and wait until their threads have ended."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def start(self, work: Callable[[Job[Result]], Result], total: int) -> Job[Result]:
        """Begin a job of `total` steps, which calls its `step` after each.

        Raises:
            Refused: too many are under way.
        """
        job = Job(work, total)
        with self._lock:
            if len(self._jobs) >= self.kept:
                over = next((known for known in self._jobs.values() if known.over), None)
                if over is None:
                    raise Refused("too many rollouts are under way: cancel one, or wait", 429)
                del self._jobs[over.id]
            self._jobs[job.id] = job
        self._queue.put(job)
        return job

    def get(self, name: str) -> Job[Result]:
        """A job by name.

        Raises:
            Refused: no such job, or it is long over.
        """
        with self._lock:
            if name in self._jobs:
                return self._jobs[name]
        raise Refused("no such rollout, or it is no longer kept: roll out again", 404)
