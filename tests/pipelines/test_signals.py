"""A wish to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from pipelines.signals import Interrupted, stopping

HALF_MADE = """
import signal
from pipelines.signals import Interrupted, stopping

signal.signal(signal.SIGINT, signal.default_int_handler)

class Bar:
    def __init__(self):
        signal.raise_signal(signal.{})
        self.place = 0

    def __del__(self):
        self.place

try:
    with stopping():
        Bar()
except (Interrupted, KeyboardInterrupt) as stop:
    print(type(stop).__name__)
"""


@pytest.mark.parametrize(
    ("name", "raised"), [("SIGTERM", "Interrupted"), ("SIGINT", "KeyboardInterrupt")]
)
def test_what_a_stop_leaves_half_made_says_nothing(name: str, raised: str) -> None:
    words = [sys.executable, "-c", HALF_MADE.format(name)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (raised, "")


def test_a_signal_that_the_parent_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_code_that_takes_any_failure_for_damage_does_not_swallow_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # put back afterwards
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stopped, stopping(), suppress(Exception):
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
