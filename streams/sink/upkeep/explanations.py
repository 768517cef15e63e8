"""Why a database and the log may differ, and both be right: what Kafka no longer has, and what the database refused."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select

from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Row
from streams.sink.lane import Cursor
from streams.sink.rows import place_of
from streams.sink.schema import Tables
from streams.sink.upkeep.comparison import differing
from streams.sink.upkeep.forgotten import ForgottenLetters

__all__ = ["REASONS", "Explanations"]

QUARANTINED: Final = "quarantined"
ERASED: Final = "erased_before"
EXPIRED: Final = "letter_expired"
FORGOTTEN: Final = "tombstone_gone"
COMPACTED: Final = "earlier_copy_gone"
DELETED: Final = "before_the_log"

REASONS: Final = {
    QUARANTINED: "rows that the database refused: sink_quarantine",
    ERASED: "events that were erased, and were published again when their tombstone had gone: they stay out",
    EXPIRED: "dead letters that Kafka no longer has: they are kept there for 30 days",
    FORGOTTEN: "hashes of erased events whose tombstones Kafka no longer has",
    COMPACTED: "events of which Kafka has a later copy only",
    DELETED: "rows of records before the log's beginning",
}
"""What is no difference, for people."""


class Explanations:
    """Says of a row why it is no difference.

    Args:
        connection: the database, at one moment.
        tables: its set.
        source: the source topic's full name.
        first: where the topics of each partition begin.
        letters: dead letters that Kafka no longer has.
    """

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        source: str,
        first: Mapping[int, Cursor],
        letters: ForgottenLetters,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._source = source
        self._first = first
        self._letters = letters

    def __call__(self, name: str, ours: Row | None, theirs: Row | None) -> str | None:
        """See :data:`~streams.sink.upkeep.comparison.Explain`."""
        if theirs is not None and self._is_quarantined(name, theirs):
            return QUARANTINED
        if ours is None and theirs is not None:
            return ERASED if name == "lifecycle_events" and self._is_erased(theirs) else None
        if ours is not None and theirs is None:
            return self._gone(name, ours)
        if ours is not None and theirs is not None and name == "lifecycle_events":
            table = self._tables.lifecycle_events
            at = table.columns.keys().index("source_offset")
            if differing(table, ours, theirs) == ("source_offset",) and ours[at] < theirs[at]:
                return COMPACTED
        return None

    def _gone(self, name: str, row: Row) -> str | None:
        """Why the log has no such row any more."""
        if name == "erased_events":
            return FORGOTTEN
        if name == "dead_letters":
            return EXPIRED if self._letters.has(row) else None
        partition, offset = place_of(self._tables.by_name[name], row)
        first = self._first.get(partition)
        return DELETED if first is not None and 0 <= offset < first.next else None

    def _is_quarantined(self, name: str, row: Row) -> bool:
        partition, offset = place_of(self._tables.by_name[name], row)
        table = self._tables.sink_quarantine
        wanted = select(table.c.cause).where(
            table.c.topic == self._source,
            table.c.partition == partition,
            table.c.record_offset == offset,
            table.c.target == name,
        )
        return self._connection.execute(wanted).first() is not None

    def _is_erased(self, row: Row) -> bool:
        table = self._tables.erased_events
        values = dict(zip(self._tables.lifecycle_events.columns.keys(), row, strict=True))
        wanted = select(table.c.event_hash).where(
            table.c.application_id == values["application_id"],
            table.c.event_hash == erased_hash(values["event_id"]).hex(),
        )
        return self._connection.execute(wanted).first() is not None
