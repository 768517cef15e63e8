"""What a database remembers and Kafka does not any more: dead letters after 30 days, and tombstones likewise.

A set that is built of the log alone would have an event that the worker refused, or one that was erased and published
again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, or_, select

from models.events import rfc3339
from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Bulk, Row
from streams.sink.database import transaction
from streams.sink.lane import Cursor, Cut
from streams.sink.ownership import Ownership
from streams.sink.schema import CURRENT, Tables
from streams.sink.writing import CutWriter, Written
from topics.contract.declared import Topics
from topics.records.erasure_authority import ErasureAuthority

__all__ = ["ForgottenLetters", "RememberingWriter", "carry_over"]

_RETENTION: Final = "retention.ms"
_STEP: Final = 2_000


class ForgottenLetters:
    """Dead letters of the current set that Kafka no longer has.

    Args:
        engine: the database, see :func:`streams.sink.database.open_for_snapshots`.
        topics: the declared topics.
        first: where the topics of each partition begin.
        now_ms: this machine's clock, in milliseconds since the epoch.
    """

    def __init__(self, engine: Engine, topics: Topics, first: Mapping[int, Cursor], now_ms: int) -> None:
        self._engine = engine
        self._oldest = rfc3339((now_ms - int(topics.dlq.config[_RETENTION])) * 1_000)
        self._first = first

    def offsets(self, partition: int, first: int, end: int) -> Collection[int]:
        """Of which records between two offsets.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        table = CURRENT.dead_letters
        wanted = select(table.c.source_offset).where(
            self._where(partition), table.c.source_offset >= first, table.c.source_offset < end
        )
        with transaction(self._engine) as connection:
            return {*connection.execute(wanted).scalars()}

    def rows(self, connection: Connection, partition: int) -> list[Row]:
        """All of a partition."""
        return [tuple(row) for row in connection.execute(select(CURRENT.dead_letters).where(self._where(partition)))]

    def has(self, row: Row) -> bool:
        """Whether a row of ``dead_letters`` is one of them."""
        names = CURRENT.dead_letters.columns.keys()
        values = dict(zip(names, row, strict=True))
        first = self._first.get(values["source_partition"])
        gone = first is not None and values["letter_offset"] < first.letters
        return bool(gone or values["source_time"] < self._oldest)

    def _where(self, partition: int) -> ColumnElement[bool]:
        # Compaction takes the dead letter of a tombstone, which has no value, for a tombstone: such letters are gone
        # before the topic's beginning has come to them.
        table = CURRENT.dead_letters
        gone = or_(table.c.letter_offset < self._first[partition].letters, table.c.source_time < self._oldest)
        return (table.c.source_partition == partition) & gone


class RememberingWriter(CutWriter):
    """Writes cuts into another set, without the events whose dead letters only the current one has left.

    Args:
        engine: the database of the other set.
        topics: the declared topics.
        max_event_bytes: larger events are dead letters.
        authority: knows which erasures count.
        keeping: as :class:`~streams.sink.writing.CutWriter` has it.
        letters: the dead letters that are to be remembered.
    """

    def __init__(
        self,
        engine: Engine,
        topics: Topics,
        *,
        max_event_bytes: int,
        authority: ErasureAuthority,
        keeping: Callable[[str], Collection[str]],
        letters: ForgottenLetters,
    ) -> None:
        super().__init__(engine, topics, max_event_bytes=max_event_bytes, authority=authority, keeping=keeping)
        self._letters = letters

    def write(self, cut: Cut, owned: Ownership, now_ms: int) -> Written:
        """See :class:`~streams.sink.writing.CutWriter`."""
        bad = self._letters.offsets(cut.partition, cut.before.next, cut.after.next) if cut.events else ()
        if bad:
            cut = replace(cut, events=[event for event in cut.events if event.offset not in bad])
        return super().write(cut, owned, now_ms)


def carry_over(source: Connection, engine: Engine, tables: Tables, partition: int, letters: ForgottenLetters) -> int:
    """Take what the log has forgotten from the current set into one that was built of the log up to the same cut.

    1. Dead letters. Their events were left out when the set was built.
    2. Hashes of erased events; and an event that was published again after its tombstone had gone, goes.

    Args:
        source: the database at one moment.
        engine: where the other set is.
        tables: the other set.
        partition: the partition.
        letters: those that Kafka does not have any more.

    Returns:
        How many rows were taken over.

    Raises:
        DatabaseAwayError: the database does not answer.
    """
    with transaction(engine) as connection:
        bulk = Bulk(connection)
        # 1.
        known = {*connection.execute(_keys(tables, partition)).scalars()}
        rows = [row for row in letters.rows(source, partition) if row[1] not in known]
        bulk.insert(tables.dead_letters, rows)
        # 2.
        erased = _hashes(source, CURRENT, partition) - _hashes(connection, tables, partition)
        bulk.insert(tables.erased_events, [(*one, partition) for one in sorted(erased)])
        applications = sorted({application for application, _ in erased})
        table = tables.lifecycle_events
        for first in range(0, len(applications), _STEP):
            wanted = select(table.c.application_id, table.c.event_id).where(
                table.c.application_id.in_(applications[first : first + _STEP])
            )
            again = {
                (application, event)
                for application, event in connection.execute(wanted)
                if (application, erased_hash(event).hex()) in erased
            }
            bulk.delete(table, ("application_id", "event_id"), sorted(again))
    return len(rows) + len(erased)


def _keys(tables: Tables, partition: int) -> Any:
    table = tables.dead_letters
    return select(table.c.source_offset).where(table.c.source_partition == partition)


def _hashes(connection: Connection, tables: Tables, partition: int) -> set[tuple[str, str]]:
    table = tables.erased_events
    wanted = select(table.c.application_id, table.c.event_hash).where(table.c.source_partition == partition)
    return {(application, digest) for application, digest in connection.execute(wanted)}
