"""Work that a page waits for: in threads, with progress, to be cancelled, bounded in number."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import traceback
from collections.abc import Callable
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
        try:
            self._become("done", self._work(self))
        except Cancelled:
            pass
        except UserError as error:
            self.error = " ".join(str(error).split())
            self._become("failed")
        except Exception:  # the thread lives, for the jobs after this one
            traceback.print_exc(file=sys.stderr)
            self.error = "the server made a mistake: its terminal says which"
            self._become("failed")

    def begin(self) -> bool:
        """Whether it was waiting; it is to run now."""
        with self._lock:
            if self.state != "waiting":
                return False
            self.state = "running"
            return True

    def _become(self, state: str, result: Result | None = None) -> None:
        with self._lock:
            if not self.over:  # a job that was cancelled in its last step has no result
                self.result = result
                self.state = state


class Jobs(Generic[Result]):
    """The jobs of all tabs, under names that nobody guesses.

    Args:
        at_once: threads.
        kept: jobs that are remembered; the oldest that is over goes first.
    """

    def __init__(self, at_once: int = AT_ONCE, kept: int = KEPT) -> None:
        self.kept = kept
        self._changed = threading.Condition()
        self._closed = False
        self._jobs: dict[str, Job[Result]] = {}  # the oldest first
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (job := self._next()) is not None:
            job.run()

    def _next(self) -> Job[Result] | None:
        """The oldest that waits, or comes; None: there will be none."""
        with self._changed:
            while not self._closed:
                job = next((known for known in self._jobs.values() if known.begin()), None)
                if job is not None:
                    return job
                self._changed.wait()
        return None

    def close(self) -> None:
        """Cancel all jobs and wait until their threads have ended."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                job.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def start(self, work: Callable[[Job[Result]], Result], total: int) -> Job[Result]:
        """Begin a job of `total` steps, which calls its `step` after each.

        Raises:
            Refused: too many are under way.
        """
        job = Job(work, total)
        with self._changed:
            if len(self._jobs) >= self.kept:
                over = next((known for known in self._jobs.values() if known.over), None)
                if over is None:
                    raise Refused("too many rollouts are under way: cancel one, or wait", 429)
                del self._jobs[over.id]
            self._jobs[job.id] = job
            self._changed.notify()
        return job

    def get(self, name: str) -> Job[Result]:
        """A job by name.

        Raises:
            Refused: no such job, or it is long over.
        """
        with self._changed:
            if name in self._jobs:
                return self._jobs[name]
        raise Refused("no such rollout, or it is no longer kept: roll out again", 404)
