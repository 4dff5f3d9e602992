"""Tracks derived from boxes or masks alone, and the one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source
from data.tracks import read_tracks, tracks_path
from data.videos import Truth
from tests.data.files import moving_square, write_video

FILM = moving_square(6, 64, 96)
"""A square of 16 pixels; its left edge moves 4 pixels a frame from 0, its top edge is at 16."""
HIDDEN = 2
FITS = {
    "whole": FrameConfig(),
    "cut and enlarged": FrameConfig(size=128, crop=(0, 8, 80, 48)),
    "stretched": FrameConfig(size=64, square=True),
    "skipped": FrameConfig(start=1, skip=2),
}


def boxes() -> np.ndarray:
    """[6, 2, 4]: the square, hidden once, and a thing that is never there."""
    left = 4.0 * np.arange(6)
    box = np.stack([left, left * 0 + 16, left + 16, left * 0 + 32], -1)
    box[HIDDEN] = np.nan
    return np.stack([box, np.zeros((6, 4))], 1)


def masks() -> np.ndarray:
    """[6, 64, 96]: the square is label 1, hidden once."""
    mask = (FILM[..., 0] > 100).astype(np.uint8)
    mask[HIDDEN] = 0
    return mask


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, allow_pickle=False, **arrays)
    return path


def opened(folder: Path, config: FrameConfig, **arrays: np.ndarray) -> Truth:
    """The truth of a film with these arrays beside it."""
    film = write_video(folder / "a.mp4", FILM)
    saved(tracks_path(film), **arrays)
    (video,) = open_source(str(film), config, folder / "cache").whole
    assert video.truth is not None
    return video.truth


def test_a_box_is_its_centre_and_half_the_mean_of_its_sides(tmp_path: Path) -> None:
    box = np.array([[[10, 20, 30, 60]], [[10, 20, 10, 60]], [[14, 20, 34, 50]]])
    truth = read_tracks(saved(tmp_path / "a.tracks.npz", box=box))
    assert truth.visible[:, 0].tolist() == [True, False, True]
    # Pixels 10 to 29 have their middle at 19.5; the hidden one lies between its neighbours.
    assert truth.position[:, 0].tolist() == [[19.5, 39.5], [21.5, 37.0], [23.5, 34.5]]
    assert truth.radius[:, 0].tolist() == [15.0, 13.75, 12.5]
    assert truth.mask is None


def test_a_mask_is_its_centroid_and_the_circle_of_its_area(tmp_path: Path) -> None:
    mask = np.zeros((2, 20, 30), np.int64)
    mask[0, 4:9, 10:15], mask[1, 4:9, 12:17] = 3, 3
    mask[1, 0, 0] = 1
    truth = read_tracks(saved(tmp_path / "a.tracks.npz", mask=mask))
    assert truth.visible.tolist() == [[False, False, True], [True, False, True]]
    assert truth.position[:, 2].tolist() == [[12, 6], [14, 6]]
    assert truth.position[1, 0].tolist() == [0, 0]
    np.testing.assert_allclose(truth.radius[:, 2], np.sqrt(25 / np.pi))
    assert truth.mask is not None
    assert truth.mask.dtype == np.uint8
    np.testing.assert_array_equal(truth.mask, mask)


@pytest.mark.parametrize("config", FITS.values(), ids=FITS)
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_they_are_cut_and_resized_as_tracks_are(
    tmp_path: Path, kind: str, config: FrameConfig
) -> None:
    """Equal to tracks written by hand from where the square is."""
    position = np.stack([4.0 * np.arange(6) + 7.5, np.full(6, 23.5)], -1)[:, None]
    visible = np.arange(6)[:, None] != HIDDEN
    radius = np.full((6, 1), 8.0 if kind == "box" else 16 / np.sqrt(np.pi))
    given = {"position": position, "visible": visible, "radius": radius, "mask": masks()}
    (tmp_path / "by hand").mkdir()
    expected = opened(tmp_path / "by hand", config, **given)
    found = opened(tmp_path, config, **{kind: boxes() if kind == "box" else masks()})
    np.testing.assert_array_equal(found.visible[:, :1], expected.visible)
    np.testing.assert_allclose(found.position[:, :1], expected.position, atol=1e-4)
    np.testing.assert_allclose(found.radius[:, :1], expected.radius, rtol=1e-5)
    if kind == "mask":
        np.testing.assert_array_equal(found.mask, expected.mask)
    else:
        assert found.mask is None
        assert not found.visible[:, 1].any()


def test_boxes_and_masks_go_together(tmp_path: Path) -> None:
    truth = opened(tmp_path, FrameConfig(), box=boxes(), mask=masks())
    assert truth.radius[0, 0] == 8
    np.testing.assert_array_equal(truth.mask, masks())


def test_what_is_cropped_away_is_not_visible(tmp_path: Path) -> None:
    truth = opened(tmp_path, FrameConfig(crop=(16, 0, 96, 64)), box=boxes())
    # The centre comes into the cut with its left edge at 12; frame 2 is hidden anyway.
    assert truth.visible[:, 0].tolist() == [False, False, False, True, True, True]


def test_masks_without_a_label_are_a_film_of_nothing(tmp_path: Path) -> None:
    truth = opened(tmp_path, FrameConfig(), mask=np.zeros((6, 64, 96), np.uint8))
    assert truth.visible.shape == (6, 1)
    assert not truth.visible.any()


SQUARE = masks()
WRONG: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "a name": ({"boxes": boxes()}, "incomplete.*needs position.*or box or mask.*found boxes"),
    "half of tracks": ({"box": boxes(), "visible": np.ones((6, 2))}, "incomplete.*box, visible"),
    "box of a rank": ({"box": boxes()[:, 0]}, r"box is \[6, 4\], expected \[t, n, 4\]"),
    "box of five": ({"box": np.zeros((6, 1, 5))}, r"box is \[6, 1, 5\]"),
    "box, infinite": ({"box": np.full((6, 1, 4), np.inf)}, "infinite side"),
    "box with a width": (
        {"box": np.array([[[0.0, 0, 0, 0]], [[50.0, 20, 16, 16]]])},
        r"box of frame 1, object 0 is \[50\.0.*not a width",
    ),
    "box of texts": ({"box": np.full((6, 1, 4), "x")}, "damaged tracks"),
    "mask of a rank": ({"mask": SQUARE[0]}, r"mask is \[64, 96\], expected \[t, h, w\]"),
    "mask of floats": ({"mask": SQUARE * 1.0}, "mask is of float64, expected whole numbers"),
    "mask beyond": ({"mask": SQUARE.astype(int) * 300}, "mask holds 0 to 300, expected labels"),
    "mask below": ({"mask": -SQUARE.astype(int)}, "mask holds -1 to 0"),
    "mask too short": ({"box": boxes(), "mask": SQUARE[:5]}, "mask has 5 frames, expected 6"),
    "label of no box": ({"box": boxes(), "mask": SQUARE * 9}, "label 9, expected at most 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    arrays, expected = WRONG[name]
    path = saved(tmp_path / "a.tracks.npz", **arrays)
    with pytest.raises(UserError, match=expected) as caught:
        read_tracks(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    assert "make it again, or remove it" in said


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"box": boxes()[:5]}, "5 steps do not fit"),
        ({"mask": masks()[:, :32]}, "masks of 96x32, but its frames are 96x64"),
    ],
)
def test_what_is_of_another_video_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], expected: str
) -> None:
    with pytest.raises(UserError, match=f"tracks of another video.*{expected}.*make them again"):
        opened(tmp_path, FrameConfig(), **arrays)
