"""Edits as JSON: those that a page saves are read, all else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UserError
from dynamics.edit import Added, Change, Edit
from pipelines.edit_file import Written, load_edit, read_edit
from pipelines.explore_json import Ranges, Refused
from tests.pipelines.exploring import NOTHING, edited
from tests.pipelines.test_explore_scene import ANYTHING, NUMBERS

RANGES = Ranges((32, 48), 3, (0.5, 2.0), (-4.0, 4.0))
LENGTHS = [24, 24, 15]  # frames of the clips
LOOKS = [0.5, -1.0, 2.0]
SAVED: dict[str, Any] = {
    "format": "particlecast-edit",
    "version": 1,
    "clip": {"source": "data", "video": 2, "frame": 14, "name": "clip_0002"},
    "changes": [
        {"id": 3, "position": [20, 31.5], "push": [1.5, 0]},
        {"id": 0, "appearance": LOOKS, "transparency": 0.5, "scale": 1.5, "depth": -1},
        {"id": 4, "position": None},
    ],
    "removed": [2],
    "added": [
        {"id": 1000, "position": [1, 2], "velocity": [0.5, 0], "appearance": LOOKS},
        {"id": 1003, "position": [9, 9], "appearance": LOOKS, "depth": 2, "transparency": 0.75},
    ],
}


def test_what_a_page_saves_is_read() -> None:
    look = tuple(LOOKS)
    changes = (
        Change(3, position=(20.0, 31.5), push=(1.5, 0.0)),
        Change(0, appearance=look, transparency=0.5, scale=1.5, depth=-1.0),
        Change(4),
    )
    added = (
        Added((1.0, 2.0), look, (0.5, 0.0)),
        Added((9.0, 9.0), look, depth=2.0, transparency=0.75),
    )
    assert read_edit(SAVED, RANGES) == Written(Edit(changes, (2,), added), (1000, 1003))


def test_an_edit_of_nothing_is_one() -> None:
    assert read_edit(NOTHING, RANGES) == Written(Edit(), ())


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "edit: expected an object, found nothing"),
        ([], "edit: expected an object, found an array"),
        ({}, "its format is not 'particlecast-edit'"),
        ({**NOTHING, "version": 2}, "its version is not 1"),
        ({**NOTHING, "version": True}, "its version is not 1"),
        ({**NOTHING, "path": "x"}, "unknown name 'path'"),
        (edited(clip={"source": "/etc/passwd", "frame": 0}), "clip.source"),
        (edited(clip={"source": "data", "frame": -1}), "clip.frame: must be from 0"),
        (edited(clip={"source": "data", "frame": 0, "name": 3}), "clip.name"),
        (edited(changes={}), "changes: expected an array, found an object"),
        (edited(changes=[{}]), "changes[0].id: expected a whole number, found nothing"),
        (edited(changes=[{"id": 1.0}]), "changes[0].id"),
        (edited(changes=[{"id": 1000}]), "changes[0].id: must be from 0 to 999"),
        (edited(changes=[{"id": 1, "psh": [0, 0]}]), "changes[0]: unknown name 'psh'"),
        (edited(changes=[{"id": 1, "push": [float("nan"), 0]}]), "changes[0].push"),
        (edited(changes=[{"id": 1, "push": [1e9, 0]}]), "changes[0].push"),
        (edited(changes=[{"id": 1, "appearance": [1, 2]}]), "expected 3 numbers, found 2"),
        (edited(changes=[{"id": 1, "scale": 9}]), "scale: must be a number from 0.5 to 2"),
        (edited(changes=[{"id": 1}, {"id": 1}]), "particle 1 is named twice"),
        (edited(changes=[{"id": 1}], removed=[1]), "particle 1 is named twice"),
        (edited(removed=["1"]), "removed[0]: expected a whole number, found text"),
        (edited(removed=[*range(65)]), "removed: 65 items: at most 64"),
        (edited(added=[{"id": 1000}]), "added[0]: a new particle needs a position"),
        (edited(added=[{**SAVED["added"][0], "id": 5}]), "added[0].id: must be from 1000"),
        (edited(added=[SAVED["added"][0]] * 2), "particle 1000 is named twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(value: Any, word: str) -> None:
    with pytest.raises(Refused) as told:
        read_edit(value, RANGES)
    assert word in str(told.value)
    assert "\n" not in str(told.value)


def mixed(one: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Something like it, some of its values replaced."""
    parts = {name: st.just(value) | NUMBERS for name, value in one.items()}
    return st.fixed_dictionaries({}, optional=parts)


NEARLY = st.fixed_dictionaries(
    {"format": st.just("particlecast-edit"), "version": st.just(1)},
    optional={
        "clip": mixed(SAVED["clip"]) | ANYTHING,
        "changes": st.lists(mixed(SAVED["changes"][0]) | mixed(SAVED["changes"][1]), max_size=3)
        | ANYTHING,
        "removed": st.lists(st.integers(-2, 1001), max_size=3) | ANYTHING,
        "added": st.lists(mixed(SAVED["added"][0]), max_size=2) | ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(NEARLY | ANYTHING)
def test_anything_is_read_or_refused_in_one_line(value: Any) -> None:
    through = json.loads(json.dumps(value))
    written, refusal = None, None
    try:
        written = read_edit(through, RANGES)
    except Refused as error:
        refusal = error
    if refusal is not None:
        assert "\n" not in str(refusal)
        assert refusal.status == 400
        return
    assert written is not None
    rows = [*(change.row for change in written.edit.changes), *written.edit.removed]
    assert len(set(rows)) == len(rows)
    assert len(written.ids) == len(written.edit.added)
    for change in written.edit.changes:
        for pair in (change.position, change.push):
            assert pair is None or max(map(abs, pair)) <= RANGES.reach


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "edit.json"
    path.write_text(json.dumps(SAVED))
    assert load_edit(path, RANGES, LENGTHS) == SAVED
    dropped = {**SAVED, "clip": {"source": "upload", "frame": 200, "name": "film.mp4"}}
    path.write_text(json.dumps(dropped))
    assert load_edit(path, RANGES, LENGTHS) == dropped


@pytest.mark.parametrize(
    ("clip", "word"),
    [
        (None, "clip: nothing says which frame it is of"),
        ({"source": "data", "video": 2}, "clip.frame: expected a whole number, found nothing"),
        ({"source": "data", "frame": 1}, "clip.video: expected a whole number, found nothing"),
        ({"source": "data", "video": 3, "frame": 1}, "clip.video: must be from 0 to 2"),
        ({"source": "data", "video": 2, "frame": 15}, "clip.frame: must be from 0 to 14"),
        ({"source": "upload", "name": "film.mp4"}, "clip.frame: expected a whole number"),
    ],
)
def test_a_file_says_which_frame_of_the_clips_it_is_of(
    tmp_path: Path, clip: dict[str, Any] | None, word: str
) -> None:
    path = tmp_path / "edit.json"
    path.write_text(json.dumps({**SAVED, "clip": clip}))
    with pytest.raises(UserError) as told:
        load_edit(path, RANGES, LENGTHS)
    assert f"edit.json: {word}" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"[" * 10**5, b" " * (1 << 21)])
def test_a_bad_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edit.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"edit\.json"):
        load_edit(path, RANGES, LENGTHS)
    with pytest.raises(UserError, match="cannot read --edit"):
        load_edit(tmp_path / "none.json", RANGES, LENGTHS)
    with pytest.raises(UserError, match="cannot read --edit"):
        load_edit(tmp_path, RANGES, LENGTHS)
