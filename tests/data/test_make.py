"""make-data: films that other programs read back, and tracks beside them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data.errors import UserError
from data.make import make_data
from data.worlds import seed_of, simulate
from data.write import write_mp4


def read(path: Path) -> np.ndarray:
    """All frames [t, h, w, 3] RGB, as OpenCV reads them."""
    film = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while True:
        more, frame = film.read()
        if not more:
            return np.stack(frames)[..., ::-1]
        frames.append(frame)


def loss(one: np.ndarray, two: np.ndarray) -> float:
    """PSNR in dB."""
    return float(10 * np.log10(255**2 / ((one.astype(float) - two.astype(float)) ** 2).mean()))


@pytest.mark.parametrize("world", ["billiards", "traffic", "clevrer"])
def test_films_read_back_close_to_the_frames_with_their_tracks(tmp_path: Path, world: str) -> None:
    heard: list[float] = []
    out = tmp_path / "new" / "set"
    made = make_data(world, out, 2, 12, 64, 3, lambda _, share: heard.append(share))
    assert made == [out / f"{world}_00000.mp4", out / f"{world}_00001.mp4"]
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [p.name for p in made] + [f"{p.stem}.tracks.npz" for p in made]
    )
    assert heard == [0.5, 1]
    for index, path in enumerate(made):
        video = simulate(world, 12, 64, seed_of(3, index))
        assert video.truth is not None
        frames = read(path)
        assert frames.shape == video.frames.shape
        assert loss(frames, video.frames) > 28
        with np.load(path.with_suffix(".tracks.npz")) as tracks:
            for name in ("position", "visible", "radius", "mask"):
                assert np.array_equal(tracks[name], getattr(video.truth, name))


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "billiards_00000.mp4"
    mine.write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        make_data("billiards", tmp_path, 1, 3, 32, 0)
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]


def test_a_file_in_the_folders_place_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "set"
    mine.write_text("mine")
    with pytest.raises(UserError, match="set"):
        make_data("billiards", mine, 1, 3, 32, 0)
    assert mine.read_text() == "mine"


def test_an_unknown_world_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"moon.*billiards"):
        make_data("moon", tmp_path / "set", 1, 3, 32, 0)
    assert not (tmp_path / "set").exists()


def test_odd_sides_are_padded_to_even_ones(tmp_path: Path) -> None:
    still = np.full((35, 41, 3), [200, 80, 40], np.uint8)
    write_mp4(tmp_path / "film.mp4", [still] * 4, fps=12.5, crf=10)
    frames = read(tmp_path / "film.mp4")
    assert frames.shape == (4, 36, 42, 3)
    assert loss(frames, np.broadcast_to(still[0, 0], frames.shape)) > 35
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).get(cv2.CAP_PROP_FPS) == 12.5


def test_a_film_starts_to_play_before_it_is_whole(tmp_path: Path) -> None:
    """The index (moov) comes before the pictures (mdat), for browsers."""
    write_mp4(tmp_path / "film.mp4", [np.zeros((32, 32, 3), np.uint8)] * 3, fps=10)
    film = (tmp_path / "film.mp4").read_bytes()
    assert film.index(b"moov") < film.index(b"mdat")


def test_a_film_that_fails_midway_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("old")
    frames = [np.zeros((32, 32, 3), np.uint8), np.zeros((16, 32, 3), np.uint8)]
    with pytest.raises(ValueError, match="frame 1"):
        write_mp4(path, frames, fps=10)
    with pytest.raises(UserError, match="no frames"):
        write_mp4(path, [], fps=10)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        write_mp4(tmp_path / "nowhere" / "film.mp4", [np.zeros((32, 32, 3), np.uint8)], fps=10)
