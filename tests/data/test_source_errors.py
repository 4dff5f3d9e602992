"""What a user reads when something is wrong with a source."""

import os

import numpy as np
import pytest

from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source, require_length
from tests.data.files import cut, moving_square, write_video

ALL = FrameConfig()
FILM = moving_square(6, 32, 48)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_bad_files_are_left_out_and_named(tmp_path, cache):
    for name in ("a", "b", "c", "d"):
        write_video(tmp_path / f"{name}.mp4", FILM)
    cut(tmp_path / "b.mp4", 0.5)
    (tmp_path / "z.mp4").write_text("a text file")
    for _ in range(2):  # decoded, and from the cache
        dataset = open_source(str(tmp_path), ALL, cache)
        assert [video.name for video in dataset.whole] == ["a", "c", "d"]
        assert len(dataset.left_out) == 2
        assert "cut short" in dataset.left_out[0]
        assert str(tmp_path / "b.mp4") in dataset.left_out[0]
        assert str(tmp_path / "z.mp4") in dataset.left_out[1]
        with pytest.raises(UserError, match=r"cut short: .*b\.mp4"):
            open_source(str(tmp_path), FrameConfig(strict=True), cache)


def test_mixed_sizes(tmp_path, cache):
    write_video(tmp_path / "a.mp4", moving_square(4, 96, 128))
    write_video(tmp_path / "b.mp4", moving_square(4, 192, 256))
    assert open_source(str(tmp_path), ALL, cache).size == (96, 128)
    write_video(tmp_path / "c.mp4", moving_square(4, 64, 128))
    with pytest.raises(UserError, match=r"c\.mp4.*128x64.*a\.mp4 128x96.*--frames\.square true"):
        open_source(str(tmp_path), ALL, cache)
    assert open_source(str(tmp_path), FrameConfig(square=True), cache).size == (128, 128)
    crop = FrameConfig(crop=(0, 0, 64, 64))
    assert open_source(str(tmp_path), crop, cache).size == (64, 64)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.mp4", "no such file or folder: .*nowhere"),
        ("empty", "no videos in the folder: .*empty"),
        ("notes.txt", r"unknown kind of file: .*notes\.txt.*\.mp4"),
        ("text.mp4", r"not a readable video: .*text\.mp4"),
        ("cut.mp4", r"video cut short: .*cut\.mp4"),
        ("short.mp4", r"no frames: .*short\.mp4.*frame 26.*--frames\.start"),
        ("only_test", "no training videos"),
        ("floats.npy", "float64, expected uint8"),
        ("synthetic:nowhere", "unknown world: .*billiards"),
        ("synthetic:billiards,size=x", "bad option 'size=x'"),
        ("synthetic:billiards,objects=19", "objects = 19.*billiards up to 18"),
        ("synthetic:traffic,objects=3", "objects = 3.*world 'traffic' takes none"),
        ("synthetic:billiards,balls=3", "bad option 'balls=3'.*videos, frames, size, seed"),
        ("synthetic:billiards,size=33", "size: 33"),
        ("synthetic:billiards,videos=0", "videos"),
        ("x" * 300 + ".mp4", "cannot be read: .*name too long"),
        ("pipe.mp4", "neither file nor folder"),
    ],
)
def test_what_a_user_reads(tmp_path, cache, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "text.mp4").write_text("x" * 500)
    cut(write_video(tmp_path / "cut.mp4", FILM), 0.5)
    write_video(tmp_path / "short.mp4", FILM)
    for part in ("val", "test"):
        write_video(tmp_path / "only_test" / part / "a.mp4", moving_square(30, 32, 48))
    np.save(tmp_path / "floats.npy", np.full((2, 8, 8, 3), np.nan))
    os.mkfifo(tmp_path / "pipe.mp4")
    text = source if source.startswith("synthetic:") else str(tmp_path / source)
    with pytest.raises(UserError, match=message) as caught:
        open_source(text, FrameConfig(start=26), cache)
    assert "\n" not in str(caught.value)


def test_no_source_at_all(cache):
    with pytest.raises(UserError, match="--data is empty"):
        open_source(" ", ALL, cache)


def test_a_folder_that_may_not_be_read(tmp_path, cache, monkeypatch):
    (tmp_path / "films").mkdir()

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(UserError, match=r"no permission to read: .*films: .*chmod"):
        open_source(str(tmp_path / "films"), ALL, cache)


def test_too_short_for_what_follows(tmp_path, cache):
    write_video(tmp_path / "a.mp4", FILM)
    dataset = open_source(str(tmp_path / "a.mp4"), ALL, cache)
    require_length(dataset.whole, 6, "context 2 + horizon 4")
    with pytest.raises(
        UserError, match=r"video too short: a has 6 frames, context 3 \+ horizon 4 needs 7: "
    ):
        require_length(dataset.whole, 7, "context 3 + horizon 4")
