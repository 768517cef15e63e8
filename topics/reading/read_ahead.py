"""Reads partitions one after the other, but fetches them together; early records wait in memory, up to a limit."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from topics.reading.positions import Span
from topics.records.record import Record

__all__ = ["Arrival", "PartitionAfterPartition"]

Arrival = tuple[int, Record | None]
"""A partition and its next record; None: its end is reached."""

MAX_AHEAD_BYTES: Final = 32 * 1024 * 1024
"""The limit of waiting records in memory. Beyond it, partitions are fetched one by one: reading such a large topic
takes long anyway."""

_RECORD_BYTES: Final = 300
"""The bytes that a record takes in memory besides key and value."""


class PartitionAfterPartition:
    """Records of several partitions, one partition after the other.

    If each partition were fetched separately, each would need a wait for its first record: a topic with a few records
    in many partitions would take seconds instead of milliseconds.

    Args:
        spans: what to read, by partition.
        fetch: fetches spans together, each partition in its order.
        max_bytes: see :data:`MAX_AHEAD_BYTES`.
    """

    def __init__(
        self,
        spans: Mapping[int, Span],
        fetch: Callable[[Mapping[int, Span]], Iterator[Arrival]],
        *,
        max_bytes: int = MAX_AHEAD_BYTES,
    ) -> None:
        self._spans = dict(sorted(spans.items()))
        self._fetch = fetch
        self._max_bytes = max_bytes
        self._waiting: dict[int, deque[Record]] = {partition: deque() for partition in self._spans}
        self._waiting_bytes = 0
        self._next = {partition: span.start for partition, span in self._spans.items()}
        self._ended = {partition for partition, span in self._spans.items() if span.start >= span.end}
        self._together: Iterator[Arrival] | None = fetch(self._spans)

    def __iter__(self) -> Iterator[tuple[int, Iterator[Record]]]:
        """Yield each partition with its records, which have to be read before the next partition is taken."""
        for partition in self._spans:
            yield partition, self._records(partition)

    def _records(self, partition: int) -> Iterator[Record]:
        while True:
            waiting = self._waiting[partition]
            while waiting:
                record = waiting.popleft()
                self._waiting_bytes -= _size(record)
                yield record
            if partition in self._ended:
                return
            if self._together is not None and self._waiting_bytes > self._max_bytes:
                self._together = None
            if self._together is None:
                yield from self._alone(partition)
                return
            self._arrived(*next(self._together))

    def _arrived(self, partition: int, record: Record | None) -> None:
        if record is None:
            self._ended.add(partition)
            return
        self._waiting[partition].append(record)
        self._waiting_bytes += _size(record)
        self._next[partition] = record.offset + 1

    def _alone(self, partition: int) -> Iterator[Record]:
        span = Span(self._next[partition], self._spans[partition].end)
        for _, record in self._fetch({partition: span}):
            if record is not None:
                yield record
        self._ended.add(partition)


def _size(record: Record) -> int:
    return _RECORD_BYTES + len(record.key or b"") + len(record.value or b"")
