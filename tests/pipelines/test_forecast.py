"""A forecast hangs on its context alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.pipelines.commands import Trained, arrays, clips, particlecast

CONTEXT, HORIZON = 8, 10


def forecasts(tiny: Trained, source: Path, out: Path) -> list[dict[str, np.ndarray]]:
    """What rollout writes for each video of a source, in name order."""
    lengths = ("--context", CONTEXT, "--horizon", HORIZON)
    particlecast("rollout", *tiny.on(source), *lengths, "--out", out)
    return [arrays(path) for path in sorted(out.glob("*.npz"))]


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    """Whether two forecasts are equal, bit by bit."""
    return all(one[key].tobytes() == two[key].tobytes() for key in one | two)


def test_what_comes_after_the_context_changes_nothing(tiny: Trained, tmp_path: Path) -> None:
    frames = clips(tmp_path / "a.npy")
    first = forecasts(tiny, tmp_path / "a.npy", tmp_path / "out_a")
    assert len(first) == len(frames)

    future = frames.copy()
    noise = np.random.default_rng(0).integers(0, 256, future[:, CONTEXT:].shape, np.uint8)
    future[:, CONTEXT:] = noise
    np.save(tmp_path / "b.npy", future)
    second = forecasts(tiny, tmp_path / "b.npy", tmp_path / "out_b")
    assert all(same(one, two) for one, two in zip(first, second, strict=True))

    np.save(tmp_path / "c.npy", frames[:, :CONTEXT])
    cut = forecasts(tiny, tmp_path / "c.npy", tmp_path / "out_c")
    assert all(same(one, two) for one, two in zip(first, cut, strict=True))

    past = frames.copy()
    past[:, CONTEXT - 1] = noise[:, 0]
    np.save(tmp_path / "d.npy", past)
    other = forecasts(tiny, tmp_path / "d.npy", tmp_path / "out_d")
    assert not any(same(one, two) for one, two in zip(first, other, strict=True))


def test_the_same_forecast_twice_is_the_same(tiny: Trained, tmp_path: Path) -> None:
    clips(tmp_path / "a.npy")
    first = forecasts(tiny, tmp_path / "a.npy", tmp_path / "one")
    second = forecasts(tiny, tmp_path / "a.npy", tmp_path / "two")
    assert all(same(one, two) for one, two in zip(first, second, strict=True))
