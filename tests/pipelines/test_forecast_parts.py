"""Moved particles as a forecast: shapes, with sets and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from dlp.config import DLPConfig
from dlp.model import DLP
from dynamics.config import DynamicsConfig
from dynamics.futures import Moved
from dynamics.model import GraphDynamics
from dynamics.state import State
from pipelines import forecast as forecasts
from pipelines.forecast import (
    Forecast,
    as_forecast,
    draw,
    forecast,
    join,
    observe,
    predict,
    reconstruct,
)
from tests.pipelines.discs import disc_video

B, T, K, D, SIZE = 3, 6, 4, 4, (32, 40)
ROWS = {"position": (2,), "transparency": (), "appearance": (D,), "identity": ()}


@pytest.fixture(scope="module")
def dlp() -> DLP:
    torch.manual_seed(0)
    config = DLPConfig(particles=K, width=8, features=D, glimpse=8)
    return DLP(config, SIZE).eval().requires_grad_(False)


def moved(b: int = B, t: int = T) -> Moved:
    generator = torch.Generator().manual_seed(0)
    position = torch.rand(b, t, K, 2, generator=generator) * 1.6 - 0.8
    code = torch.randn(b, t, K, D + 3, generator=generator)
    code[..., -1] = 3.0
    identity = torch.arange(K).expand(b, t, K).clone()
    identity[:, 3:, 1] = -1
    return Moved(position, code, identity)


def shapes(found: Forecast) -> dict[str, tuple[int, ...]]:
    return {f.name: getattr(found, f.name).shape for f in fields(found)}


def expected(*leading: int, frame: tuple[int, int] = SIZE) -> dict[str, tuple[int, ...]]:
    return {"frames": (*leading, *frame, 3)} | {
        name: (*leading, K, *rest) for name, rest in ROWS.items()
    }


def same(one: Forecast, other: Forecast, but: str = "") -> bool:
    names = [f.name for f in fields(Forecast) if f.name != but]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_b_sets_one_of_them_and_a_stretch_of_it(dlp: DLP) -> None:
    drawn = draw(dlp, moved())
    assert shapes(drawn) == expected(B, T)
    assert (drawn.frames.dtype, drawn.identity.dtype) == (np.uint8, np.int64)
    assert shapes(drawn[1]) == expected(T)
    assert shapes(drawn[1:]) == expected(B - 1, T)
    assert shapes(drawn[0][2:5]) == expected(3)
    assert (len(drawn), len(drawn[1]), len(drawn[1][2:5])) == (T, T, 3)
    assert np.array_equal(drawn[1:][0].frames, drawn.frames[1])
    assert np.array_equal(drawn[2][-1:].position, drawn.position[2, -1:])


def test_what_is_drawn_is_what_moved(dlp: DLP) -> None:
    given = moved()
    drawn = draw(dlp, given)
    pixels = (given.position.numpy() + 1) * np.array([SIZE[1], SIZE[0]]) / 2 - 0.5
    np.testing.assert_allclose(drawn.position, pixels, atol=1e-4)
    assert np.array_equal(drawn.identity, given.identity.numpy())
    assert np.array_equal(drawn.appearance, given.code[..., :D].numpy())
    live = given.identity.numpy() >= 0
    np.testing.assert_allclose(drawn.transparency[live], 1 / (1 + np.exp(-3)), rtol=1e-5)
    assert not drawn.transparency[~live].any()


def test_a_row_without_a_particle_draws_nothing(dlp: DLP) -> None:
    given = moved()
    other = replace(given, position=given.position.clone())
    other.position[:, :, 1] = 0.0  # nobody is there from step 3 on
    one, two = draw(dlp, given).frames, draw(dlp, other).frames
    changed = (one != two).any(axis=(0, 2, 3, 4))
    assert changed.tolist() == [True] * 3 + [False] * 3


def test_frames_are_the_same_however_many_are_drawn_at_a_time(
    dlp: DLP, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(dlp, moved()).frames.astype(int)
    assert len(np.unique(whole.reshape(B * T, -1), axis=0)) == B * T
    for at_once in (1, 5, B * T):
        monkeypatch.setattr(forecasts, "DRAWN", at_once)
        drawn = draw(dlp, moved())
        assert np.abs(drawn.frames - whole).max() <= 1
    for index in range(B):
        alone = draw(dlp, moved().sets(slice(index, index + 1)))[0]
        assert np.abs(alone.frames - whole[index]).max() <= 1


def test_as_forecast_is_all_but_the_frames(dlp: DLP) -> None:
    bare = as_forecast(dlp, moved())
    assert shapes(bare) == expected(B, T, frame=(0, 0))
    assert same(bare, draw(dlp, moved()), but="frames")
    assert len(bare) == T


@pytest.mark.parametrize("make", [draw, as_forecast])
def test_parts_join_along_time_with_sets_and_without(
    dlp: DLP, make: Callable[[DLP, Moved], Forecast]
) -> None:
    whole, given = make(dlp, moved()), moved()
    parts = [
        make(dlp, Moved(*(getattr(given, f.name)[:, cut] for f in fields(Moved))))
        for cut in (slice(0, 2), slice(2, 3), slice(3, T))
    ]
    assert same(join(parts), whole, but="frames")
    assert join(parts).frames.shape == whole.frames.shape
    assert np.abs(join(parts).frames.astype(int) - whole.frames).max(initial=0) <= 1
    one = join([part[1] for part in parts])
    assert same(one, join(parts)[1])
    assert same(join([whole[0][:2], whole[0][2:]]), whole[0])


def dynamics() -> GraphDynamics:
    torch.manual_seed(0)
    return GraphDynamics(DynamicsConfig(history=4, hidden=16), D, SIZE).eval().requires_grad_(False)


def context(seed: int = 0, steps: int = 5) -> np.ndarray:
    frames = np.zeros((steps, *SIZE, 3), np.uint8)
    frames[:, :, 4:36] = disc_video(steps + seed, 32).frames[seed:]
    return frames


def test_several_contexts_are_foreseen_as_each_alone(dlp: DLP) -> None:
    observed = [observe(dlp, dynamics(), context(seed)) for seed in (0, 3)]
    states = [one.state for one in (*observed, observed[0])]
    state = State(*(torch.cat([getattr(s, f.name) for s in states]) for f in fields(State)))
    assert len(state.alive) == 3
    both = join(list(predict(dlp, dynamics(), state, 5)))
    assert shapes(both) == expected(3, 5)
    assert same(both[0], both[2])
    for index, seed in enumerate((0, 3)):
        alone = forecast(dlp, dynamics(), context(seed), 5)
        assert shapes(alone) == expected(5)
        assert np.array_equal(alone.identity, both[index].identity)
        np.testing.assert_allclose(alone.position, both[index].position, atol=1e-3)
        assert np.abs(alone.frames.astype(int) - both[index].frames).max() <= 2


def test_a_context_is_drawn_with_the_rows_of_its_forecast(dlp: DLP) -> None:
    observed = observe(dlp, dynamics(), context())
    seen = reconstruct(dlp, observed)
    assert shapes(seen) == expected(5)
    assert seen.identity.max() >= 0
    for row in range(K):
        assert set(seen.identity[:, row].tolist()) <= {-1, row}
    live = observed.state.alive[0].numpy()
    future = forecast(dlp, dynamics(), context(), 1)
    assert set(future.identity[0].tolist()) <= {-1, *np.flatnonzero(live).tolist()}
    here = (seen.identity[-1] >= 0) & live
    assert here.any()
    np.testing.assert_allclose(seen.position[-1][here], to_pixels(observed)[here], atol=1e-4)


def to_pixels(observed: forecasts.Observed) -> np.ndarray:
    """Where the state has its particles now, [k, 2]."""
    now = observed.state.position[0, -1].numpy()
    return (now + 1) * np.array([SIZE[1], SIZE[0]]) / 2 - 0.5
