"""Percentiles by the nearest rank: a value that was measured, never one in between."""

from collections.abc import Iterable, Sequence
from math import ceil

__all__ = ["PERCENTILES", "percentile", "percentiles"]

PERCENTILES = (50.0, 99.0, 99.9)


def percentile(ordered: Sequence[float], rank: float) -> float:
    """The least value that at least ``rank`` percent of the values do not exceed.

    Args:
        ordered: the values in ascending order; at least one.
        rank: above 0, at most 100.
    """
    # 99.9 has no exact float: rounded, so that of 1,000 values it is the 999th and not the last.
    return ordered[max(1, ceil(round(len(ordered) * rank / 100, 6))) - 1]


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the maximum; empty for no value."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{rank:g}": percentile(ordered, rank) for rank in PERCENTILES} | {"max": ordered[-1]}
