"""Any text as a source, any index as a cache: an answer or one line, never a crash or a hang."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.arrays import open_array
from data.errors import UserError
from data.frames import FrameConfig
from data.layouts import LONGEST_NAME, file_layout, safe_name, unique_names
from data.source import open_source
from data.storage import StorageWriter, Stored, read_storage
from data.synthetic import parse
from data.worlds import DEFAULTS
from tests.data.malformed import FILM, array

SHARED = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(["", "a", "../x", "/etc", "train", "frames.npy", "\ud800"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def tried(call: Callable[[], Any]) -> tuple[Any, str]:
    """What it gives, or None and the one line that it is refused with."""
    try:
        return call(), ""
    except UserError as error:
        return None, str(error)


@SHARED
@given(st.text())
def test_any_text_as_a_path(text: str) -> None:
    found, said = tried(lambda: file_layout(f"/nowhere/{text}"))
    assert said.count(": ") >= 2 or found is not None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*DEFAULTS, "", "mars", "billiards "]),
    st.lists(
        st.tuples(
            st.sampled_from(["videos", "frames", "size", "seed", "objects", "physics", "disturb"])
            | st.text(max_size=4),
            st.integers(-3, 10**30).map(str) | st.text(max_size=4) | st.just("light+noise"),
            st.sampled_from(["=", "", "=="]),
        ),
        max_size=4,
    ),
)
def test_any_text_as_a_synthetic_source(world: str, options: list[tuple[str, str, str]]) -> None:
    source = ",".join([f"synthetic:{world}", *(f"{k}{sign}{v}" for k, v, sign in options)])
    parsed, said = tried(lambda: parse(source))
    if said:
        return
    name, found, physics, disturbances = parsed
    assert name in DEFAULTS
    assert all(isinstance(value, int) and value >= 0 for value in found.values())
    assert isinstance(physics, str)
    assert all(isinstance(one, str) for one in disturbances)


@pytest.mark.parametrize(
    "options", ["videos=99999999999999", "frames=99999999999", "size=99999999", "objects=999999999"]
)
def test_a_world_too_large_for_any_disk_is_refused_at_once(tmp_path: Path, options: str) -> None:
    with pytest.raises(UserError) as caught:
        open_source(f"synthetic:billiards,{options}", FrameConfig(), tmp_path)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_becomes_a_safe_name(text: str) -> None:
    name = safe_name(text)
    assert name
    assert not set(name) & set("/\\\0\n :")
    assert not name.startswith(".")
    assert len(name.encode()) <= LONGEST_NAME


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "a.mp4", "x" * 300]), min_size=1, max_size=3)))
def test_names_are_unique(parts: list[list[str]]) -> None:
    paths = [Path("/root", *one) for one in dict.fromkeys(map(tuple, parts))]
    names = unique_names(Path("/root"), paths)
    assert len(set(names)) == len(names) == len(paths)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A good cache of two videos."""
    (tmp_path / "good").mkdir()
    writer = StorageWriter(tmp_path / "good", 8, 16)
    for name in "ab":
        writer.frames.append(np.full((3, 8, 16, 3), 7, np.uint8))
        writer.end_video(name, "", 10.0, None)
    writer.finish("key", [])
    return tmp_path / "good"


def is_sound(stored: Stored) -> bool:
    """Whether what was read can be used as it is."""
    return all(
        video.frames.ndim == 4
        and len(video) > 0
        and "/" not in video.name
        and not video.name.startswith(".")
        and video.fps > 0
        for video in stored.videos
    )


@SHARED
@given(data=st.data())
def test_any_change_of_a_cache_index(cache: Path, data: st.DataObject) -> None:
    assert read_storage(cache, "key") is not None
    index: dict[str, Any] = json.loads((cache / "index.json").read_text())
    holder = data.draw(st.sampled_from([index, *index["videos"]]))
    holder[data.draw(st.sampled_from([*holder, "other"]))] = data.draw(JSON)
    other = cache.with_name("other")
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(cache, other)
    (other / "index.json").write_text(json.dumps(index))
    stored = read_storage(other, "key")
    assert stored is None or is_sound(stored)


@SHARED
@given(content=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_content_as_a_cache_index(cache: Path, content: bytes) -> None:
    (cache / "index.json").write_bytes(content)
    assert read_storage(cache, "key") is None


@SHARED
@given(at=st.integers(0, 127), content=st.binary(min_size=1, max_size=20))
def test_any_change_of_a_cached_arrays_header(cache: Path, at: int, content: bytes) -> None:
    path = cache / "frames.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])
    stored = read_storage(cache, "key")
    path.write_bytes(whole)
    assert stored is None or is_sound(stored)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 400), content=st.binary(min_size=1, max_size=20))
def test_any_change_of_an_array_file(tmp_path: Path, suffix: str, at: int, content: bytes) -> None:
    path = array(tmp_path / f"a{suffix}", FILM)
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])

    def read() -> list[np.ndarray]:
        return list(open_array(path).read(0, "a", FrameConfig(limit=2)).frames)

    frames, said = tried(read)
    assert "\n" not in said
    assert said or all(frame.dtype == np.uint8 and frame.ndim == 3 for frame in frames)
