"""A wish to stop."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from pipelines.signals import Interrupted, stopping


def test_code_that_takes_any_failure_for_damage_does_not_swallow_a_stop() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stopped, stopping(), suppress(Exception):
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
