"""A batch: the records that one poll returned for one partition, and between which offsets they stand."""

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
        """Where it stands in its partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, by the broker's clock."""

    @property
    def key(self) -> bytes | None:
        """The key as it came."""

    @property
    def value(self) -> bytes | None:
        """The value as it came; None: a tombstone."""

    @property
    def headers(self) -> Headers:
        """The headers as they came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one partition from one poll.

    Attributes:
        topic: the source topic.
        partition: the source partition.
        start: the consumer's position before the poll: where the last batch ended, or something was lost.
        end: the position after it; past the last record by whatever compaction and transaction markers left empty.
        records: the records, in order; none where only offsets without a readable record are to be committed.
        size: the bytes that its records take in memory, as far as that was counted.
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
        """A batch of one record; if it is not applied completely yet, the batch's end stays before the record."""
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
