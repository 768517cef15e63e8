"""Numbers that are counted without locks: each has one thread that writes it, and any thread reads it."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

__all__ = ["AGE_BOUNDS_S", "DURATION_BOUNDS_S", "RECORD_BOUNDS", "Histogram"]

AGE_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
DURATION_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECORD_BOUNDS: Final = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)


class Histogram:
    """Counts values by buckets.

    Args:
        bounds: the upper bounds of the buckets, inclusive, rising; what is larger has a bucket of its own.

    Attributes:
        bounds: the bounds.
        counts: the number of values in each bucket, the last one for what is larger than every bound.
        total: the sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
