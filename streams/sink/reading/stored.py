"""Reads one application from the database, at the cut of its partition: its log, its results, and their rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from consolidator.errors import UnreadableRecordError
from consolidator.keys import application_prefix, event_key, partition_of
from consolidator.records import FactorChange, decode_change
from models.lengths import MAX_ID_BYTES, fits
from streams.audit.history.current import Journalled
from streams.audit.history.inquiry import Moment, end_after, milliseconds_after
from streams.replay.application_log import ApplicationLog, KeptLog
from streams.sink.reading.snapshot import NotStoredError, require_installation
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset, Span
from topics.records.adoptions import ADOPTION_PREFIX, Adoption, KnownRulesets
from topics.records.erasures import salted_hash
from topics.records.record import Record

__all__ = ["Stored", "read_stored"]

# These are texts: SQLAlchemy needs a millisecond to compile an expression, and a command runs each query once.
_POSITIONS: Final = text(
    "SELECT source_partition, first_offset, next_offset, ruleset_digest, seen_at_ms FROM sink_position"
)
_INCOMPLETE: Final = text("SELECT 1 FROM incomplete_applications WHERE application_id = :application_id")
_ERASED: Final = text("SELECT salt, application_hash FROM erased_applications WHERE source_partition = :partition")
_LATER: Final = text(
    "SELECT source_offset FROM record_times WHERE source_partition = :partition AND recorded_at_ms >= :at_ms"
    " ORDER BY recorded_at_ms LIMIT 1"
)
_EVENTS: Final = text(
    "SELECT source_partition, source_offset, recorded_at_ms, event_id, document FROM lifecycle_events"
    # A row without a document is not from the log.
    " WHERE application_id = :application_id AND document IS NOT NULL"
    " UNION ALL SELECT source_partition, source_offset, recorded_at_ms, event_id, document FROM event_copies"
    " WHERE application_id = :application_id"
)
_ADOPTIONS: Final = text(
    "SELECT source_partition, source_offset, recorded_at_ms, digest_before, digest_after FROM ruleset_adoptions"
    " ORDER BY source_partition, source_offset"
)
_RULESETS: Final = text("SELECT ruleset_digest, catalogue FROM rulesets")
_CHANGES: Final = text(
    "SELECT c.version_offset, j.source_partition, j.journal_offset, j.document FROM consolidations c"
    " LEFT JOIN factor_changes j ON j.application_id = c.application_id AND j.processor = c.processor"
    " AND j.version_offset = c.version_offset WHERE c.application_id = :application_id"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One application, as the database has it.

    Attributes:
        log: the application's log, up to the cut.
        ends: of each given moment, the offset that limits the log: it is not included.
        changes: the last change of each processor, sorted by name.
        known: the rulesets and adoptions of all partitions.
        published: by partition the digest of the ruleset that its newest change names.
        seen_at_ms: when a sink was last at the partition, in milliseconds since the epoch, by its clock.
    """

    log: ApplicationLog
    ends: Mapping[Moment, int]
    changes: tuple[Journalled, ...]
    known: KnownRulesets
    published: Mapping[int, str]
    seen_at_ms: int


def read_stored(
    connection: Connection, topics: Topics, group: str, application_id: str, moments: tuple[Moment, ...] = ()
) -> Stored:
    """Read one application, with one indexed query for each table.

    Args:
        connection: as of one moment, see :func:`~streams.sink.reading.snapshot.snapshot`.
        topics: the declared topics.
        group: the workers' group.
        application_id: the application.
        moments: the moments of all *known* questions.

    Raises:
        NotStoredError: the database is of another installation, the application's log has records that the database
            must not hold, or a moment is not before the cut.
        ContractError: a given offset is of another partition.
        sqlalchemy.exc.DBAPIError: the database failed.
    """
    require_installation(connection, topics, group)
    positions = {row.source_partition: row for row in connection.execute(_POSITIONS)}
    partition = partition_of(application_id, topics.partitions)
    position = positions.get(partition)
    if position is None:
        raise NotStoredError(f"no sink has written partition {partition} of the database")
    _require_complete(connection, partition, application_id)
    span = Span(position.first_offset, position.next_offset)
    ends = {moment: _end(connection, moment, topics, application_id, partition, span) for moment in moments}
    adoptions = [*connection.execute(_ADOPTIONS)]
    here = [row for row in adoptions if row.source_partition == partition]
    records = [*_events(connection, topics, application_id), *(_adoption_record(row, topics) for row in here)]
    records.sort(key=lambda record: record.offset)
    kept = KeptLog(topics.executions.name, topics.partitions, records)
    return Stored(
        ApplicationLog(application_id, kept, partition, span.start, span.end),
        ends,
        _changes(connection, topics, application_id, span.end),
        KnownRulesets(_catalogues(connection), _adopted(adoptions)),
        {at: row.ruleset_digest for at, row in positions.items() if row.ruleset_digest},
        position.seen_at_ms,
    )


def _require_complete(connection: Connection, partition: int, application_id: str) -> None:
    """Refuse an application if its log has records that the database must not hold.

    The id of an erased application is in no row. Its hash is in the database, with a salt of its own, so every hash of
    the partition is compared.
    """
    if not fits(application_id, MAX_ID_BYTES):
        raise NotStoredError("the database holds no such long id")
    if connection.execute(_INCOMPLETE, {"application_id": application_id}).first() is not None:
        raise NotStoredError(
            f"the log of application {application_id} has records that the database must not hold: tombstones, refused "
            "or foreign ones"
        )
    erased = connection.execute(_ERASED, {"partition": partition})
    prefix = application_prefix(application_id)
    if any(salted_hash(bytes.fromhex(salt), prefix).hex() == found for salt, found in erased):
        raise NotStoredError(f"the log of application {application_id} has an erasure")


def _end(
    connection: Connection, moment: Moment, topics: Topics, application_id: str, partition: int, span: Span
) -> int:
    """The offset that limits the log for a moment."""
    if isinstance(moment, AtOffset):
        if moment.partition == partition and not span.start <= moment.offset < span.end:
            raise NotStoredError(f"the database has offsets {span.start} to {span.end} (without {span.end})")
        return end_after(moment, topics.executions.name, application_id, partition, span)
    if not isinstance(moment, int):
        return span.end
    later = {"partition": partition, "at_ms": milliseconds_after(moment)}
    found: int | None = connection.execute(_LATER, later).scalar()
    return span.end if found is None else found


def _events(connection: Connection, topics: Topics, application_id: str) -> list[Record]:
    """The application's events, with further copies."""
    topic = topics.executions.name
    return [
        Record(topic, partition, offset, at_ms, event_key(application_id, event_id), document.encode(), ())
        for partition, offset, at_ms, event_id, document in connection.execute(
            _EVENTS, {"application_id": application_id}
        )
    ]


def _adoption_record(row: Row[Any], topics: Topics) -> Record:
    """A record that adopts a ruleset; only its place decides which one."""
    partition, offset, at_ms, _, digest = row
    key = ADOPTION_PREFIX + (digest or "").encode()
    return Record(topics.executions.name, partition, offset, at_ms, key, b"", ())


def _adopted(rows: list[Row[Any]]) -> dict[int, tuple[Adoption, ...]]:
    """The adoptions that count, by partition, in order."""
    found: dict[int, tuple[Adoption, ...]] = {}
    for partition, offset, _, before, after in rows:
        if after is not None:
            found[partition] = (*found.get(partition, ()), Adoption(partition, offset, before, after))
    return found


def _catalogues(connection: Connection) -> dict[str, bytes]:
    return {digest: catalogue.encode() for digest, catalogue in connection.execute(_RULESETS)}


def _changes(connection: Connection, topics: Topics, application_id: str, end: int) -> tuple[Journalled, ...]:
    """The last change of each processor; a change has all factors after it."""
    found = []
    for version, partition, offset, document in connection.execute(_CHANGES, {"application_id": application_id}):
        if document is None:
            raise NotStoredError(f"the last change of application {application_id} was erased")
        if version >= end:
            raise NotStoredError(f"partition {partition} is adopting a ruleset")
        found.append(Journalled(_read_change(document), topics.factor_changes.name, partition, offset))
    return tuple(sorted(found, key=lambda one: one.value.processor))


def _read_change(document: str) -> FactorChange:
    try:
        return decode_change(document.encode())
    except UnreadableRecordError as error:
        raise NotStoredError(f"a change in the database cannot be read: {error}") from None
