"""How long rounds take and how old events are when their results are committed; measured once for each batch."""

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from time import perf_counter
from typing import Final

from streams.health.figures import AGE_BOUNDS_S, DURATION_BOUNDS_S, RECORD_BOUNDS, Histogram
from streams.partition.batch import SourceRecord
from streams.runtime.clock import system_ms

__all__ = ["RoundFigures", "Stopwatch"]

_TIMESTAMP: Final = attrgetter("timestamp")


class Stopwatch:
    """Measures a duration, from its making on."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = perf_counter()

    @property
    def seconds(self) -> float:
        """The time since then."""
        return perf_counter() - self._since


class RoundFigures:
    """The histograms of one worker. The event loop's thread writes, and any thread reads.

    Attributes:
        event_age: from the broker's time of a record to its commit, in seconds.
        batch_records: records in a batch.
        fold: duration of a batch's fold, in seconds.
        transaction: from the beginning of a transaction to its commit, in seconds.
        round: from the taking of a round to its acknowledgement, in seconds.
    """

    def __init__(self) -> None:
        self.event_age = Histogram(AGE_BOUNDS_S)
        self.batch_records = Histogram(RECORD_BOUNDS)
        self.fold = Histogram(DURATION_BOUNDS_S)
        self.transaction = Histogram(DURATION_BOUNDS_S)
        self.round = Histogram(DURATION_BOUNDS_S)

    def committed(self, records: Sequence[SourceRecord], now_ms: int | None = None) -> None:
        """Count the ages of a batch's records, which are committed now.

        The broker's times rise within a partition, so each bucket's share is found by halving, and no record is looked
        at one by one. Where a new leader's clock is behind, they fall for a moment: the shares are a little off then.

        Args:
            records: the records, in the order of the partition.
            now_ms: the present time, in milliseconds since the epoch; None: this machine's clock.
        """
        if not records:
            return
        now = system_ms() if now_ms is None else now_ms
        counts = self.event_age.counts
        later = len(records)
        for bucket, bound_s in enumerate(AGE_BOUNDS_S):
            oldest = now - bound_s * 1000
            # Records before this index are older than the bound.
            index = bisect_left(records, oldest, 0, later, key=_TIMESTAMP)
            counts[bucket] += later - index
            later = index
            if not later:
                break
        counts[-1] += later
        ages_ms = now * len(records) - sum(map(_TIMESTAMP, records))
        self.event_age.total += max(ages_ms, 0) / 1000

    def histograms(self) -> dict[str, tuple[list[int], float]]:
        """By the names of the metrics."""
        found = {
            "consolidator_event_age_seconds": self.event_age,
            "consolidator_batch_records": self.batch_records,
            "consolidator_fold_seconds": self.fold,
            "consolidator_transaction_seconds": self.transaction,
            "consolidator_round_seconds": self.round,
        }
        return {name: (list(one.counts), one.total) for name, one in found.items()}
