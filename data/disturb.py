"""What spoils a film: drifting light, camera noise, compression, a camera that shakes."""

from __future__ import annotations

import cv2
import numpy as np

from data.errors import UserError

NAMES = ("light", "noise", "jpeg", "shake")
GAIN, OFFSET = 0.2, 10.0  # most that light departs from 1, and from 0 of 255
LIGHT_PERIODS = (40.0, 160.0)  # frames
SIGMA = 5.0  # of 255, at mid grey
QUALITY = 30
REACH = 2.0  # pixels, in x and in y
SHAKE_PERIODS = (20.0, 60.0)  # frames


def disturb(
    name: str, frames: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A clip as a worse camera would have filmed it.

    Args:
        name: `light`, gain within 0.8 to 1.2 and offset within 10 of 255, drifting slowly;
            `noise`, Gaussian, sigma 5 of 255, less in the dark; `jpeg`, each frame at quality 30;
            `shake`, a smooth shift within 2 pixels in x and in y, the border repeated.
        frames: [t, h, w, 3] uint8 RGB.

    Returns:
        The frames, as they came; and by how many pixels (x, y) their content was moved,
        [t, 2] float32, zero but for `shake`.

    Raises:
        UserError: unknown name.
    """
    check(name)
    shift = np.zeros((len(frames), 2), np.float32)
    if name == "light":
        return _light(frames, rng), shift
    if name == "noise":
        return _noise(frames, rng), shift
    if name == "jpeg":
        return np.stack([_jpeg(frame) for frame in frames]), shift
    shift += REACH * _drift(len(frames), SHAKE_PERIODS, rng)
    return move(frames, shift, cv2.INTER_LINEAR), shift


def check(name: str) -> None:
    """Raise UserError unless this is one of NAMES."""
    if name not in NAMES:
        raise UserError(
            f"unknown disturbance: {name!r}: choose one of {', '.join(NAMES)}; join several by +"
        )


def move(images: np.ndarray, shift: np.ndarray, interpolation: int) -> np.ndarray:
    """Images with their content moved, what comes in at the border repeated from it.

    Args:
        images: [t, h, w] or [t, h, w, 3] uint8.
        shift: [t, 2] pixels (x, y), to the right and down.
        interpolation: cv2's; INTER_NEAREST for labels.
    """
    height, width = images.shape[1:3]
    moved = [
        cv2.warpAffine(
            image,
            np.array([[1, 0, x], [0, 1, y]], np.float64),
            (width, height),
            flags=interpolation,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for image, (x, y) in zip(images, shift, strict=True)
    ]
    return np.stack(moved)


def _drift(frames: int, periods: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Two smooth random curves within (-1, 1), [t, 2]: sums of three waves, bent into the range."""
    period = rng.uniform(*periods, (3, 2))
    phase = rng.uniform(0, 2 * np.pi, (3, 2))
    time = np.arange(frames)[:, None, None]
    return np.tanh(np.sin(2 * np.pi * time / period + phase).sum(1))


def _light(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain and offset of each frame."""
    gain, offset = _drift(len(frames), LIGHT_PERIODS, rng).T[..., None, None, None]
    return _levels(frames * (1 + GAIN * gain) + OFFSET * offset)


def _noise(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of variance SIGMA^2 (1/2 + signal): a constant part, and the light's own."""
    sigma = SIGMA * np.sqrt(0.5 + frames.astype(np.float32) / 255)
    return _levels(frames + sigma * rng.standard_normal(frames.shape, np.float32))


def _jpeg(frame: np.ndarray) -> np.ndarray:
    """[h, w, 3] RGB; OpenCV's files are BGR."""
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _levels(values: np.ndarray) -> np.ndarray:
    """Numbers of 255 to the nearest of 256 levels."""
    return (values.clip(0, 255) + 0.5).astype(np.uint8)
