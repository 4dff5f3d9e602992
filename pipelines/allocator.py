"""How the C library keeps the memory that tensors give back."""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # names of malloc.h
MAPPED = (2**30, 32 * 2**20)
"""Bytes from which an array is mapped by itself: the first that the library allows."""
KEPT = 2**31 - 1
"""Free bytes that are kept."""
BLOCK = 64 * 2**20
"""Bytes by which the heap grows."""


def keep_memory() -> None:
    """Have glibc keep freed memory for the next tensor instead of giving it back to the system.

    A training step takes and frees hundreds of megabytes; memory that was given back costs a fault
    a page when it is taken again, thousands in a step. Other C libraries are left as they are.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        if any(mallopt(MMAP_THRESHOLD, size) for size in MAPPED):
            mallopt(TRIM_THRESHOLD, KEPT)
            mallopt(TOP_PAD, BLOCK)
