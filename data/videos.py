"""Videos in memory-mapped uint8 arrays, with the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Truth:
    """True tracks of a video's n objects, in pixels of the stored frames.

    Pixel (i, j)'s centre lies at x = j, y = i, so the frame spans [-0.5, width - 0.5].

    Args:
        position: [t, n, 2] float32, (x, y) of the object's visible or, when hidden, true centre.
        visible: [t, n] bool, in the frame and not fully hidden.
        radius: [t, n] float32, pixels; that of the circle with the object's area.
        mask: [t, h, w] uint8 labels, 0 the background and i + 1 object i, or None.
    """

    position: np.ndarray
    visible: np.ndarray
    radius: np.ndarray
    mask: np.ndarray | None = None

    def at(self, frames: slice | np.ndarray) -> Truth:
        """The truth of some frames."""
        mask = None if self.mask is None else self.mask[frames]
        return Truth(self.position[frames], self.visible[frames], self.radius[frames], mask)


@dataclass(frozen=True)
class Video:
    """One video's frames, as they are stored (cropped, resized, skipped).

    Args:
        name: unique in its set, safe as a file name, no extension.
        frames: [t, h, w, 3] uint8 RGB, usually a view into a memory map.
        fps: stored frames a second (the source's rate divided by the frame skip).
        truth: true tracks, or None.
    """

    name: str
    frames: np.ndarray
    fps: float = 10.0
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Dataset:
    """A source, decoded and split.

    Args:
        source: the SOURCE text the user gave.
        fingerprint: hex digest of the frames and of how the source parts them, or of what makes a
            synthetic world; equal means the same frames.
        train, val, test: tuples of videos in name order.
        by_time: True if one long video was split by time. Then the three sets each hold one
            Video, and `whole` holds the unsplit video.
        whole: every video of the source in name order, unsplit by time.
        named: True if the source itself says which videos are for testing.
        fit: what landmarks are to be regressed from, if the source names it (MAFL's training list).
        left_out: one line for each bad file that was passed over.
        key: hex digest of the files' names, sizes, dates and ends, by which runs of earlier
            versions know their source.
    """

    source: str
    fingerprint: str
    train: tuple[Video, ...]
    val: tuple[Video, ...]
    test: tuple[Video, ...]
    whole: tuple[Video, ...]
    by_time: bool = False
    named: bool = False
    fit: tuple[Video, ...] = ()
    left_out: tuple[str, ...] = field(default=())
    key: str = ""

    def is_that(self, fingerprint: str) -> bool:
        """Whether these are the frames that a run was trained on, as it knows them."""
        return bool(fingerprint) and fingerprint in (self.fingerprint, self.key)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the stored frames; one size for the whole set."""
        height, width = self.whole[0].frames.shape[1:3]
        return int(height), int(width)
