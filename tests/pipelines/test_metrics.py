from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from data.videos import Truth
from pipelines import metrics, pixel_metrics
from tests.pipelines.discs import disc_truth, disc_video


def truth_of(position, visible=None, radius=2.0) -> Truth:
    position = np.asarray(position, np.float32)
    shape = position.shape[:2]
    visible = np.ones(shape, bool) if visible is None else np.asarray(visible)
    return Truth(position, visible, np.full(shape, radius, np.float32))


def noisy(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    frames = disc_video(steps=4, size=32).frames
    noise = np.random.default_rng(seed).integers(-30, 30, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8), frames


def test_psnr_and_ssim_agree_with_torchmetrics_frame_by_frame():
    prediction, truth = noisy()
    for t in range(len(truth)):
        first, second = (
            torch.from_numpy(x[t : t + 1]).permute(0, 3, 1, 2).double() / 255
            for x in (prediction, truth)
        )
        noise = peak_signal_noise_ratio(first, second, data_range=1.0)
        assert pixel_metrics.psnr(prediction, truth)[t] == pytest.approx(float(noise), abs=1e-4)
        likeness = structural_similarity_index_measure(first, second, data_range=1.0)
        assert isinstance(likeness, torch.Tensor)
        assert pixel_metrics.ssim(prediction, truth)[t] == pytest.approx(float(likeness), abs=1e-4)


def test_uniform_ssim_agrees_with_scikit_image_frame_by_frame():
    prediction, truth = noisy()
    found = pixel_metrics.uniform_ssim(prediction, truth)
    for frame, true, value in zip(prediction, truth, found, strict=True):
        assert value == pytest.approx(structural_similarity(frame, true, channel_axis=2), abs=1e-4)
    assert abs(found - pixel_metrics.ssim(prediction, truth)).max() > 0.01  # another convention


def test_psnr_of_all_frames_together_is_that_of_the_mean_error():
    truth = np.zeros((2, 12, 12, 3))
    prediction = truth.copy()
    prediction[0], prediction[1] = 0.1, 0.3
    assert pixel_metrics.pooled_psnr(prediction, truth) == pytest.approx(-10 * np.log10(0.05))
    assert pixel_metrics.pooled_psnr(truth, truth) == pixel_metrics.PSNR_CAP
    together, one_by_one = pixel_metrics.pooled_psnr(*noisy()), pixel_metrics.psnr(*noisy()).mean()
    assert together <= one_by_one


def test_psnr_worked_out_by_hand_is_the_same_for_bytes_and_floats():
    truth = np.zeros((1, 12, 12, 3), np.uint8)
    prediction = truth.copy()
    prediction[..., 0] = 51  # 0.2 in one channel of three: 0.04 / 3
    expected = -10 * np.log10(0.04 / 3)
    assert pixel_metrics.psnr(prediction, truth) == pytest.approx([expected])
    assert pixel_metrics.psnr(prediction / 255, truth / 255) == pytest.approx([expected])


def test_a_perfect_prediction_is_perfect():
    frames, truth = disc_video(steps=6, size=32).frames, disc_truth(steps=6, size=32)
    mask = pixel_metrics.moving_mask(frames[2:], frames[1])
    assert pixel_metrics.psnr(frames, frames).tolist() == [100.0] * 6
    assert pixel_metrics.ssim(frames, frames) == pytest.approx([1.0] * 6)
    assert pixel_metrics.uniform_ssim(frames, frames) == pytest.approx([1.0] * 6)
    assert pixel_metrics.psnr_moving(frames[2:], frames[2:], mask).tolist() == [100.0] * 4
    live = np.ones((6, 3))
    followed = metrics.position_error(truth.position, live, truth, 32)
    assert followed.error.shape == (5, 3)
    assert followed.error.max() == 0
    assert metrics.coverage(truth.position, live, truth, 0.1) == 1
    assert metrics.precision(truth.position, live, truth, 0.1) == 1
    assert metrics.live_per_object(live, truth) == 1


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"prediction is \(2, 8, 8, 3\) and truth \(3, 8, 8, 3\)"):
        pixel_metrics.psnr(np.zeros((2, 8, 8, 3)), np.zeros((3, 8, 8, 3)))


def test_moving_pixels_are_where_a_thing_was_and_where_it_is_and_one_around():
    last = np.zeros((12, 12, 3), np.uint8)
    last[2, 2] = 200
    future = np.zeros((3, 12, 12, 3), np.uint8)
    future[:, 8, 8, 1] = 200
    future[:, 5, 0] = 20  # 20 / 255 = 0.078 is below the threshold
    expected = np.zeros((12, 12), bool)
    expected[1:4, 1:4] = expected[7:10, 7:10] = True
    mask = pixel_metrics.moving_mask(future, last, background=np.zeros((12, 12, 3), np.uint8))
    assert (mask == expected).all()


def test_a_thing_at_rest_counts_if_it_is_not_of_the_background():
    frame = np.zeros((12, 12, 3), np.uint8)
    frame[6, 6] = 255
    future = frame[None].repeat(2, 0)
    assert not pixel_metrics.moving_mask(future, frame).any()
    assert pixel_metrics.moving_mask(future, frame, background=np.zeros_like(frame)).sum() == 2 * 9


def test_psnr_on_moving_pixels_ignores_the_others():
    truth = np.zeros((2, 4, 4, 3))
    prediction = truth.copy()
    prediction[:, 0, 0] = 0.1
    prediction[:, 3, 3] = 0.9  # outside the mask
    mask = np.zeros((2, 4, 4), bool)
    mask[0, 0, :2] = True
    result = pixel_metrics.psnr_moving(prediction, truth, mask)
    assert result[0] == pytest.approx(-10 * np.log10(0.01 / 2))
    assert np.isnan(result[1])


def test_position_error_follows_the_same_particle_through_a_swap():
    # Two objects stand still; after one step the two particles trade places.
    truth = truth_of(np.tile([[10.0, 10.0], [40.0, 10.0]], (3, 1, 1)))
    position = np.array([[[10, 10], [40, 10]], [[10, 10], [40, 10]], [[40, 10], [10, 10]]], float)
    followed = metrics.position_error(position, np.ones((3, 2)), truth, 64)
    assert followed.error.tolist() == [[0, 0], [30, 30]]
    assert metrics.coverage(position, np.ones((3, 2)), truth, 1) == 1


def test_position_error_pairs_live_and_near_only_and_leaves_out_the_hidden():
    truth = truth_of(
        np.tile([[10.0, 10.0], [40.0, 10.0], [40.0, 40.0]], (2, 1, 1)),
        visible=[[True, True, False], [True, False, True]],
    )
    # Row 0 dead on object 0; row 1 3 px from it; row 2 on object 1; row 3 beyond the gate.
    position = np.tile([[10.0, 10.0], [10.0, 13.0], [40.0, 10.0], [60.0, 60.0]], (2, 1, 1))
    transparency = np.array([[0.1, 1, 1, 1]] * 2)
    followed = metrics.position_error(position, transparency, truth, 64)
    assert followed.particle.tolist() == [1, 2]
    assert followed.target.tolist() == [0, 1]
    assert followed.visible == 2
    assert followed.error[0, 0] == 3
    assert np.isnan(followed.error[0, 1])


def test_the_gate_is_six_percent_of_the_side_or_the_radius():
    position = np.array([[[15.0, 10.0]]] * 2)
    for radius, matched in [(4.0, 0), (5.0, 1)]:
        truth = truth_of([[[10.0, 10.0]]] * 2, radius=radius)
        found = metrics.position_error(position, np.ones((2, 1)), truth, longer_side=64)
        assert len(found.target) == matched


def test_assignment_prefers_more_pairs_to_nearer_ones():
    # The nearest pair (row 1, object 0) would leave row 0 without any partner.
    truth = truth_of([[[10.0, 10.0], [14.0, 10.0]]] * 2)
    position = np.array([[[7.5, 10.0], [11.0, 10.0]]] * 2)
    followed = metrics.position_error(position, np.ones((2, 2)), truth, 64)
    assert followed.target.tolist() == [0, 1]


def test_position_error_does_not_depend_on_the_rows_order():
    generator = np.random.default_rng(1)
    truth = truth_of(generator.uniform(0, 60, (4, 5, 2)))
    position = truth.position + generator.normal(0, 1, (4, 5, 2))
    order = generator.permutation(5)
    first = metrics.position_error(position, np.ones((4, 5)), truth, 64)
    second = metrics.position_error(position[:, order], np.ones((4, 5)), truth, 64)
    assert np.allclose(first.error.mean(1), second.error.mean(1))


def test_coverage_and_precision_count_objects_and_particles():
    truth = truth_of(
        [[[10.0, 10.0], [40.0, 40.0], [20.0, 50.0]]], visible=[[True, True, False]], radius=6.0
    )
    # On object 0; again on it, 5 px off; dead on object 1; on the hidden one; on nothing.
    position = np.array([[[10, 10], [10, 15], [40, 40], [20, 50], [60, 5]]], float)
    transparency = np.array([[1, 1, 0.2, 1, 0.4]])
    assert metrics.coverage(position, transparency, truth, 4) == 0.5
    assert metrics.precision(position, transparency, truth, 4) == 0.5
    assert metrics.live_per_object(transparency, truth) == 2


def test_particles_on_hidden_objects_can_be_left_out():
    truth = truth_of(
        [[[1.0, 1.0], [6.0, 6.0], [9.0, 1.0]]], visible=[[True, False, False]], radius=1.0
    )
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 1, 1], mask[0, 6, 6], mask[0, 1, 7] = 1, 2, 3
    truth = replace(truth, mask=mask)
    # On the visible one; on the hidden one; beside the hidden one; over the edge, on the third.
    position = np.array([[[1.2, 0.8], [5.6, 6.4], [4.4, 6], [8.1, 1.4]]])
    live = np.ones((1, 4))
    ignored = metrics.on_hidden(position, truth)
    assert ignored.tolist() == [[False, True, False, True]]
    assert metrics.precision(position, live, truth, 1) == 0.25
    assert metrics.precision(position, live, truth, 1, ignored) == 0.5


def test_nothing_to_measure_is_not_a_number():
    truth = truth_of(np.zeros((2, 1, 2)), visible=np.zeros((2, 1), bool))
    position, dead = np.zeros((2, 1, 2)), np.zeros((2, 1))
    assert np.isnan(metrics.coverage(position, dead, truth, 4))
    assert np.isnan(metrics.precision(position, dead, truth, 4))
    assert np.isnan(metrics.live_per_object(dead, truth))
    assert np.isnan(metrics.jitter(position, dead))
    assert metrics.position_error(position, dead, truth, 64).error.shape == (1, 0)


def test_jitter_is_the_noise_about_a_straight_line_and_forgives_a_jump():
    generator = np.random.default_rng(0)
    line = np.arange(400)[:, None, None] * np.array([1.5, -0.5]) + np.zeros((1, 6, 2))
    live = np.ones((400, 6))
    assert metrics.jitter(line, live) == pytest.approx(0, abs=1e-9)
    shaken = line + generator.normal(0, 0.7, line.shape)
    shaken[200:, 0] += 30
    assert metrics.jitter(shaken, live) == pytest.approx(0.7, rel=0.05)
