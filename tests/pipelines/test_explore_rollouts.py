"""Two futures of one scene."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from pipelines.explore_about import Limits
from pipelines.explore_jobs import Job
from tests.pipelines.commands import PARTICLES, SIDE, Trained, arrays, film_facts, particlecast
from tests.pipelines.exploring import Page, edited, line, open_page, picture

HORIZON, CONTEXT, FRAME = 11, 10, 12


@pytest.fixture(scope="module")
def page(tiny: Trained) -> Page:
    return open_page(tiny, Limits(horizon=40, samples=4))


def kept(page: Page, answer: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a rollout."""
    file = page.ask("GET", f"/api/rollouts/{answer['id']}/file?format=npz")
    with np.load(io.BytesIO(file.data), allow_pickle=False) as found:
        return dict(found)


def frames(page: Page, future: dict[str, Any], count: int) -> np.ndarray:
    """A sprite cut into its frames, [t, h, w, 3]."""
    grid = picture(page.ask("GET", future["sprite"]).data)
    columns = future["columns"]
    return np.stack(
        [grid[t // columns * SIDE :, t % columns * SIDE :][:SIDE, :SIDE] for t in range(count)]
    )


def test_an_empty_edit_foresees_what_the_command_does_bit_for_bit(
    page: Page, tiny: Trained, tmp_path: Path
) -> None:
    lengths = ("--context", CONTEXT, "--start", FRAME + 1 - CONTEXT, "--horizon", HORIZON)
    particlecast("rollout", *tiny.on(), *lengths, "--limit", 1, "--out", tmp_path)
    expected = arrays(next(tmp_path.glob("*.npz")))
    answer = page.roll_out(horizon=HORIZON)
    assert answer["state"] == "done"
    found = kept(page, answer)
    for name, array in expected.items():
        for future in ("original", "changed"):
            assert found[f"{future}_{name}"].tobytes() == array.tobytes()
    result = answer["result"]
    assert (frames(page, result["changed"], HORIZON) == expected["frames"]).all()
    told = {key: value for key, value in result["original"].items() if key != "sprite"}
    assert told == {key: value for key, value in result["changed"].items() if key != "sprite"}


def test_the_answer_has_what_a_page_draws(page: Page) -> None:
    answer = page.roll_out(horizon=HORIZON)
    result, found = answer["result"], kept(page, answer)
    assert (answer["done"], answer["total"]) == (2 * HORIZON, 2 * HORIZON)
    assert result["size"] == [SIDE, SIDE]
    assert (result["context"], result["horizon"]) == (CONTEXT, HORIZON)
    assert len(result["past"]) == CONTEXT
    assert result["samples"] == result["sample_ids"] == []
    original = result["original"]
    for t in range(HORIZON):
        who = found["original_identity"][t]
        assert original["ids"][t] == who.tolist()
        for row, place in enumerate(original["positions"][t]):
            assert (place is None) == (who[row] < 0)
            if place is not None:
                assert np.allclose(place, found["original_position"][t, row], atol=1e-3)
        for source, target, weight in original["edges"][t]:
            assert who[source] >= 0
            assert who[target] >= 0
            assert 0 <= weight <= 1
        heard = {target for _, target, _ in original["edges"][t]}
        assert heard == (set(np.flatnonzero(who >= 0)) if (who >= 0).sum() > 1 else set())
    last = page.scene()
    assert np.allclose(result["past"][-1][0], last[0]["position"], atol=1e-2)


def test_an_edit_makes_another_future_and_leaves_the_original_alone(page: Page) -> None:
    scene = page.scene()
    one = scene[0]
    new = {
        "id": 1000,
        "position": [3, 3],
        "velocity": [0.2, 0],
        "appearance": one["appearance"],
        "transparency": 0.9,
    }
    edit = edited(
        changes=[{"id": 0, "position": [16, 16], "push": [1, 0]}], removed=[1], added=[new]
    )
    plain, answer = page.roll_out(horizon=HORIZON), page.roll_out(edit, horizon=HORIZON, samples=3)
    result = answer["result"]
    before, after = result["original"], result["changed"]
    assert before["positions"] == plain["result"]["original"]["positions"]
    assert (frames(page, before, 1) == frames(page, plain["result"]["original"], 1)).all()
    assert after["ids"][0] == [0, -1, *before["ids"][0][2:], 1000]
    assert len(before["ids"][0]) == PARTICLES
    assert np.allclose(after["positions"][0][-1], [3.2, 3.0], atol=0.5)
    ahead = np.add([16 + 1, 16], one["velocity"])
    assert np.allclose(after["positions"][0][0], ahead, atol=0.5)
    shape = np.array(kept(page, answer)["samples_position"]).shape
    assert shape == (3, HORIZON, PARTICLES + 1, 2)
    assert len(result["samples"]) == 3
    assert len(result["samples"][0]) == HORIZON
    assert len(result["samples"][0][0]) == PARTICLES + 1
    assert result["samples"][0] != result["samples"][1]
    assert (np.array(result["sample_ids"]) == kept(page, answer)["samples_identity"]).all()
    for ids, places in zip(result["sample_ids"], result["samples"], strict=True):
        assert ids[0][-1] == 1000  # by the page's name
        assert ids[0][1] == -1
        assert [[who < 0 for who in row] for row in ids] == [[p is None for p in r] for r in places]


def test_a_push_changes_where_a_particle_goes_next(page: Page) -> None:
    amid = {"id": 0, "position": [16, 16]}  # nothing goes beyond where things were in training

    def place(change: dict[str, Any]) -> list[float]:
        result = page.roll_out(edited(changes=[change]), horizon=1)["result"]
        return cast(list[float], result["changed"]["positions"][0][0])

    one = place(amid)
    for push in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]):
        other = place(amid | {"push": push})
        assert np.dot(np.subtract(other, one), push) > 0.5 * np.dot(push, push)


def test_the_same_seed_draws_the_same_futures(page: Page) -> None:
    first, again, other = (page.roll_out(samples=2, seed=seed) for seed in (5, 5, 6))
    assert first["result"]["samples"] == again["result"]["samples"]
    assert first["result"]["samples"] != other["result"]["samples"]


def test_both_futures_are_saved_as_films(page: Page, tmp_path: Path) -> None:
    added = {"id": 1000, "position": [9, 9], "appearance": page.scene()[0]["appearance"]}
    answer = page.roll_out(edited(added=[added]), horizon=3)
    mp4 = page.ask("GET", f"/api/rollouts/{answer['id']}/file?format=mp4")
    assert mp4.headers["Content-Disposition"].startswith("attachment; filename=")
    assert mp4.content_type == "video/mp4"
    (tmp_path / "film.mp4").write_bytes(mp4.data)
    codec, _, count, _ = film_facts(tmp_path / "film.mp4")
    assert (codec, count) == ("h264", CONTEXT + 3)
    gif = page.ask("GET", f"/api/rollouts/{answer['id']}/file?format=gif")
    with Image.open(io.BytesIO(gif.data)) as image:
        assert image.format == "GIF"
        assert image.width > 2 * image.height * 0.9  # two panels
    for kind in ("", "exe", "../mp4"):
        query = {"format": kind}
        page.refused(400, "GET", f"/api/rollouts/{answer['id']}/file", query_string=query)


ASKED = {"clip": "data:0", "frame": FRAME, "edit": edited(), "horizon": 3}


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"horizon": 41}, 400, "horizon: must be from 1 to 40"),
        ({"horizon": 0}, 400, "horizon"),
        ({"horizon": 1e9}, 400, "horizon"),
        ({"horizon": True}, 400, "horizon"),
        ({"horizon": None}, 400, "horizon"),
        ({"samples": 5}, 400, "samples: must be from 0 to 4"),
        ({"samples": -1}, 400, "samples"),
        ({"seed": -1}, 400, "seed"),
        ({"seed": 10**30}, 400, "seed"),
        ({"clip": 3}, 400, "clip"),
        ({"clip": "/etc/passwd"}, 404, "no clip"),
        ({"frame": 99}, 404, "frames 0 to 23"),
        ({"frame": "1"}, 400, "frame"),
        ({"edit": None}, 400, "edit"),
        ({"edit": edited(removed=[998])}, 409, "does not fit this scene: row 998"),
        ({"edit": edited(changes=[{"id": 7, "push": [1, 0]}])}, 409, "row 7"),
        ({"out": "/tmp/x"}, 400, "unknown name 'out'"),
    ],
)
def test_what_cannot_be_rolled_out_is_refused(
    page: Page, change: dict[str, Any], status: int, word: str
) -> None:
    assert word in line(page.send("/api/rollouts", {**ASKED, **change}), status)


def test_a_scene_has_room_for_so_many_and_no_more(page: Page) -> None:
    look = page.scene()[0]["appearance"]
    many = [{"id": 1000 + n, "position": [9, 9], "appearance": look} for n in range(64)]
    answer = page.send("/api/rollouts", {**ASKED, "edit": edited(added=many)})
    assert "at most 64" in line(answer, 400)


@pytest.mark.parametrize("name", ["x", "..", "%2e%2e", "original.png", "a" * 500])
def test_a_rollout_is_a_name_that_the_server_gave(page: Page, name: str) -> None:
    page.refused(404, "GET", f"/api/rollouts/{name}")
    page.refused(404, "DELETE", f"/api/rollouts/{name}")
    page.refused(404, "GET", f"/api/rollouts/{name}/file?format=mp4")


def test_tabs_do_not_mix(page: Page) -> None:
    """Each request brings its own edit: what one asks changes nothing for another."""
    mine = edited(changes=[{"id": 0, "position": [5, 5]}])
    theirs = edited(changes=[{"id": 0, "position": [25, 25]}], removed=[1])
    alone = page.roll_out(mine)["result"]["changed"]["positions"]
    asked = {"clip": "data:0", "frame": FRAME, "horizon": 4}
    begun = [page.send("/api/rollouts", {**asked, "edit": edit}) for edit in (mine, theirs, mine)]
    scene = page.scene()
    page.decode([{**one, "position": [1, 1]} for one in scene])
    one, other, again = (page.wait(answer.get_json()["id"])["result"] for answer in begun)
    assert one["changed"]["positions"] == again["changed"]["positions"] == alone
    assert other["changed"]["positions"] != alone
    assert one["original"]["positions"] == other["original"]["positions"]
    assert page.scene() == scene


def test_a_rollout_is_cancelled_between_steps(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    step = Job.step

    def slow(job: Job[Any]) -> None:
        step(job)
        reached.set()
        assert go_on.wait(20)

    monkeypatch.setattr(Job, "step", slow)
    name = page.send("/api/rollouts", {**ASKED, "horizon": 40}).get_json()["id"]
    assert reached.wait(20)
    running = page.json(f"/api/rollouts/{name}")
    assert (running["state"], running["done"], running["total"]) == ("running", 1, 80)
    assert page.decode(page.scene()).any()  # which a rollout does not hold up
    page.refused(409, "GET", f"/api/rollouts/{name}/original.png")
    assert page.ask("DELETE", f"/api/rollouts/{name}").json == {"state": "cancelled"}
    go_on.set()
    answer = page.wait(name)
    assert answer["state"] == "cancelled"
    assert "result" not in answer
    assert page.json(f"/api/rollouts/{name}")["done"] <= 2
    assert page.ask("DELETE", f"/api/rollouts/{name}").json == {"state": "cancelled"}
    monkeypatch.undo()
    assert page.roll_out()["state"] == "done"  # its thread is free again


def test_what_is_done_stays_done_when_it_is_cancelled(page: Page) -> None:
    name = page.roll_out()["id"]
    assert page.ask("DELETE", f"/api/rollouts/{name}").json == {"state": "done"}
    assert page.json(f"/api/rollouts/{name}")["result"]
