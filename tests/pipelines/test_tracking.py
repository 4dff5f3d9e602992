"""Identity measured on made tracks with answers worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.videos import Truth, Video
from dlp.particles import Particles, from_pixels
from dynamics.tracks import Tracks, track
from pipelines.evaluate_tracking import CROWDS, CURVES, HIDDEN, SPEEDS, judge, page, table
from pipelines.probes import owners
from pipelines.tracking import crowd, follow_tracks, hide, kept, summarise, track_owners
from tests.pipelines.commands import Trained, clips, particlecast, refused

SIZE = (64, 64)
TOLERANCE = 4.0
STEPS = 40


def truth(steps: int = STEPS) -> Truth:
    """Two objects in rows of their own, moving evenly."""
    way = np.arange(steps)[:, None, None] * np.array([[1.0, 0.0], [-1.0, 0.0]])
    position = np.array([[10.0, 16.0], [54.0, 48.0]]) + way
    shape = position.shape[:2]
    return Truth(position.astype(np.float32), np.ones(shape, bool), np.full(shape, 3, np.float32))


def tracks(path: np.ndarray, seen: np.ndarray | None = None) -> Tracks:
    """Tracks at [t, n, 2] pixels."""
    position = from_pixels(torch.from_numpy(path).float(), *SIZE)
    there = torch.ones(path.shape[:2], dtype=torch.bool)
    there = there if seen is None else torch.from_numpy(seen)
    return Tracks(position, torch.zeros(*path.shape[:2], 6), there, ~there, position * 0)


def particles(true: Truth) -> Particles:
    """One particle on each object, and one that is never in use."""
    place = np.pad(true.position, ((0, 0), (0, 1), (0, 0)))
    t, k = place.shape[:2]
    live = torch.ones(t, k)
    live[:, -1] = 0
    looks = torch.eye(k).expand(t, k, k)
    where = from_pixels(torch.from_numpy(place), *SIZE)
    return Particles(where, torch.full((t, k, 2), -9.0), looks, live, torch.ones(t, k), live * 0)


def figures(found: Tracks, true: Truth) -> dict[str, float]:
    return summarise({"one": follow_tracks(found, true, SIZE, TOLERANCE)})["all"]


def test_perfect_tracks_score_perfectly():
    true = truth()
    found = figures(tracks(true.position), true)
    assert found["idf1"] == found["mota"] == found["recall"] == found["precision"] == 1
    assert found["switches"] == 0
    assert found["object_frames"] == 2 * STEPS


def test_two_that_trade_places_half_way():
    true = truth()
    path = true.position.copy()
    path[STEPS // 2 :] = path[STEPS // 2 :, ::-1]
    found = figures(tracks(path), true)
    assert found["idf1"] == 0.5
    assert found["switches"] == 2
    assert found["mota"] == pytest.approx(1 - 2 / (2 * STEPS))
    assert found["switches_per_1000"] == pytest.approx(1000 * 2 / (2 * STEPS))


def test_a_track_that_is_missing_and_one_that_is_on_nothing():
    true = truth()
    seen = np.ones((STEPS, 2), bool)
    seen[:10, 0] = False
    found = figures(tracks(true.position, seen), true)
    assert found["recall"] == pytest.approx(1 - 10 / (2 * STEPS))
    assert found["idf1"] == pytest.approx(2 * 70 / (70 + 80))
    beside = np.concatenate([true.position, true.position[:, :1] + 20], 1)
    assert figures(tracks(beside), true)["precision"] == pytest.approx(2 / 3)


def test_who_is_not_visible_asks_for_nothing():
    true = truth()
    true.visible[:, 1] = False
    found = figures(tracks(true.position[:, :1]), true)
    assert found["idf1"] == 1
    assert found["object_frames"] == STEPS


def test_a_made_occlusion_takes_the_particles_of_one_object_away():
    true, given = truth(), particles(truth())
    owner = owners(true.position, np.ones((STEPS, 2), bool), true, TOLERANCE)
    owner = np.pad(owner, ((0, 0), (0, 1)), constant_values=-1)
    hidden = hide(given, owner, true, 10, np.random.default_rng(0))
    assert hidden is not None
    assert hidden.end - hidden.start == 10
    gone = hidden.particles.transparency[:, hidden.target] == 0
    assert gone.nonzero()[:, 0].tolist() == list(range(hidden.start, hidden.end))
    assert (hidden.particles.transparency[:, 1 - hidden.target] == 1).all()
    found = track(hidden.particles, SIZE)
    assert kept(hidden, found, track_owners(found, true, SIZE, TOLERANCE))
    # Another one comes back.
    broken = tracks(np.concatenate([true.position] * 2, 1))
    broken.seen[hidden.start :, hidden.target] = False
    broken.seen[: hidden.end, [2, 3]] = False
    assert not kept(hidden, broken, track_owners(broken, true, SIZE, TOLERANCE))
    assert hide(given, owner, true, STEPS, np.random.default_rng(0)) is None


def test_a_made_occlusion_hides_all_particles_of_a_large_object():
    true = truth()
    true.radius[:] = 8
    good = particles(true)
    beside = from_pixels(torch.from_numpy(true.position[:, :1] + [0.0, 6.0]).float(), *SIZE)
    both = replace(good, position=torch.cat([good.position[:, :2], beside], 1))
    both.transparency[:, 2] = 1  # a second one on the first object, off by more than 6 %

    taken: list[list[bool]] = []

    def link(found: Particles) -> Tracks:
        taken.append((found.transparency == 0).any(0).tolist())
        return track(found, SIZE)

    judge(link, [both], [true], SIZE)
    hidden = [one for one in taken if any(one)]
    assert hidden
    assert all(one in ([True, False, True], [False, True, False]) for one in hidden)


def test_a_crowd_is_all_of_them():
    together, true = crowd([particles(truth()), particles(truth(30))], [truth(), truth(30)])
    assert together.position.shape == (30, 6, 2)
    assert true.position.shape == (30, 4, 2)
    assert figures(track(together, SIZE), true)["recall"] == 1


def test_the_whole_judgement_of_a_perfect_case():
    true = truth()
    found = judge(lambda one: track(one, SIZE), [particles(true)] * 2, [true] * 2, SIZE)
    assert found["videos"]["all"]["idf1"] == 1
    assert found["idf1_by_speed"][0] == 1
    assert found["kept_by_hidden"][: HIDDEN.index(10) + 1] == [1.0] * 3
    assert found["idf1_by_crowd"][CROWDS.index(3)] is None  # there are two videos
    assert len(found["idf1_by_speed"]) == len(SPEEDS)
    result = {"meta": {}, "linked by": {"constant velocity": found}}
    assert "1.000" in table(result)[-1]
    assert "IDF1 over speed" in page(result)


def test_the_command_writes_its_page_for_both_ways_to_link(tiny: Trained, tmp_path: Path):
    particlecast("evaluate-tracking", *tiny.on(), "--out", tmp_path / "out", "--limit", 2)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted([*(f"{key}.png" for key in CURVES), "tracking.json", "tracking.md"])
    found = json.loads((tmp_path / "out" / "tracking.json").read_text())
    assert set(found["linked by"]) == {"constant velocity", "the dynamics model"}
    assert found["meta"]["videos"] == 1  # of six, one is for testing
    assert {"stage 1", "stage 2"} < found["meta"].keys()
    assert "| stage 2 | steps 6, seed 0" in (tmp_path / "out" / "tracking.md").read_text()
    for one in found["linked by"].values():
        assert set(one) == {"videos", *CURVES}
        assert one["videos"]["all"]["object_frames"] > 0


def test_it_takes_more_particles_than_the_run_was_trained_with(tiny: Trained, tmp_path: Path):
    for words, particles in (((), 5), (("--particles", 9), 9)):
        out = tmp_path / f"{particles}"
        particlecast("evaluate-tracking", *tiny.on(), "--out", out, "--limit", 1, *words)
        found = json.loads((out / "tracking.json").read_text())
        assert found["meta"]["particles"] == particles


def test_where_no_object_is_visible_the_file_holds_null(
    tiny: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place, radius = np.zeros((24, 1, 2), np.float32), np.ones((24, 1), np.float32)
    dark = Video(
        "dark", np.zeros((24, 32, 32, 3), np.uint8), 10.0, Truth(place, radius < 0, radius)
    )
    monkeypatch.setattr("pipelines.evaluate_tracking.held_out", lambda *_: (dark,))
    particlecast("evaluate-tracking", *tiny.on(), "--out", tmp_path / "out")

    def refuse(word: str) -> None:
        raise AssertionError(f"not JSON: {word}")

    found = json.loads((tmp_path / "out" / "tracking.json").read_text(), parse_constant=refuse)
    assert found["linked by"]["constant velocity"]["videos"]["all"]["switches_per_1000"] is None


def test_without_true_tracks_there_is_nothing_to_measure(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    clips(tmp_path / "a.npy")
    where = ("--out", tmp_path / "out")
    line = refused(capsys, "evaluate-tracking", *tiny.on(tmp_path / "a.npy"), *where)
    assert "no true tracks" in line
    assert not (tmp_path / "out").exists()
