"""What only the database still has: dead letters and tombstones, which Kafka keeps for 30 days.

A set that is built of the log alone would have an event that the worker refused, or one that was erased and published
again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, or_, select

from models.events import rfc3339
from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Bulk, Row
from streams.sink.database import transaction
from streams.sink.lane import Cursor, Cut
from streams.sink.ownership import Ownership
from streams.sink.schema import CURRENT, Tables
from streams.sink.writing import CutWriter, Planned
from topics.contract.declared import Topics
from topics.records.adoptions import KnownRulesets
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
        """The source offsets of such letters between two offsets.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        table = CURRENT.dead_letters
        wanted = select(table.c.source_offset).where(
            self._where(partition), table.c.source_offset >= first, table.c.source_offset < end
        )
        with transaction(self._engine) as connection:
            return {*connection.execute(wanted).scalars()}

    def rows(self, connection: Connection, partition: int) -> Iterator[Row]:
        """The rows of all such letters of a partition."""
        yield from _streamed(connection, select(CURRENT.dead_letters).where(self._where(partition)))

    def has(self, row: Row) -> bool:
        """Whether a row of ``dead_letters`` is a dead letter that Kafka no longer has."""
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
    """Plans and writes cuts of another set, without the events whose dead letters only the current one has left.

    Args:
        engine: the database of the other set.
        topics: the declared topics.
        max_event_bytes: larger events are dead letters.
        authority: knows which erasures count.
        keeping: as :class:`~streams.sink.writing.CutWriter` has it.
        rulesets: likewise.
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
        rulesets: Callable[[], KnownRulesets],
        letters: ForgottenLetters,
    ) -> None:
        super().__init__(
            engine,
            topics,
            max_event_bytes=max_event_bytes,
            authority=authority,
            keeping=keeping,
            rulesets=rulesets,
        )
        self._letters = letters

    def plan(self, cut: Cut, owned: Ownership) -> Planned:
        """See :class:`~streams.sink.writing.CutWriter`.

        Raises:
            DatabaseAwayError: the current set's database does not answer.
        """
        bad = self._letters.offsets(cut.partition, cut.before.next, cut.after.next) if cut.events else ()
        if bad:
            cut = replace(
                cut,
                events=[event for event in cut.events if event.offset not in bad],
                refused=[*cut.refused, *(event for event in cut.events if event.offset in bad)],
            )
        return super().plan(cut, owned)


def carry_over(source: Connection, engine: Engine, tables: Tables, partition: int, letters: ForgottenLetters) -> int:
    """Copy what Kafka no longer has from the current set into a set that was built from the log up to the same cut.

    1. Dead letters. Their events were left out when the set was built.
    2. Hashes of erased events. An event that was published again after its tombstone had left Kafka is deleted.
    3. The applications of which there were records that a database does not hold.

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
    taken = 0
    with transaction(engine) as connection:
        bulk = Bulk(connection)
        # 1.
        table = tables.dead_letters
        for rows in _batches(letters.rows(source, partition)):
            known = select(table.c.source_offset).where(
                table.c.source_partition == partition, table.c.source_offset.in_([row[1] for row in rows])
            )
            there = {*connection.execute(known).scalars()}
            missing = [row for row in rows if row[1] not in there]
            bulk.insert(table, missing)
            taken += len(missing)
        # 2.
        for rows in _batches(_hashes(source, CURRENT, partition)):
            applications = sorted({application for application, _ in rows})
            there = {*_hashes(connection, tables, partition, applications)}
            erased = {(application, digest) for application, digest in rows} - there
            bulk.insert(tables.erased_events, [(*one, partition) for one in sorted(erased)])
            for table in (tables.lifecycle_events, tables.event_copies):
                bulk.delete(table, ("application_id", "event_id"), _events(connection, table, erased))
            taken += len(erased)
        # 3.
        for rows in _batches(_streamed(source, _marks(CURRENT, partition))):
            taken += bulk.insert(tables.incomplete_applications, rows)
    return taken


def _hashes(
    connection: Connection, tables: Tables, partition: int, applications: Sequence[str] | None = None
) -> Iterator[Row]:
    table = tables.erased_events
    wanted = select(table.c.application_id, table.c.event_hash).where(table.c.source_partition == partition)
    if applications is not None:
        wanted = wanted.where(table.c.application_id.in_(applications))
    yield from _streamed(connection, wanted.order_by(table.c.application_id, table.c.event_hash))


def _marks(tables: Tables, partition: int) -> Select[Any]:
    table = tables.incomplete_applications
    return select(table).where(table.c.source_partition == partition)


def _events(connection: Connection, table: Table, erased: Collection[tuple[str, str]]) -> list[Row]:
    """The events of a table that have these hashes."""
    applications = sorted({application for application, _ in erased})
    wanted = select(table.c.application_id, table.c.event_id).where(table.c.application_id.in_(applications)).distinct()
    return [
        (application, event)
        for application, event in _streamed(connection, wanted)
        if (application, erased_hash(event).hex()) in erased
    ]


def _streamed(connection: Connection, wanted: Select[Any]) -> Iterator[Row]:
    """Rows as they come: there may be more than should be in memory together."""
    with connection.execute(wanted, execution_options={"stream_results": True, "yield_per": _STEP}) as found:
        for row in found:
            yield tuple(row)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := [*islice(rows, _STEP)]:
        yield batch
