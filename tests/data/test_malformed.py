"""Whatever a source is like, it works or gives one line that says what, where and what to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source
from tests.data.files import write_video
from tests.data.malformed import BAD_FILES, BAD_SOURCES, FILM, WORKS, frames, hundred, text

ALL, STRICT = FrameConfig(), FrameConfig(strict=True)
REFUSED = BAD_FILES | BAD_SOURCES


def refusal(source: Path, cache: Path, config: FrameConfig = ALL) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(UserError) as caught:
        open_source(str(source), config, cache)
    said = str(caught.value)
    assert "\n" not in said
    assert said.count(": ") >= 2, said  # what: where: what to do
    return said


def test_there_are_sixty_of_them() -> None:
    assert len(WORKS) + len(REFUSED) >= 60


@pytest.mark.parametrize("name", WORKS)
def test_an_unusual_source_works(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, expected = WORKS[name]
    dataset = open_source(str(make(tmp_path)), STRICT, tmp_path / "cache")
    for video in dataset.whole:
        assert video.frames.shape == (*expected, 3)
        assert video.fps > 0
        assert len(f".{video.name}_compare.mp4.1234567.part".encode()) <= 255  # a file's name
    assert capfd.readouterr() == ("", "")  # nor do the decoders chatter


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_source_is_refused_in_one_line(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, expected = REFUSED[name]
    said = refusal(make(tmp_path), tmp_path / "cache")
    assert re.search(expected, said), said
    assert str(tmp_path) in said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_among_good_ones_is_left_out_and_strict_stops(tmp_path: Path, name: str) -> None:
    made = BAD_FILES[name][0](tmp_path)
    folder = tmp_path / "set"
    folder.mkdir()
    for good in "gh":
        if made.is_dir():
            frames(folder / good)
        else:
            write_video(folder / f"{good}.mp4", FILM)
    for path in [made, *tmp_path.glob("*.tracks.npz")]:
        shutil.move(path, folder / path.name)
    dataset = open_source(str(folder), ALL, tmp_path / "cache")
    assert [video.name for video in dataset.whole] == ["g", "h"]
    (line,) = dataset.left_out
    assert str(folder / "a") in line
    for cache in ("cache", "another"):  # decoded already, and anew
        assert refusal(folder, tmp_path / cache, STRICT) == line


@pytest.mark.parametrize("bad", [0, 57, 99])
def test_one_bad_file_among_a_hundred(tmp_path: Path, bad: int) -> None:
    folder = hundred(tmp_path / "films", bad)
    dataset = open_source(str(folder), ALL, tmp_path / "cache")
    assert len(dataset.whole) == 99
    assert [f"film_{bad:03d}.mp4" in line for line in dataset.left_out] == [True]
    assert f"film_{bad:03d}.mp4" in refusal(folder, tmp_path / "cache", STRICT)


def test_if_all_are_bad_their_number_is_told(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for name in "abc":
        text(tmp_path / "films" / f"{name}.mp4", b"x" * 99)
    assert "(and 2 more files, all unusable)" in refusal(tmp_path / "films", tmp_path / "cache")
