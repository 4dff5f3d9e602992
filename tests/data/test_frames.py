import numpy as np
import pytest

from data.errors import UserError
from data.frames import FrameConfig, fit
from data.videos import Truth


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 4),
        ("crop", (10, 0, 5, 5)),
        ("crop", (-1, 0, 5, 5)),
        ("start", -1),
        ("skip", 0),
        ("limit", -2),
        ("val_share", 1.0),
        ("test_share", -0.1),
    ],
)
def test_a_bad_setting_names_itself_and_its_value(field, value):
    with pytest.raises(ValueError, match=rf"{field} must .*found .*: ") as caught:
        FrameConfig(**{field: value})
    assert str(value) in str(caught.value)


def test_shares_must_leave_something_to_train_on():
    with pytest.raises(ValueError, match="below 1"):
        FrameConfig(val_share=0.5, test_share=0.5)


def test_picks_start_skip_limit():
    assert list(FrameConfig(start=26, skip=3).picks(40)) == [26, 29, 32, 35, 38]
    assert list(FrameConfig(start=2, skip=2, limit=2).picks(40)) == [2, 4]
    assert list(FrameConfig(start=50).picks(40)) == []
    assert 10**6 in FrameConfig(skip=2).picks()


@pytest.mark.parametrize(
    ("source", "config", "expected"),
    [
        ((320, 480), FrameConfig(size=128), (88, 128)),
        ((320, 480), FrameConfig(size=128, square=True), (128, 128)),
        ((576, 768), FrameConfig(), (96, 128)),
        ((64, 64), FrameConfig(), (64, 64)),
        ((50, 30), FrameConfig(), (48, 32)),
        ((480, 480), FrameConfig(size=128, crop=(60, 0, 480, 420)), (128, 128)),
        ((10, 1000), FrameConfig(size=64), (8, 64)),
    ],
)
def test_stored_sizes(source, config, expected):
    height, width = source
    geometry = fit(height, width, config, "film.mp4")
    assert (geometry.height, geometry.width) == expected
    assert geometry.frame(np.zeros((*source, 3), np.uint8)).shape == (*expected, 3)


def test_shrinking_averages_areas():
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[::2, ::2] = 200
    assert (fit(32, 32, FrameConfig(size=16), "").frame(frame) == 50).all()


def test_crop_outside_the_frame_is_the_users_to_mend():
    with pytest.raises(UserError, match=r"film.mp4.*480x420.*320x240.*--frames.crop"):
        fit(240, 320, FrameConfig(crop=(60, 0, 480, 420)), "film.mp4")


def test_points_keep_to_pixel_centres():
    # Four source pixels around x = y = 8.5 become the one pixel whose centre is 4.
    truth = Truth(np.full((1, 1, 2), 8.5), np.ones((1, 1), bool), np.full((1, 1), 6.0))
    shrunk = fit(32, 32, FrameConfig(size=16), "").truth(truth)
    assert shrunk.position.tolist() == [[[4.0, 4.0]]]
    assert shrunk.radius.tolist() == [[3.0]]


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("size", [48, 96, 160])
def test_tracks_and_masks_stay_on_what_they_mark(size, square):
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[50:63, 90:107] = 255
    mask = (frame[None, ..., 0] > 0).astype(np.uint8)
    truth = Truth(np.array([[[98.0, 56.0]]]), np.ones((1, 1), bool), np.ones((1, 1)), mask)
    geometry = fit(120, 160, FrameConfig(size=size, square=square, crop=(20, 10, 150, 110)), "")
    weight = geometry.frame(frame)[..., 0].astype(float)
    rows, columns = np.mgrid[: geometry.height, : geometry.width]
    centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    moved = geometry.truth(truth)
    # A slip of half a pixel in the convention would show as 0.11 or more at these sizes.
    np.testing.assert_allclose(moved.position[0, 0], centre, atol=0.08)
    assert moved.mask is not None
    assert (moved.mask[0] == (weight > 127)).mean() > 0.99


def test_what_is_cropped_away_is_not_visible():
    position = np.array([[[5.0, 5.0], [20.0, 20.0], [30.0, 30.0]]])
    seen = np.array([[True, True, False]])
    truth = Truth(position, seen, np.ones((1, 3)))
    moved = fit(40, 40, FrameConfig(crop=(10, 10, 34, 34)), "").truth(truth)
    assert moved.visible.tolist() == [[False, True, False]]


def test_a_mask_takes_the_label_at_the_middle_of_each_stored_pixel():
    mask = np.tile(np.arange(32, dtype=np.uint8), (1, 32, 1))
    truth = Truth(np.zeros((1, 0, 2)), np.zeros((1, 0), bool), np.zeros((1, 0)), mask)
    moved = fit(32, 32, FrameConfig(size=8), "").truth(truth)
    assert moved.mask is not None
    assert moved.mask[0, 3].tolist() == [2, 6, 10, 14, 18, 22, 26, 30]
