"""Figures for people: medians, and tables that line up on a terminal and are Markdown on a page."""

import statistics
from collections.abc import Iterable, Sequence

__all__ = ["median", "ratio", "spread", "table"]

MISSING = "-"


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values that are there; None where none is."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def spread(values: Iterable[float | None], digits: int = 0) -> str:
    """The median with the least and the greatest value: ``22,100 (21,800-22,300)``."""
    there = [value for value in values if value is not None]
    if not there:
        return MISSING
    middle, low, high = (f"{value:,.{digits}f}" for value in (statistics.median(there), min(there), max(there)))
    return middle if low == high else f"{middle} ({low}-{high})"


def ratio(ours: float | None, theirs: float | None) -> str:
    """How many times theirs ours is: ``2.13 x``."""
    return MISSING if ours is None or not theirs else f"{ours / theirs:.2f} x"


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A Markdown table; the first row is the heading.

    Args:
        rows: cells as they are to be read.
        right: columns that are aligned to the right.
    """
    to_the_right = set(right)
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[column]) for row in escaped)) for column in range(len(escaped[0]))]
    rule = [("-" * (w - 1) + ":") if column in to_the_right else "-" * w for column, w in enumerate(widths)]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    return "\n".join([line(escaped[0]), line(rule), *map(line, escaped[1:])])
