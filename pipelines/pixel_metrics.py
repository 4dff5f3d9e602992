"""How good a forecast's pixels are, step by step: PSNR and SSIM, of all and of what moves.

A figure that nothing was there to measure is NaN, never 0 and never perfect.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import structural_similarity_index_measure

PSNR_CAP = 100.0  # dB; two equal frames have no finite PSNR and would spoil every mean
MOVING_THRESHOLD = 0.08  # of the range [0, 1], in the channel that differs most
UNIFORM = 7  # side of the windows of uniform_ssim


def _unit(frames: np.ndarray) -> np.ndarray:
    """uint8 or float frames as float64 in [0, 1]."""
    return frames / 255.0 if frames.dtype == np.uint8 else frames.astype(np.float64)


def _psnr(error: np.ndarray) -> np.ndarray:
    """Mean squared errors on [0, 1] to decibels, at most `PSNR_CAP`."""
    return -10 * np.log10(np.maximum(error, 10 ** (-PSNR_CAP / 10)))


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape or prediction.ndim != 4:
        raise ValueError(
            f"frames: prediction is {prediction.shape} and truth {truth.shape}; "
            "both must be the same [t, h, w, 3]"
        )


def psnr(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """PSNR of each frame, from the mean squared error over its pixels and channels.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1].

    Returns:
        [t] dB, at most 100. A video's PSNR is the mean of these, not that of the mean error.
    """
    _check(prediction, truth)
    return _psnr(((_unit(prediction) - _unit(truth)) ** 2).mean((1, 2, 3)))


def pooled_psnr(prediction: np.ndarray, truth: np.ndarray) -> float:
    """PSNR of all frames together, from their mean error: never above the mean of `psnr`."""
    _check(prediction, truth)
    return float(_psnr(((_unit(prediction) - _unit(truth)) ** 2).mean()))


def ssim(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSIM of each frame: Gaussian window of sigma 1.5, per RGB channel, data range 1.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1], at least 11 pixels a side.

    Returns:
        [t], 1 for equal frames.
    """
    _check(prediction, truth)
    # In single precision: in double, torch's convolution is some thirty times slower here.
    first, second = (_channels_first(frames).float() for frames in (prediction, truth))
    value = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert isinstance(value, torch.Tensor)
    return value.reshape(len(prediction)).numpy()


def uniform_ssim(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSIM of each frame as scikit-image has it: uniform windows of 7 x 7 and sample covariances.

    ((2 m n + c) (2 cov + d)) / ((m^2 + n^2 + c) (var + var' + d)), c = 0.01^2 and d = 0.03^2, mean
    over all windows inside the frame and over RGB channels (Wang et al., 2004, equation 13).

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1], at least 7 pixels a side.

    Returns:
        [t], 1 for equal frames.
    """
    _check(prediction, truth)
    first, second = _channels_first(prediction), _channels_first(truth)
    sample = UNIFORM**2 / (UNIFORM**2 - 1)
    m, n = _window_mean(first), _window_mean(second)
    variance = sample * (_window_mean(first**2) - m**2 + _window_mean(second**2) - n**2)
    covariance = sample * (_window_mean(first * second) - m * n)
    c, d = 0.01**2, 0.03**2
    value = (2 * m * n + c) * (2 * covariance + d) / ((m**2 + n**2 + c) * (variance + d))
    return value.mean((1, 2, 3)).numpy()


def _channels_first(frames: np.ndarray) -> torch.Tensor:
    """[t, h, w, 3] to [t, 3, h, w] in double precision, in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(_unit(frames).transpose(0, 3, 1, 2)))


def _window_mean(values: torch.Tensor) -> torch.Tensor:
    """Means of the uniform windows that lie inside [t, 3, h, w]."""
    return avg_pool2d(values, UNIFORM, stride=1)


def moving_mask(
    truth: np.ndarray, last_context: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Where the true future moves.

    A pixel moves if, in any channel, it differs by more than 0.08 from the last context frame
    or from the static background; one pixel is added around (a 3 x 3 dilation). So both where
    a thing was and where it now is count, and so does a thing that stands still this moment
    but not always.

    Args:
        truth: [t, h, w, 3] the true future, uint8 or float in [0, 1].
        last_context: [h, w, 3] the last frame that was seen.
        background: [h, w, 3], by default the temporal median of truth and the last context.

    Returns:
        [t, h, w] bool.
    """
    future, last = _unit(truth), _unit(last_context)
    if background is None:
        still = np.median(np.concatenate([last[None], future]), 0)
    else:
        still = _unit(background)
    difference = np.maximum(np.abs(future - last), np.abs(future - still)).max(-1)
    kernel = np.ones((3, 3), np.uint8)
    moving = (difference > MOVING_THRESHOLD).astype(np.uint8)
    return np.stack([cv2.dilate(frame, kernel) for frame in moving]).astype(bool)


def psnr_moving(prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """PSNR of each frame over the pixels of a mask only.

    Args:
        prediction, truth: [t, h, w, 3], uint8 or float in [0, 1].
        mask: [t, h, w] bool, as `moving_mask` makes it.

    Returns:
        [t] dB, at most 100; NaN where the mask is empty.
    """
    _check(prediction, truth)
    error = ((_unit(prediction) - _unit(truth)) ** 2).mean(-1)
    count = mask.sum((1, 2))
    mean = (error * mask).sum((1, 2)) / np.maximum(count, 1)
    return np.where(count > 0, _psnr(mean), np.nan)
