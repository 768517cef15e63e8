"""The rows of a cut beside its events: further copies, adoptions, rulesets, times, and incomplete applications.

Together with ``lifecycle_events`` they are enough to make an application's log from the database again (see
:mod:`streams.sink.reading`). The database must not hold a record that is no event: it can have any content, and can
name an erased event. It only holds that the application has such a record; then its whole log is in Kafka alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, select, tuple_

from consolidator.keys import application_prefix, parse_event_key, partition_of
from models.errors import BadEventError
from models.lengths import MAX_ID_BYTES, fits
from streams.sink.bulk import Bulk
from streams.sink.event_plan import ErasedIds
from streams.sink.lane import Cut
from streams.sink.ownership import Ownership
from streams.sink.rows import Row
from streams.sink.schema import Tables
from topics.records.adoptions import ADOPTION_PREFIX, KnownRulesets
from topics.records.erasures import ERASURE_PREFIX, parse_erasure
from topics.records.record import Record

__all__ = ["LIFTED", "RowsBeside", "copy_row", "further_copies", "has_adoption", "rows_beside"]

LIFTED: Final = "lifted"
_REFUSED: Final = "refused"

_KEY_COLUMNS: Final = 5
_OFFSET: Final = 13
_ASKED_AT_ONCE: Final = 400
"""Keys in one question; each has five values, and a statement at most some thirty thousand."""


def copy_row(row: Row) -> Row:
    """The row of ``event_copies`` for a row of ``lifecycle_events``."""
    application_id, _, _, event_id, *_, partition, offset, recorded_at_ms, document = row
    return application_id, offset, partition, event_id, recorded_at_ms, document


def further_copies(connection: Connection, table: Table, rows: list[Row]) -> list[Row]:
    """The rows whose event the table already has, from another offset.

    Args:
        connection: in the transaction in which they were inserted.
        table: ``lifecycle_events``.
        rows: the rows that were to be inserted.
    """
    key = [*table.columns][:_KEY_COLUMNS]
    found = []
    for start in range(0, len(rows), _ASKED_AT_ONCE):
        some = {row[:_KEY_COLUMNS]: row for row in rows[start : start + _ASKED_AT_ONCE]}
        there = connection.execute(select(*key, table.c.source_offset).where(tuple_(*key).in_([*some])))
        for *known, offset in there:
            row = some[tuple(known)]
            if row[_OFFSET] != offset:
                found.append(row)
    return found


def has_adoption(records: Iterable[Record]) -> bool:
    """Whether a record has a key of adoptions, valid or not."""
    return any(_is_adoption(record) for record in records)


@dataclass(frozen=True, slots=True)
class RowsBeside:
    """Rows of a cut that can be made without the database.

    Attributes:
        adoptions: of ``ruleset_adoptions``.
        rulesets: of ``rulesets``.
        refused_erasures: of ``erased_applications``.
        incomplete: of ``incomplete_applications``.
        times: of ``record_times``.
        latest_ms: the latest of the broker's times of all records before the cut's end.
    """

    adoptions: list[Row]
    rulesets: list[Row]
    refused_erasures: list[Row]
    incomplete: list[Row]
    times: list[Row]
    latest_ms: int

    def write(self, bulk: Bulk, tables: Tables) -> None:
        """Insert the rows; existing rows stay."""
        bulk.insert(tables.record_times, self.times)
        bulk.insert(tables.ruleset_adoptions, self.adoptions)
        bulk.insert(tables.rulesets, self.rulesets)
        bulk.insert(tables.erased_applications, self.refused_erasures)
        bulk.insert(tables.incomplete_applications, self.incomplete)


def rows_beside(
    others: Sequence[Record], cut: Cut, partitions: int, owned: Ownership, known: KnownRulesets | None
) -> RowsBeside:
    """Make the rows.

    Args:
        others: the cut's records that are neither valid erasures nor events under their own keys.
        cut: the cut.
        partitions: how many there are.
        owned: its partition.
        known: the rulesets and adoptions in Kafka, if they can be new; else None.
    """
    times = [(cut.partition, at, offset) for at, offset in cut.times if at > owned.record_time_ms]
    return RowsBeside(
        _adoptions(others, known or KnownRulesets()),
        [] if known is None else [(digest, raw.decode()) for digest, raw in known.catalogues.items()],
        _refused_erasures(others, cut.partition),
        _incomplete(others, cut.partition, partitions, owned.erased),
        times,
        times[-1][1] if times else owned.record_time_ms,
    )


def _is_adoption(record: Record) -> bool:
    return record.key is not None and record.key.startswith(ADOPTION_PREFIX)


def _adoptions(records: Iterable[Record], known: KnownRulesets) -> list[Row]:
    """The rows of ``ruleset_adoptions``, for valid and invalid adoptions."""
    rows = []
    for record in records:
        if not _is_adoption(record):
            continue
        adoptions = known.adoptions.get(record.partition, ())
        adopted = next((one for one in adoptions if one.offset == record.offset), None)
        digests = (None, None) if adopted is None else (adopted.before, adopted.after)
        rows.append((record.partition, record.offset, record.timestamp_ms, *digests))
    return rows


def _refused_erasures(records: Iterable[Record], partition: int) -> list[Row]:
    """The rows of ``erased_applications`` for refused erasures."""
    rows = []
    for record in records:
        key = record.key or b""
        if not key.startswith(ERASURE_PREFIX) or record.value is None:
            continue
        try:
            erasure = parse_erasure(key, record.value)
        except BadEventError:
            # It has no hash of an application.
            continue
        rows.append((partition, erasure.salt.hex(), erasure.hash.hex(), record.offset, _REFUSED))
    return rows


def _incomplete(records: Iterable[Record], partition: int, partitions: int, erased: ErasedIds) -> list[Row]:
    """The rows of ``incomplete_applications``.

    Args:
        records: the records that the database must not hold.
        partition: their partition.
        partitions: how many there are.
        erased: the erased applications: their ids must not be in the database.
    """
    rows: dict[str, Row] = {}
    for record in records:
        application_id = _application_of(record.key)
        if application_id is None or not fits(application_id, MAX_ID_BYTES) or application_id in rows:
            continue
        if partition_of(application_id, partitions) != partition or erased.holds(application_prefix(application_id)):
            continue
        rows[application_id] = (application_id, partition)
    return [*rows.values()]


def _application_of(key: bytes | None) -> str | None:
    """The application whose prefix a key has, whatever comes after it."""
    begin, slash, _ = (key or b"").partition(b"/")
    identity = parse_event_key(begin + b"/-") if slash else None
    return None if identity is None else identity[0]
