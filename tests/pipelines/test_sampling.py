"""`--samples` of rollout and evaluate, and forecasts longer than what is held at a time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dynamics.futures import CHUNK
from pipelines.rollout import SHOWN
from tests.pipelines.commands import (
    FEATURES,
    PARTICLES,
    SIDE,
    STAGE2,
    Trained,
    arrays,
    clips,
    film_facts,
    particlecast,
    refused,
)

CONTEXT, HORIZON, SAMPLES = 8, 6, 3
ENOUGH = 19
"""Samples that a 90 % interval takes."""
LENGTHS = ("--context", CONTEXT, "--horizon", HORIZON)
WORLD = f"synthetic:billiards,videos=3,frames={CONTEXT + HORIZON},size={SIDE}"
SPREAD = {
    "truth inside the samples' 50 % interval",
    "truth inside the samples' 90 % interval",
    f"error of the best of {ENOUGH} samples, px",
    f"error of the best whole scene of {ENOUGH}, px",
    "error of the middle future, px",
}
ROWS = {"position": (2,), "transparency": (), "appearance": (FEATURES,), "identity": ()}


def rolled(tiny: Trained, out: Path, *words: object) -> Path:
    """One video's forecast and what its words add."""
    particlecast("rollout", *tiny.on(), *LENGTHS, "--limit", 1, "--out", out, *words)
    return out


def test_rollout_leaves_the_samples_beside_the_forecast_and_nothing_else(
    tiny: Trained, tmp_path: Path
) -> None:
    out = rolled(tiny, tmp_path / "out", "--samples", SAMPLES)
    name = "billiards_00000"
    single = [f"{name}_sample_{index}.mp4" for index in range(SAMPLES)]
    films = {f"{name}.mp4": HORIZON, f"{name}_compare.mp4": CONTEXT + HORIZON}
    films |= {f"{name}_fan.mp4": CONTEXT + HORIZON} | dict.fromkeys(single, HORIZON)
    expected = sorted([*films, f"{name}.npz", f"{name}_samples.npz"])
    assert sorted(path.name for path in out.iterdir()) == expected
    for film, length in films.items():
        assert film_facts(out / film)[:3] == ("h264", "yuv420p", length)
    samples, middle = arrays(out / f"{name}_samples.npz"), arrays(out / f"{name}.npz")
    for key, rest in ROWS.items():
        assert samples[key].shape == (SAMPLES, HORIZON, PARTICLES, *rest)
        assert middle[key].shape == (HORIZON, PARTICLES, *rest)
        assert samples[key].dtype == middle[key].dtype
    assert samples.keys() == ROWS.keys()
    assert middle.keys() == {"frames", *ROWS}
    assert (samples["identity"] >= 0).any()
    for one in range(SAMPLES):
        assert not np.array_equal(samples["position"][one], middle["position"])
        assert not np.array_equal(samples["position"][one], samples["position"][one - 1])


def test_the_middle_is_the_same_with_samples_and_these_are_their_seed_s(
    tiny: Trained, tmp_path: Path
) -> None:
    runs = {
        "none": rolled(tiny, tmp_path / "none"),
        "one": rolled(tiny, tmp_path / "one", "--samples", 2),
        "again": rolled(tiny, tmp_path / "again", "--samples", 2, "--seed", 0),
        "other": rolled(tiny, tmp_path / "other", "--samples", 2, "--seed", 1),
    }
    middles = [arrays(out / "billiards_00000.npz") for out in runs.values()]
    for middle in middles[1:]:
        assert all(np.array_equal(middle[key], middles[0][key]) for key in middle)
    assert not list(runs["none"].glob("*sample*"))
    one, again, other = (
        arrays(runs[name] / "billiards_00000_samples.npz") for name in ("one", "again", "other")
    )
    assert all(np.array_equal(one[key], again[key]) for key in one)
    assert not np.array_equal(one["position"], other["position"])


def test_more_samples_than_get_films(tiny: Trained, tmp_path: Path) -> None:
    out = rolled(tiny, tmp_path / "out", "--samples", SHOWN + 2)
    films = sorted(path.name for path in out.glob("*_sample_*.mp4"))
    assert films == [f"billiards_00000_sample_{index}.mp4" for index in range(SHOWN)]
    found = arrays(out / "billiards_00000_samples.npz")
    assert len(found["position"]) == SHOWN + 2


def test_a_horizon_longer_than_what_is_held_at_a_time(tiny: Trained, tmp_path: Path) -> None:
    clips(tmp_path / "a.npy", 1)
    where = (*tiny.on(tmp_path / "a.npy"), "--context", CONTEXT, "--horizon")
    long, short, name = 2 * CHUNK + 6, CHUNK - 2, "a"
    particlecast("rollout", *where, long, "--samples", 2, "--out", tmp_path / "long")
    particlecast("rollout", *where, short, "--samples", 2, "--out", tmp_path / "short")
    for file in (f"{name}.npz", f"{name}_samples.npz"):
        one, two = arrays(tmp_path / "long" / file), arrays(tmp_path / "short" / file)
        for key, value in one.items():
            time = int("samples" in file)
            assert value.shape[time] == long
            begin = value.take(range(short), time)
            if key == "frames":
                assert np.abs(begin.astype(int) - two[key]).max() <= 1
            else:
                np.testing.assert_allclose(begin, two[key], atol=1e-4)
    for film, length in (("a.mp4", long), ("a_compare.mp4", CONTEXT + long)):
        assert film_facts(tmp_path / "long" / film)[2] == length
    assert film_facts(tmp_path / "long" / "a_fan.mp4")[2] == CONTEXT + long
    assert film_facts(tmp_path / "long" / "a_sample_1.mp4")[2] == long


def test_evaluate_reports_the_spread_where_true_tracks_tell(own: Trained, tmp_path: Path) -> None:
    words = (*own.on(Path(WORLD)), *LENGTHS)
    particlecast("evaluate", *words, "--samples", ENOUGH, "--out", tmp_path / "with")
    particlecast("evaluate", *words, "--out", tmp_path / "without")
    found, plain = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("with", "without")
    )
    assert found["particles"].keys() - plain["particles"].keys() == SPREAD
    page = (tmp_path / "with" / "report.md").read_text()
    for figure in SPREAD:
        assert f"| {figure} |" in page
        assert figure not in (tmp_path / "without" / "report.md").read_text()
    for figure in (*SPREAD, "live particles off the visible objects' number"):
        value = found["particles"][figure]["mean"]
        assert value is not None, figure
        assert 0 <= value <= (1 if "interval" in figure else np.inf)
    # The middle future is the forecast itself, and no ball is ever hidden.
    middle = found["per_step"]["position_error"]["methods"]["model"]["overall"]["mean"]
    assert found["particles"]["error of the middle future, px"]["mean"] == pytest.approx(middle)
    # The middle's own figures do not hang on whether there are samples.
    assert found["per_step"] == plain["per_step"]


def test_evaluate_with_samples_but_no_truth_has_no_spread(own: Trained, tmp_path: Path) -> None:
    clips(tmp_path / "a.npy")
    where = (*own.on(tmp_path / "a.npy"), *LENGTHS)
    particlecast("evaluate", *where, "--samples", 2, "--out", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert not any("samples" in name for name in report["particles"])


@pytest.mark.parametrize("command", ["rollout", "evaluate"])
def test_fewer_samples_than_none(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = (*tiny.on(), *LENGTHS, "--samples", -1, "--out", tmp_path / "out")
    assert "samples" in refused(capsys, command, *words)
    assert not (tmp_path / "out").exists()


def test_a_run_that_knows_one_future_gives_no_samples(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own.run / "stage2")
    words = (*own.on(), "--max-steps", 1, *STAGE2, "--dynamics.chance", 0)
    particlecast("train-dynamics", *words)
    out = ("--out", tmp_path / "out")
    said = refused(capsys, "rollout", *own.on(), *LENGTHS, *out, "--samples", SAMPLES)
    assert "foresees one future" in said
    particlecast("rollout", *own.on(), *LENGTHS, *out, "--limit", 1)


def test_a_forecast_without_samples_leaves_none_of_an_earlier_one(
    tiny: Trained, tmp_path: Path
) -> None:
    rolled(tiny, tmp_path, "--samples", SAMPLES)
    rolled(tiny, tmp_path)
    assert not [path for path in tmp_path.iterdir() if "_sample" in path.name or "fan" in path.name]
