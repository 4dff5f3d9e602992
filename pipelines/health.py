"""Whether stage 1 is going wrong while it trains, in plain words."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from dlp.particles import LIVE
from pipelines.baselines import temporal_median
from pipelines.boards import Board
from pipelines.pixel_metrics import MOVING_THRESHOLD, moving_mask, psnr_moving

MOVING_LEAST = 0.01
"""Share of a frame that must move for it to count: a thing of 4 x 4 pixels in 64 x 64, with one
pixel around. A camera's noise, of deviation 5 of 255, makes a quarter of it."""
DEAD_SHARE = 0.95
"""Of the frames without a live particle: one lucky glimpse in twenty is no sign of life."""
ALIVE_SHARE = 0.99
"""Of the slots: a slot that fades for a frame in a hundred is still no spare one."""
PILE_RADIUS = 0.06
"""Of the longer side: nearer than this, coverage counts two particles for one object."""
PILED_SHARE = 0.5
"""Of the live particles that have such a neighbour: things that pass each other make far fewer,
and one duplicate on every object makes all."""
STUCK_SHARE = 0.8
"""Of the live particles on one spot of the picture, over all frames: with a thing at rest and
another that moves, a healthy model has half there."""
ELSEWHERE = 3.0
"""Pile radii: what moves within this of the spot may be one thing that turns or sways there."""
EMPTY_SHARE = 0.1
"""Masks that cover less than this share of what moves draw none of it; healthy ones cover a third
to all, since the moving pixels count where a thing was, too."""
PAINTED_SHARE = 0.25
"""Of the pixels where things pass: that many differ from the median only if the background holds
things, and not because one of them stood there for half the video."""
PAINTED_TIMES = 2.0
"""As many as elsewhere: a change of light makes the background differ everywhere."""
GAIN_LEAST = 0.5
"""dB on moving pixels over the bare background: less is not visible."""
AGREE = 0.5
"""Share of the videos that must show a trouble: one odd video is not the model's fault."""

DEAD = (
    "stage 1 has no live particle where things move, and draws the background alone: start again "
    "with a lower --dlp.price and --dlp.area, or a --dlp.glimpse about as large as the things"
)
ALIVE = (
    "stage 1 has every particle live in every frame: there may be more things than particles "
    "(raise --dlp.particles), or several on one thing (raise --dlp.price)"
)
PILED = (
    "stage 1 puts several live particles on one and the same spot: raise --dlp.price, or raise "
    "--dlp.glimpse if the things are larger than it"
)
STUCK = (
    "stage 1 keeps its live particles on one spot of the picture while things move elsewhere: "
    "start again with another --seed, or a smaller --dlp.patch"
)
EMPTY = (
    "stage 1 has live particles that draw next to nothing: start again with a lower --dlp.area "
    "and a longer --dlp.warmup, so that their masks open"
)
PAINTED = (
    "stage 1 has painted things that move into its background: start again with a lower "
    "--dlp.price and --dlp.area, so that particles are the cheaper way to draw them"
)
NO_GAIN = (
    "stage 1 draws what moves no better than its background alone does: train longer; if it "
    "stays so, set --dlp.glimpse to about the size of the things, and lower --dlp.price"
)


def diagnose(
    position: np.ndarray,
    transparency: np.ndarray,
    covered: np.ndarray,
    frames: np.ndarray,
    reconstruction: np.ndarray,
    background: np.ndarray,
    warming: bool = False,
) -> list[str]:
    """What is wrong with stage 1, judged on frames of one video; nothing if nothing moves there.

    Args:
        position: [n, k, 2], (x, y) in pixels.
        transparency: [n, k] in [0, 1].
        covered: [n] share of each frame that the particles' masks cover, in [0, 1].
        frames: [n, h, w, 3] uint8, in order, spread over the video.
        reconstruction: [n, h, w, 3] uint8.
        background: [h, w, 3] uint8, the model's.
        warming: before the warm-up's end prices are low and patches raw, so that all particles
            are live and nothing is drawn well: only a death is told.

    Returns:
        A sentence with the next step for each trouble; the same trouble is always the same text.
    """
    median = temporal_median(frames)
    moving = moving_mask(frames, median, median)
    moves = moving.mean((1, 2)) >= MOVING_LEAST  # (n,)
    if not moves.any():
        return []
    live = transparency[moves] > LIVE
    if 1 - live.any(1).mean() >= DEAD_SHARE:
        return [DEAD]  # whatever else is wrong follows from it
    if warming:
        return []
    radius = PILE_RADIUS * max(frames.shape[1:3])
    empty = covered[moves].mean() < EMPTY_SHARE * moving[moves].mean()
    found = {
        ALIVE: live.mean() >= ALIVE_SHARE,
        PILED: _crowded(position[moves], live, radius) >= PILED_SHARE,
        STUCK: _stuck(position[moves], live, moving[moves], radius),
        EMPTY: empty,
        PAINTED: _painted(background, median, moving),
        NO_GAIN: not empty and _gain(frames, reconstruction, background, moving) < GAIN_LEAST,
    }
    return [sentence for sentence, holds in found.items() if holds]


def _crowded(position: np.ndarray, live: np.ndarray, radius: float) -> float:
    """Share of the live particles [n, k] with another live one of their frame within radius."""
    near = np.linalg.norm(position[:, :, None] - position[:, None], axis=-1) <= radius
    others = near & live[:, :, None] & live[:, None] & ~np.eye(live.shape[1], dtype=bool)
    return float(others.any(2).sum() / live.sum())


def _stuck(position: np.ndarray, live: np.ndarray, moving: np.ndarray, radius: float) -> bool:
    """Whether most live particles of all frames lie on one spot, and most that moves does not."""
    points = position[live]  # (m, 2)
    spot = np.median(points, 0)  # where most lie on one spot, the median lies there too
    y, x = np.nonzero(moving.any(0))
    far = np.hypot(x - spot[0], y - spot[1]) > ELSEWHERE * radius
    on_spot = np.linalg.norm(points - spot, axis=1) <= radius
    return bool(on_spot.mean() >= STUCK_SHARE and far.mean() > 0.5)


def _painted(background: np.ndarray, median: np.ndarray, moving: np.ndarray) -> bool:
    """Whether the background differs from the median where things pass, more than elsewhere."""
    differs = np.abs(background.astype(float) - median).max(-1) > MOVING_THRESHOLD * 255
    passed = moving.any(0)
    elsewhere = differs[~passed].mean() if not passed.all() else 0.0
    return bool(differs[passed].mean() > max(PAINTED_SHARE, PAINTED_TIMES * elsewhere))


def _gain(
    frames: np.ndarray, reconstruction: np.ndarray, background: np.ndarray, moving: np.ndarray
) -> float:
    """How much better the moving pixels are drawn than by the background alone, dB."""
    bare = np.broadcast_to(background, frames.shape)
    gain = psnr_moving(reconstruction, frames, moving) - psnr_moving(bare, frames, moving)
    return float(np.nanmean(gain))


def check(
    found: Sequence[Sequence[str]], said: set[str], board: Board | None, step: int
) -> list[str]:
    """Say what at least half of the videos show, each sentence once a run.

    Args:
        found: what `diagnose` says of each video.
        said: the sentences that the run has had; those said now are added.
        board: takes the sentences as text, or None.

    Returns:
        The sentences said now, which went to standard error.
    """
    counts = Counter(sentence for one in found for sentence in one)
    new = [s for s, count in counts.items() if count >= AGREE * len(found) and s not in said]
    for sentence in new:
        said.add(sentence)
        tqdm.write(sentence, file=sys.stderr)  # above the progress bar, not into it
        if board is not None:
            board.text("stage1/health", sentence, step)
    return new
