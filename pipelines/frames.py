"""Frames at rest to tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from data.videos import Video


def to_tensor(frames: np.ndarray) -> Tensor:
    """[n, h, w, 3] uint8 to [n, 3, h, w] float32 in [0, 1]."""
    # Frames mapped from the cache are read-only, which torch warns of.
    own = np.require(frames, requirements=["C", "W"])
    return rearrange(torch.from_numpy(own), "n h w c -> n c h w") / 255.0


def to_uint8(image: Tensor) -> np.ndarray:
    """[n, 3, h, w] in about [0, 1] to [n, h, w, 3] uint8."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return rearrange(levels, "n c h w -> n h w c").cpu().numpy()


class FramePool:
    """The frames of several videos, addressed as one row.

    Args:
        videos: with frames of one size.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self.videos = videos
        self.ends = np.cumsum([len(video) for video in videos])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def locate(self, index: int) -> tuple[int, int]:
        """The (video, frame) of an index."""
        video = int(np.searchsorted(self.ends, index, side="right"))
        return video, index - int(self.ends[video] - len(self.videos[video]))

    def take(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[n, h, w, 3] uint8; only these frames are read."""
        places = [self.locate(int(index)) for index in indices]
        return np.stack([self.videos[video].frames[frame] for video, frame in places])

    def spread(self, most: int) -> np.ndarray:
        """At most so many indices, evenly spread, in order."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))


def median_image(videos: Sequence[Video], most: int = 200) -> Tensor:
    """[3, h, w] in [0, 1]: the median of frames spread over all videos, a first background."""
    pool = FramePool(videos)
    median = np.median(pool.take(pool.spread(most)), axis=0)
    return rearrange(torch.from_numpy(median).float(), "h w c -> c h w") / 255.0
