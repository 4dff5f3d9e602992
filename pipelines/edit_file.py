"""An edit as the JSON that the page sends, saves and replays.

    {"format": "particlecast-edit", "version": 1,
     "clip": {"source": "data", "video": 2, "frame": 14, "name": "..."},
     "changes": [{"id": 3, "position": [x, y], "push": [dx, dy], ...}],
     "removed": [2],
     "added": [{"id": 1000, "position": [x, y], "appearance": [...], "velocity": [dx, dy], ...}]}

Positions are in pixels, (x, y), pushes and velocities in pixels a frame. A particle's id is its row
in the scene; those that were added have ids from ADDED on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UserError
from dynamics.edit import Added, Change, Edit
from pipelines.explore_json import (
    MOST,
    Looks,
    Ranges,
    Refused,
    looks,
    mapping,
    pair,
    sequence,
    whole,
)

FORMAT, VERSION = "particlecast-edit", 1
ADDED = 1000
"""The first id of the particles that were added."""
LARGEST = 1 << 20
"""Bytes of a file."""
_LOOKS = ("appearance", "transparency", "scale", "depth")


@dataclass(frozen=True)
class Written:
    """An edit that was read.

    Args:
        edit: for `edit_state`.
        ids: of the particles that it adds.
    """

    edit: Edit
    ids: tuple[int, ...]


def read_edit(value: Any, ranges: Ranges) -> Written:
    """An edit from a stranger's JSON.

    Raises:
        Refused: naming what is wrong where.
    """
    whole_edit = mapping(
        value, "edit", ("format", "version", "clip", "changes", "removed", "added")
    )
    if whole_edit.get("format") != FORMAT:
        raise Refused(f"edit: its format is not {FORMAT!r}: save one from the page")
    if whole_edit.get("version") != VERSION or isinstance(whole_edit["version"], bool):
        raise Refused(f"edit: its version is not {VERSION}, the one that is understood")
    _check_clip(whole_edit.get("clip"))
    changes = tuple(
        _change(one, f"changes[{index}]", ranges)
        for index, one in enumerate(sequence(whole_edit.get("changes", []), "changes"))
    )
    removed = tuple(
        whole(one, f"removed[{index}]", 0, ADDED - 1)
        for index, one in enumerate(sequence(whole_edit.get("removed", []), "removed"))
    )
    added, ids = [], []
    for index, one in enumerate(sequence(whole_edit.get("added", []), "added")):
        where = f"added[{index}]"
        mapping(one, where, ("id", "position", "velocity", *_LOOKS))
        ids.append(whole(one.get("id"), f"{where}.id", ADDED, 2**31))
        added.append(_added(one, where, ranges))
    named = [*(change.row for change in changes), *removed, *ids]
    for one in named:
        if named.count(one) > 1:
            raise Refused(f"edit: particle {one} is named twice: change, remove or add it once")
    return Written(Edit(changes, removed, tuple(added)), tuple(ids))


def _check_clip(value: Any) -> None:
    """Where an edit was made; a request says by itself which frame it is about."""
    if value is None:
        return
    clip = mapping(value, "clip", ("source", "video", "frame", "name"))
    if clip.get("source") not in ("data", "upload"):
        raise Refused('clip.source: expected "data" or "upload"')
    whole(clip.get("frame"), "clip.frame", 0, 2**31)
    if clip.get("video") is not None:
        whole(clip["video"], "clip.video", 0, 2**31)
    if not isinstance(clip.get("name", ""), str):
        raise Refused("clip.name: expected text")


def _check_place(clip: dict[str, Any] | None, lengths: Sequence[int]) -> None:
    """Stop unless the page can open where an edit was made; of a dropped file it asks for that."""
    if clip is None:
        raise Refused("clip: nothing says which frame it is of: save the edit from the page again")
    if clip["source"] != "data":
        return
    video = whole(clip.get("video"), "clip.video", 0, len(lengths) - 1)
    whole(clip["frame"], "clip.frame", 0, lengths[video] - 1)


def _change(value: Any, where: str, ranges: Ranges) -> Change:
    one = mapping(value, where, ("id", "position", "push", *_LOOKS))
    row = whole(one.get("id"), f"{where}.id", 0, ADDED - 1)
    found = looks(one, where, ranges)
    places = {
        name: pair(one[name], f"{where}.{name}", ranges.reach)
        for name in ("position", "push")
        if one.get(name) is not None
    }
    return Change(
        row,
        **places,
        appearance=found.appearance,
        transparency=found.transparency,
        scale=found.scale,
        depth=found.depth,
    )


def _added(one: dict[str, Any], where: str, ranges: Ranges) -> Added:
    found: Looks = looks(one, where, ranges)
    if one.get("position") is None or found.appearance is None:
        raise Refused(f"{where}: a new particle needs a position and an appearance")
    return Added(
        pair(one["position"], f"{where}.position", ranges.reach),
        found.appearance,
        pair(one.get("velocity") or [0, 0], f"{where}.velocity", ranges.reach),
        1.0 if found.transparency is None else found.transparency,
        1.0 if found.scale is None else found.scale,
        found.depth or 0.0,
    )


def check_room(scene: int, written: Written) -> None:
    """Stop if a scene of so many particles becomes too full."""
    if scene + len(written.ids) > MOST:
        raise Refused(f"edit: at most {MOST} particles in a scene: remove some")


def load_edit(path: Path, ranges: Ranges, lengths: Sequence[int]) -> dict[str, Any]:
    """The JSON of a file that the page saved, checked.

    Args:
        lengths: frames of each clip that the page can choose from.

    Raises:
        UserError: it cannot be read, is no edit of this model's particles, or of none of the clips.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: larger than {LARGEST} bytes: not an edit that was saved")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read --edit {path}: {error.strerror}: mend the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON that can be read: give a file the page saved") from error
    try:
        read_edit(value, ranges)
        _check_place(value.get("clip"), lengths)
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    return value
