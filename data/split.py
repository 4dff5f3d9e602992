"""Which videos are trained on, validated on, tested on.

Rules, in this order:
1. What the source says (train/, val/, test/ folders, an official layout) stands.
2. Where it says nothing, videos are shuffled by the hash of their names, so that the split is
   the same on every machine: the first go to test, the next to validation, the rest to train.
   From 3 videos on each set has at least one, unless its share is 0.
3. A set left empty is shared: validation is test, or test is validation, or both are train.
One video alone is split by time: train first, then validation, and test at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from data.errors import UserError

T = TypeVar("T")
Sets = tuple[list[T], list[T], list[T]]


def counts(total: int, val_share: float, test_share: float) -> tuple[int, int]:
    """How many of `total` go to validation and to test; one at least is left for training."""
    test = min(max(1, round(total * test_share)), total - 1) if test_share > 0 else 0
    val = min(max(1, round(total * val_share)), total - 1 - test) if val_share > 0 else 0
    return val, test


def split_names(
    names: Sequence[str], given: Sequence[str], val_share: float, test_share: float
) -> Sets[str]:
    """Split videos by file.

    Args:
        names: unique names.
        given: for each, "train", "val" or "test" if the source says so, else "".

    Returns:
        (train, val, test), none empty, each sorted; they are disjoint but for rule 3.

    Raises:
        UserError: the source names sets, and none of them is for training.
    """
    sets: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for name, chosen in zip(names, given, strict=True):
        sets[chosen or "train"].append(name)
    if not sets["train"]:
        raise UserError(
            "no training videos: the source has a val or test part only: add a train folder, "
            "or name the val or test folder itself as the source"
        )
    shuffled = sorted(sets["train"], key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if not sets["val"]:
        val, test = counts(len(shuffled), val_share, 0 if sets["test"] else test_share)
        sets["test"] += shuffled[:test]
        sets["val"] += shuffled[test : test + val]
        sets["train"] = shuffled[test + val :]
    train, val_set, test_set = (sorted(sets[key]) for key in ("train", "val", "test"))
    return shared(train, val_set, test_set)


def split_time(length: int, val_share: float, test_share: float) -> tuple[range, range, range]:
    """Split the frames of one video: (train, val, test), in this order, none empty."""
    val, test = counts(length, val_share, test_share)
    train = length - val - test
    return shared(range(train), range(train, train + val), range(train + val, length))


S = TypeVar("S", list[str], range)


def shared(train: S, val: S, test: S) -> tuple[S, S, S]:
    """Rule 3: no set stays empty."""
    return train, val or test or train, test or val or train
