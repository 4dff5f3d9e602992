"""What some work costs: its seconds, and where they go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

OPERATORS = 12
PROFILED = 3  # times


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def operators(work: Callable[[], object]) -> list[dict[str, Any]]:
    """The operators that some work spends most in; milliseconds without those that one calls."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(PROFILED):
            work()
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        {
            "name": event.key,
            "milliseconds": event.self_cpu_time_total / PROFILED / 1e3,
            "share": event.self_cpu_time_total / total,
            "calls": event.count / PROFILED,
        }
        for event in events[:OPERATORS]
    ]
