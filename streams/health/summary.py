"""One line of the log each half minute: what was done, what is left, and what stands still."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

import structlog

from streams.health.process_figures import resident_bytes
from streams.health.report import STANDING_STILL, Partition

__all__ = ["SUMMARY_S", "Summary", "Totals"]

SUMMARY_S: Final = 30.0
_MEBIBYTE: Final = 1024 * 1024

_log = structlog.get_logger()


class Totals(NamedTuple):
    """The numbers of a program since its start, and where it stands.

    Attributes:
        events: events folded, or written into the database.
        changes: changes published, or written.
        failures: failed executions handled.
        dead_letters: dead letters.
        partitions: the partitions.
        lag: offsets that are not done, of all partitions.
        lag_s: the age of the oldest record that is not done.
        standing_still: the partitions that have something to do and do not move.
    """

    events: int
    changes: int
    failures: int
    dead_letters: int
    partitions: Sequence[int]
    lag: int
    lag_s: float
    standing_still: Sequence[int]

    @classmethod
    def of(
        cls, partitions: Sequence[Partition], *, events: int, changes: int, failures: int, dead_letters: int
    ) -> "Totals":
        """The counts, and what follows from the partitions.

        Args:
            partitions: as they are now.
            events: events folded, or written into the database.
            changes: changes published, or written.
            failures: failed executions handled.
            dead_letters: dead letters.
        """
        return cls(
            events,
            changes,
            failures,
            dead_letters,
            [one.partition for one in partitions],
            sum(one.lag or 0 for one in partitions),
            max((one.lag_seconds or 0.0 for one in partitions), default=0.0),
            [one.partition for one in partitions if one.state in STANDING_STILL],
        )


class Summary:
    """Writes the line when it is due.

    Args:
        totals: the numbers.
        clock: the time in seconds.
    """

    def __init__(self, totals: Callable[[], Totals], clock: Callable[[], float] = monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._since = clock()
        self._before = (0, 0, 0, 0)

    def look(self) -> None:
        """Write the line if it is due; to be called every second."""
        now = self._clock()
        if now - self._since < SUMMARY_S:
            return
        totals = self._totals()
        counts = totals[:4]
        events, changes, failures, dead_letters = (
            after - before for after, before in zip(counts, self._before, strict=True)
        )
        standing_still: dict[str, Any] = {}
        if totals.standing_still:
            standing_still["standing_still"] = list(totals.standing_still)
        _log.info(
            "summary",
            seconds=round(now - self._since),
            events=events,
            changes=changes,
            failures=failures,
            dead_letters=dead_letters,
            lag=totals.lag,
            lag_s=round(totals.lag_s, 1),
            memory_mib=resident_bytes() // _MEBIBYTE,
            partitions=list(totals.partitions),
            **standing_still,
        )
        self._since, self._before = now, counts
