"""What a server keeps in memory."""

from __future__ import annotations

import threading

import pytest

from pipelines.kept import Recent, once


def test_what_was_longest_unused_is_forgotten() -> None:
    kept: Recent[str, int] = Recent(3)
    for value, key in enumerate("abc"):
        kept.put(key, value)
    assert kept.get("a") == 0  # used: now b is the oldest
    kept.put("c", 5)  # used by being put again, and no entry more
    kept.put("d", 3)
    assert [kept.get(key) for key in "abcd"] == [0, None, 5, 3]
    kept.put("e", 4)  # a was used before c and d
    assert [kept.get(key) for key in "acde"] == [None, 5, 3, 4]


def test_asking_for_what_is_not_there_keeps_nothing() -> None:
    kept: Recent[str, int] = Recent(1)
    kept.put("a", 1)
    assert kept.get("b") is None
    assert kept.get("a") == 1


def test_once_is_made_beside_and_only_once() -> None:
    gate, made = threading.Event(), []

    def make() -> int:
        assert gate.wait(20)
        made.append(1)
        return len(made)

    value = once(make)  # which waits for nothing
    assert not made
    gate.set()
    assert [value(), value()] == [1, 1]


def test_who_asks_once_meets_its_error_each_time() -> None:
    def make() -> int:
        raise ValueError("no clips")

    value = once(make)
    for _ in range(2):
        with pytest.raises(ValueError, match="no clips"):
            value()
