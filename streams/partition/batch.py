"""A batch: the records that one poll returned for one partition, with the offsets between which they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

__all__ = ["Batch", "Outgoing", "SourceRecord"]

Headers = Sequence[tuple[str, bytes | None]]


class SourceRecord(Protocol):
    """The fields of a Kafka record that the fold reads. aiokafka's records and the replay's have them."""

    @property
    def offset(self) -> int:
        """The record's offset in its partition."""

    @property
    def timestamp(self) -> int:
        """The record's timestamp, milliseconds since the epoch, by the broker's clock."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""

    @property
    def value(self) -> bytes | None:
        """The record's value; None: a tombstone."""

    @property
    def headers(self) -> Headers:
        """The record's headers."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one partition from one poll.

    Attributes:
        topic: the source topic.
        partition: the source partition.
        start: the consumer's position before the poll. If it is not the last batch's end, records were lost.
        end: the consumer's position after the poll. Transaction markers and compacted records may lie between the last
            record and it.
        records: the records, in order; empty if only offsets without a readable record are to be committed.
        size: the bytes that its records take in memory, if they were counted.
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[SourceRecord]
    size: int = 0

    def cut(self, end: int) -> tuple["Batch", "Batch | None"]:
        """Cut the batch at an offset: the part before it, and the rest; None: nothing is left.

        Args:
            end: an offset of the batch, or its end.
        """
        if end == self.end:
            return self, None
        taken = [record for record in self.records if record.offset < end]
        rest = self.records[len(taken) :]
        return replace(self, end=end, records=taken), replace(self, start=end, records=rest)

    def until(self, offset: int) -> "Batch":
        """The part of the batch before an offset."""
        return replace(self, end=offset, records=[record for record in self.records if record.offset < offset])

    def at(self, record: SourceRecord, *, is_applied: bool) -> "Batch":
        """A batch of one record. If the record is not applied completely yet, the batch ends before it."""
        return replace(self, start=record.offset, end=record.offset + is_applied, records=(record,))

    def behind(self, offset: int) -> "Batch":
        """The part of the batch after an offset."""
        records = [record for record in self.records if record.offset > offset]
        return replace(self, start=offset + 1, records=records)


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be produced."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: Headers | None = None
