"""Rollouts that wait, run and end in threads of their own."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from pipelines.explore_jobs import AT_ONCE, KEPT, Cancelled, Job, Jobs
from pipelines.explore_json import Refused


def test_jobs_are_bounded_and_the_oldest_that_is_over_goes() -> None:
    jobs: Jobs[int] = Jobs(AT_ONCE, KEPT)
    gate, running = threading.Event(), threading.Semaphore(0)

    def work(job: Job[int]) -> int:
        running.release()
        assert gate.wait(20)
        return 1

    begun = [jobs.start(work, 1) for _ in range(KEPT)]
    for _ in range(AT_ONCE):
        assert running.acquire(timeout=20)
    assert not running.acquire(timeout=0.05)
    assert [job.state for job in begun] == ["running"] * AT_ONCE + ["waiting"] * (KEPT - AT_ONCE)
    with pytest.raises(Refused, match="too many rollouts") as told:
        jobs.start(work, 1)
    assert told.value.status == 429
    begun[3].cancel()  # before it has begun: it never does
    last = jobs.start(lambda job: 2, 1)
    with pytest.raises(Refused):
        jobs.get(begun[3].id)
    gate.set()
    while not (last.over and begun[0].over):
        threading.Event().wait(0.005)
    assert last.result == 2
    assert begun[3].result is None
    assert jobs.get(begun[0].id).result == 1


def test_what_is_cancelled_before_its_turn_is_forgotten() -> None:
    jobs: Jobs[int] = Jobs(at_once=1, kept=3)
    gate, running = threading.Event(), threading.Event()

    def work(job: Job[int]) -> int:
        running.set()
        assert gate.wait(20)
        return 1

    first = jobs.start(work, 1)
    assert running.wait(20)
    known = []
    for _ in range(20):
        job = jobs.start(work, 1)
        job.cancel()
        known.append(weakref.ref(job))
    del job
    gc.collect()
    assert sum(one() is not None for one in known) <= 3
    last = jobs.start(lambda job: 2, 1)
    gate.set()
    while not (first.over and last.over):
        threading.Event().wait(0.005)
    assert (first.result, last.result) == (1, 2)


def test_what_is_cancelled_in_its_last_step_has_no_result() -> None:
    def work(job: Job[int]) -> int:
        job.step()
        job.cancel()
        return 1

    job = Job(work, 1)
    assert job.begin()
    job.run()
    assert (job.state, job.result) == ("cancelled", None)


def test_a_job_that_fails_says_so_and_the_next_one_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs: Jobs[int] = Jobs(at_once=1)

    def bad(job: Job[int]) -> int:
        raise Refused("it does not fit")

    def worse(job: Job[int]) -> int:
        return 1 // 0

    def left(job: Job[int]) -> int:
        raise Cancelled

    begun = [jobs.start(work, 1) for work in (bad, worse, left, lambda job: 3)]
    while not begun[-1].over:
        threading.Event().wait(0.005)
    assert [job.state for job in begun[:2]] == ["failed", "failed"]
    assert begun[0].error == "it does not fit"
    assert "terminal" in begun[1].error
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert begun[-1].result == 3


def test_closing_ends_what_runs_and_what_waits() -> None:
    jobs: Jobs[int] = Jobs(at_once=1)
    begun = threading.Event()

    def endless(job: Job[int]) -> int:
        while True:
            begun.set()
            job.step()

    running, waiting = jobs.start(endless, 1), jobs.start(endless, 1)
    assert begun.wait(20)
    jobs.close()  # which waits for the thread
    assert running.state == waiting.state == "cancelled"
    assert waiting.done == 0
