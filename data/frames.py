"""Which frames of a source are stored, and how large: one setting, one geometry."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import cv2
import numpy as np

from data.errors import UserError
from data.videos import Truth

AUTOMATIC_SIDE, LARGEST_SIDE = 128, 4096


@dataclass(frozen=True)
class FrameConfig:
    """How a source's frames are cropped, resized, picked and split."""

    size: int = 0
    """Longer side of the stored frames in pixels, both sides rounded to a multiple of 8;
    0: the source's own longer side, at most 128."""
    square: bool = False
    """Stretch to a square of `size`, instead of keeping the aspect ratio."""
    crop: tuple[int, int, int, int] | None = None
    """(left, top, right, bottom) in source pixels, cut out before resizing."""
    start: int = 0
    """First source frame used."""
    skip: int = 1
    """Use every n-th source frame."""
    limit: int = 0
    """At most so many stored frames a video; 0: all."""
    val_share: float = 0.1
    """Share of the videos (of the time, for one long video) for validation; 0: the validation
    set is the test set."""
    test_share: float = 0.1
    """Share held out for testing; 0: the test set is the validation set."""
    strict: bool = False
    """Stop at the first bad file, instead of leaving it out."""

    def __post_init__(self) -> None:
        if self.size != 0 and not 8 <= self.size <= LARGEST_SIDE:
            raise ValueError(
                f"size must be 0 or from 8 to {LARGEST_SIDE}, found {self.size}: try 64"
            )
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if not (0 <= left < right and 0 <= top < bottom):
                raise ValueError(
                    "crop must be (left, top, right, bottom) with 0 <= left < right and "
                    f"0 <= top < bottom, found {tuple(self.crop)}: swap or mend the values"
                )
        if self.start < 0:
            raise ValueError(f"start must not be negative, found {self.start}: use 0")
        if self.skip < 1:
            raise ValueError(f"skip must be at least 1, found {self.skip}: use 1 for every frame")
        if self.limit < 0:
            raise ValueError(f"limit must not be negative, found {self.limit}: use 0 for all")
        for name, share in (("val_share", self.val_share), ("test_share", self.test_share)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be in [0, 1), found {share}: try 0.1")
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                "val_share + test_share must be below 1 so that something is left to train on, "
                f"found {self.val_share + self.test_share:g}: try 0.1 each"
            )

    def picks(self, length: int = sys.maxsize) -> range:
        """The indices of the source frames that are stored, of a source of `length` frames."""
        chosen = range(min(self.start, length), length, self.skip)
        return chosen[: self.limit] if self.limit else chosen


@dataclass(frozen=True)
class Fit:
    """Crop and resize, for frames and for what is known about them.

    Args:
        box: (left, top, right, bottom) in source pixels.
        height, width: of the stored frames.
    """

    box: tuple[int, int, int, int]
    height: int
    width: int

    @property
    def scale(self) -> tuple[float, float]:
        """Stored pixels per source pixel, (x, y)."""
        left, top, right, bottom = self.box
        return self.width / (right - left), self.height / (bottom - top)

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """[h, w, 3] uint8 source frame to [height, width, 3]."""
        left, top, right, bottom = self.box
        cut = np.ascontiguousarray(frame[top:bottom, left:right])
        if cut.shape[:2] == (self.height, self.width):
            return cut
        # Averaging areas avoids aliasing when shrinking; it would give blocks when enlarging.
        mode = cv2.INTER_AREA if min(self.scale) < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(cut, (self.width, self.height), interpolation=mode))

    def truth(self, truth: Truth) -> Truth:
        """Truth in source pixels to truth in stored pixels; what is cropped away is not visible."""
        left, top = self.box[:2]
        scale = np.array(self.scale, np.float32)
        # Pixel centres are whole numbers, so the frame's edge lies at -0.5.
        position = (truth.position - (left, top) + 0.5) * scale - 0.5
        side = np.array([self.width, self.height], np.float32)
        inside = ((position >= -0.5) & (position < side - 0.5)).all(-1)  # (t, n)
        mask = truth.mask
        if mask is not None:
            rows = top + ((np.arange(self.height) + 0.5) / scale[1]).astype(int)
            columns = left + ((np.arange(self.width) + 0.5) / scale[0]).astype(int)
            mask = mask[:, rows[:, None], columns]
        return Truth(
            position.astype(np.float32),
            truth.visible & inside,
            (truth.radius * np.sqrt(scale.prod())).astype(np.float32),
            mask,
        )


def automatic_size(box: tuple[int, int, int, int]) -> int:
    """What size 0 stands for, for frames cut to this box."""
    left, top, right, bottom = box
    return max(8, min(right - left, AUTOMATIC_SIDE), min(bottom - top, AUTOMATIC_SIDE))


def fit(height: int, width: int, config: FrameConfig, where: str) -> Fit:
    """The geometry for source frames of height x width.

    Args:
        where: the file's name, for the error.

    Raises:
        UserError: the crop reaches outside the frame.
    """
    box = (0, 0, width, height) if config.crop is None else config.crop
    left, top, right, bottom = box
    if right > width or bottom > height:
        raise UserError(
            f"crop outside the frame: {where}: crop {tuple(box)} (left, top, right, bottom) "
            f"needs at least {right}x{bottom} pixels, found {width}x{height}: "
            "change --frames.crop"
        )
    longer = max(right - left, bottom - top)
    size = config.size or automatic_size(box)

    def rounded(side: int) -> int:
        return max(8, int(side * size / longer / 8 + 0.5) * 8)

    if config.square:
        return Fit(box, rounded(longer), rounded(longer))
    return Fit(box, rounded(bottom - top), rounded(right - left))
