"""A partition's log, simulated: gaps, transactions and their markers, compaction."""

from dataclasses import dataclass, field
from enum import Enum, auto

from confluent_kafka import OFFSET_INVALID

from streams.partition.batch import Headers
from tests.oracle.folds import RECORDED_MS
from topics.records.record import Record

__all__ = ["Entry", "Outcome", "PartitionLog", "Transaction"]


class Outcome(Enum):
    """The end of a transaction: committed, aborted, or still open."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass(eq=False)
class Transaction:
    """A transaction: its partitions, and the group's offsets that it commits."""

    outcome: Outcome = Outcome.OPEN
    logs: list["PartitionLog"] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A record in a log; without a transaction it counts as committed."""

    record: Record
    transaction: Transaction | None

    @property
    def outcome(self) -> Outcome:
        return Outcome.COMMITTED if self.transaction is None else self.transaction.outcome


@dataclass
class PartitionLog:
    """One partition of a topic.

    Attributes:
        topic: its topic.
        partition: its number.
        end: the offset of the next record or marker.
        silent: whether its leader does not answer.
    """

    topic: str
    partition: int
    end: int = 0
    silent: bool = False
    _unmarked: list[Transaction] = field(default_factory=list)
    _written: list[Entry] = field(default_factory=list)
    _removed: set[int] = field(default_factory=set)
    _never_read: set[int] = field(default_factory=set)

    def append(
        self, key: bytes | None, value: bytes | None, headers: Headers, transaction: Transaction | None = None
    ) -> int:
        """Add a record, and return its offset; the producer waits for the leader."""
        self.silent = False
        record = Record(self.topic, self.partition, self.end, RECORDED_MS, key, value, tuple(headers))
        self._written.append(Entry(record, transaction))
        if transaction is not None and self not in transaction.logs:
            transaction.logs.append(self)
        self.end += 1
        return record.offset

    @property
    def stable_end(self) -> int:
        """The last stable offset, up to which a read-committed reader may read."""
        return next((e.record.offset for e in self._written if self._is_open(e)), self.end)

    def told_end(self, *, committed_only: bool) -> int:
        """A client's answer to a request for the last stable offset, or for the high watermark."""
        if self.silent:
            return OFFSET_INVALID
        return self.stable_end if committed_only else self.end

    def mark(self, transaction: Transaction) -> None:
        """Write the marker of a transaction that has ended; a silent leader does so when it is waited for."""
        if self.silent:
            self._unmarked.append(transaction)
        else:
            self.end += 1

    def wait_marked(self) -> None:
        """Wait until all pending markers are written."""
        self.silent = False
        self.end += len(self._unmarked)
        self._unmarked.clear()

    def has_marked(self, transaction: Transaction) -> bool:
        """Whether the marker of a transaction that has ended is written."""
        return transaction not in self._unmarked

    def _is_open(self, entry: Entry) -> bool:
        return entry.outcome is Outcome.OPEN or entry.transaction in self._unmarked

    def poll(self, start: int, limit: int, *, committed_only: bool = True) -> tuple[list[Record], int]:
        """A limited number of records from an offset on, and the position after them."""
        found: list[Record] = []
        end = self.stable_end if committed_only else self.end
        for entry in self._written:
            offset = entry.record.offset
            if not start <= offset < end or offset in self._removed:
                continue
            if committed_only and entry.outcome is not Outcome.COMMITTED:
                continue
            found.append(entry.record)
            if len(found) == limit:
                return found, offset + 1
        return found, max(start, end)

    def history(self, *, end: int | None = None) -> list[Record]:
        """Every committed record that a reader could have had, before an offset if one is given."""
        return [
            entry.record
            for entry in self._written
            if entry.outcome is Outcome.COMMITTED
            and entry.record.offset not in self._never_read
            and (end is None or entry.record.offset < end)
        ]

    def compact(self, *, below: int, read: int) -> None:
        """Remove aborted records, and records with a later record under the same key.

        Args:
            below: the cleaner goes no further; never beyond the last stable offset.
            read: the readers have had what is before it. Of the rest, what transactions wrote stays, so that each of
                them can be accounted for.
        """
        newest: dict[bytes | None, int] = {}
        cleaned = [entry for entry in self._written if entry.record.offset < min(below, self.stable_end)]
        for entry in cleaned:
            if entry.outcome is Outcome.COMMITTED:
                newest[entry.record.key] = entry.record.offset
        for entry in cleaned:
            offset = entry.record.offset
            if entry.outcome is Outcome.COMMITTED and newest[entry.record.key] == offset:
                continue
            unread = offset >= read
            if unread and entry.transaction is not None and entry.outcome is Outcome.COMMITTED:
                continue
            self._removed.add(offset)
            if unread:
                self._never_read.add(offset)
