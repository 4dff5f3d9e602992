import numpy as np

from pipelines.baselines import (
    constant_velocity,
    copy_last,
    median_background,
    optical_flow,
    temporal_median,
)
from pipelines.pixel_metrics import moving_mask, psnr_moving
from tests.pipelines.discs import disc_video

VIDEO = disc_video(steps=12, size=64)
CONTEXT, FUTURE = VIDEO.frames[:8], VIDEO.frames[8:]


def test_every_forecast_is_bytes_of_the_right_shape():
    for forecast in (copy_last, median_background, optical_flow):
        for context in (CONTEXT, CONTEXT[:1]):
            frames = forecast(context, 5)
            assert frames.shape == (5, 64, 64, 3)
            assert frames.dtype == np.uint8


def test_copy_last_copies_the_last():
    assert (copy_last(CONTEXT, 3) == CONTEXT[-1]).all()


def test_the_median_is_each_pixels_own_and_can_be_given():
    frames = np.array([10, 30, 200], np.uint8)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), np.uint8
    )
    assert (temporal_median(frames) == 30).all()
    assert (median_background(frames, 2) == 30).all()
    given = np.full((2, 2, 3), 77, np.uint8)
    assert (median_background(frames, 2, given) == 77).all()


def test_the_median_of_many_frames_uses_frames_of_the_whole_time():
    frames = np.repeat(np.array([0, 250], np.uint8), [400, 600])[:, None, None, None]
    assert (temporal_median(np.broadcast_to(frames, (1000, 2, 2, 3)), most=11) == 250).all()


def test_flow_carries_moving_things_on_and_beats_copying():
    mask = moving_mask(FUTURE, CONTEXT[-1])
    flow = psnr_moving(optical_flow(CONTEXT, 4), FUTURE, mask)
    copied = psnr_moving(copy_last(CONTEXT, 4), FUTURE, mask)
    assert (flow > copied + 3).all()


def test_flow_leaves_a_scene_at_rest():
    still = CONTEXT[-1:].repeat(4, 0)
    assert np.abs(optical_flow(still, 5).astype(int) - still[0]).max() <= 1


def test_constant_velocity_goes_straight_on_and_waits_where_it_saw_no_motion():
    position = np.array([[[0, 0], [5, 5]], [[1, -2], [9, 9]]], float)
    forecast = constant_velocity(position, np.array([[True, False], [True, True]]), 3)
    assert forecast[:, 0].tolist() == [[2, -4], [3, -6], [4, -8]]
    assert forecast[:, 1].tolist() == [[9, 9]] * 3
    assert (
        constant_velocity(position[-1:], np.ones((1, 2), bool), 2).tolist()
        == [position[-1].tolist()] * 2
    )
