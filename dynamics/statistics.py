"""The scales of a set of tracks, to normalise by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dynamics.tracks import Tracks

CLOSED = 0.01
"""Share of tracks that may leave a world that is closed all the same: some are broken."""


@dataclass(frozen=True)
class Statistics:
    """The scales of a set of tracks.

    Args:
        speed: root mean square displacement, pixels a frame.
        jitter: standard deviation of the noise of a position, per coordinate, pixels.
        code_mean, code_std: [d + 3].
        bounds: [2, 2] least and greatest (x, y) of any thing, in [-1, 1]; infinite if things
            leave the frame.
    """

    speed: float
    jitter: float
    code_mean: Tensor
    code_std: Tensor
    bounds: Tensor


def statistics(tracks: Sequence[Tracks], side: Tensor) -> Statistics:
    """The scales of the seen frames of all tracks.

    The jitter comes from second differences, whose variance is six times that of independent
    noise; their median stands for the deviation, so that a few bounces do not count.

    Args:
        tracks: of the training videos.
        side: [2], pixels a unit of x and of y.

    Raises:
        ValueError: nothing is seen long enough to move.
    """
    moves, bends, codes = [], [], []
    for track in tracks:
        both = track.seen[1:] & track.seen[:-1]
        moves.append(((track.position[1:] - track.position[:-1]) * side)[both])
        thrice = both[1:] & both[:-1]
        bends.append((track.position.diff(n=2, dim=0) * side)[thrice])
        codes.append(track.code[track.seen])
    move, bend, code = torch.cat(moves), torch.cat(bends), torch.cat(codes)
    if len(bend) < 2:
        raise ValueError("no particle is seen in three frames in a row: train stage 1 longer")
    return Statistics(
        speed=float(move.square().sum(-1).mean().sqrt()),
        jitter=float(bend.abs().median()) / (0.6745 * 6**0.5),
        code_mean=code.mean(0),
        code_std=code.std(0),
        bounds=bounds(tracks),
    )


def bounds(tracks: Sequence[Tracks]) -> Tensor:
    """Where the things of a closed world can be: [2, 2], least and greatest (x, y).

    A world is closed if hardly any track leaves the frame: then no forecast may leave it either.
    What is seen in less than three frames is no thing, and of three sightings on end the median
    counts: a single broken one does not move a wall.
    """
    left = of = 0
    where = []
    for track in tracks:
        thing = track.seen.sum(0) >= 3
        left += int((track.left.any(0) & thing).sum())
        of += int(thing.sum())
        three = torch.stack([track.position[:-2], track.position[1:-1], track.position[2:]])
        thrice = track.seen[:-2] & track.seen[1:-1] & track.seen[2:]
        where.append(three.median(0).values[thrice])
    if left > CLOSED * of:
        return torch.tensor([[-torch.inf] * 2, [torch.inf] * 2])
    median = torch.cat(where)
    return torch.stack([median.amin(0), median.amax(0)])
