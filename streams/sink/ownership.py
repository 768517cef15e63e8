"""Who may write a partition: the epoch in ``sink_position``, raised by whoever takes the partition over."""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, insert, select, update

from models.errors import ContractError
from streams.sink.database import require_schema, transaction
from streams.sink.event_plan import ErasedIds
from streams.sink.lane import Cursor
from streams.sink.schema import CURRENT, SINK_DATABASE, Tables
from streams.sink.sets.positions import Position

__all__ = [
    "ERASED",
    "FencedError",
    "Installed",
    "Ownership",
    "claim",
    "database_id",
    "move",
    "require_continuable",
    "require_database",
    "touch",
]

ERASED: Final = "erased"
"""The state of an application's erasure that holds."""

_DAY_MS: Final = 24 * 3_600_000


class FencedError(Exception):
    """Another process has the partition: nothing was written."""


@dataclass(slots=True)
class Ownership:
    """A partition of a set of tables that this process may write, until somebody else raises the epoch.

    Attributes:
        tables: of which set.
        partition: which one.
        epoch: of this ownership.
        place: where the rows were when it began.
        ruleset_digest: of the ruleset whose policies are in the database; "": none.
        erased: the applications that are erased as a whole.
        with_erased_events: the applications of which single events are erased.
        record_time_ms: the latest of the broker's times of the records before :attr:`place`.
    """

    tables: Tables
    partition: int
    epoch: int
    place: Cursor
    ruleset_digest: str
    erased: ErasedIds = field(default_factory=ErasedIds)
    with_erased_events: set[str] = field(default_factory=set)
    record_time_ms: int = -1


@dataclass(frozen=True, slots=True)
class Installed:
    """Which installation a database is of.

    Attributes:
        group: the workers' group.
        topic: the source topic's full name.
        topic_id: its id, which another topic under its name has not; "": not known.
        partitions: how many it has.
    """

    group: str
    topic: str
    topic_id: str
    partitions: int


def database_id(engine: Engine, installed: Installed, new_id: str) -> str:
    """The id of a database; one that is empty belongs to this installation from now on.

    Args:
        engine: the database, at this version's schema.
        installed: the installation.
        new_id: its id, if it has none yet.

    Raises:
        ContractError: it belongs to another installation.
        DatabaseAwayError: it does not answer.
    """
    wanted = (installed.group, installed.topic, installed.topic_id, installed.partitions)
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            # Two that start together: the second one finds what the first one has written.
            connection.exec_driver_sql("LOCK TABLE sink_database IN EXCLUSIVE MODE")
        row = connection.execute(select(SINK_DATABASE)).first()
        if row is None:
            connection.execute(insert(SINK_DATABASE).values((new_id, *wanted)))
            return new_id
        return require_installed(row, installed)


def require_installed(row: Row[Any] | None, installed: Installed) -> str:
    """The id of a database that belongs to an installation.

    Args:
        row: of ``sink_database``; None: there is none.
        installed: the installation.

    Raises:
        ContractError: it belongs to another one, or to none yet.
    """
    if row is None:
        raise ContractError("no sink has been at this database: start `consolidator sink run`")
    wanted = (installed.group, installed.topic, installed.topic_id, installed.partitions)
    found: str = row[0]
    if tuple(row[1:]) != wanted:
        raise ContractError(
            f"the database is of workers {row[1]} on {row[2]} (id {row[3]}, {row[4]} partitions), the settings are "
            f"of workers {wanted[0]} on {wanted[1]} (id {wanted[2]}, {wanted[3]} partitions). Use another database"
        )
    return found


def require_database(connection: Connection, installed: Installed | None) -> None:
    """Refuse a database of another schema, or of another installation.

    Args:
        connection: the database.
        installed: the installation; None: it is not asked.

    Raises:
        ContractError: saying what is different.
    """
    require_schema(connection)
    row = connection.execute(select(SINK_DATABASE)).first()
    if installed is not None:
        require_installed(row, installed)


def claim(
    engine: Engine,
    partition: int,
    *,
    owner: str,
    beginning: Cursor,
    now_ms: int,
    absence_ms: int,
    tables: Tables = CURRENT,
) -> Ownership:
    """Take a partition over: whoever had it writes nothing any more.

    Args:
        engine: the database.
        partition: the partition.
        owner: who takes it, for people.
        beginning: where the topics begin: a new database begins there.
        now_ms: this machine's clock, in milliseconds since the epoch.
        absence_ms: how long a sink may have been away: after that tombstones leave the topics.
        tables: the set.

    Raises:
        ContractError: it was away for longer, or the log no longer has what is next.
        DatabaseAwayError: the database does not answer.
    """
    table = tables.sink_position
    with transaction(engine) as connection:
        updated = connection.execute(
            update(table)
            .where(table.c.source_partition == partition)
            .values(owner_epoch=table.c.owner_epoch + 1, owner=owner)
        )
        if updated.rowcount == 0:
            connection.execute(insert(table).values((partition, *beginning, 1, owner, "", -1, now_ms, beginning.next)))
        row = Position(*connection.execute(select(table).where(table.c.source_partition == partition)).one())
        require_continuable(row, beginning, now_ms=now_ms, absence_ms=absence_ms)
        place = Cursor(row.next_offset, row.changes_offset, max(row.letters_offset, beginning.letters))
        return Ownership(
            tables,
            partition,
            row.owner_epoch,
            place,
            row.ruleset_digest,
            _erased(connection, tables, partition),
            _with_erased_events(connection, tables, partition),
            row.record_time_ms,
        )


def require_continuable(position: Position, beginning: Cursor, *, now_ms: int, absence_ms: int) -> None:
    """Refuse rows from which the log does not go on.

    Args:
        position: a row of ``sink_position``.
        beginning: where the topics begin.
        now_ms: this machine's clock, in milliseconds since the epoch.
        absence_ms: how long a sink may have been away.

    Raises:
        ContractError: it was away for longer, or the log no longer has what is next.
    """
    partition, away_ms = position.source_partition, now_ms - position.seen_at_ms
    if away_ms > absence_ms:
        raise ContractError(
            f"no sink was at partition {partition} for {away_ms // _DAY_MS} days, and tombstones leave the topics "
            f"after {absence_ms // _DAY_MS}: erasures may have been missed. Run `consolidator sink rebuild --switch`, "
            "or begin with an empty database"
        )
    if position.next_offset < beginning.next or position.changes_offset < beginning.changes:
        raise ContractError(
            f"the rows of partition {partition} are at {position.next_offset} (changes: {position.changes_offset}), "
            f"and the log begins at {beginning.next} (changes: {beginning.changes}): what is between is gone. Run "
            "`consolidator sink rebuild --switch`, or begin with an empty database"
        )


def move(
    connection: Connection,
    owned: Ownership,
    before: Cursor,
    after: Cursor,
    *,
    ruleset_digest: str,
    record_time_ms: int,
    now_ms: int,
) -> None:
    """Move a partition's cut, as the first statement of its transaction: the fence.

    Raises:
        FencedError: the partition is another process's by now, or not where it was left.
    """
    table = owned.tables.sink_position
    values: dict[str, int | str] = {
        "next_offset": after.next,
        "changes_offset": after.changes,
        "letters_offset": after.letters,
        "ruleset_digest": ruleset_digest,
        "record_time_ms": record_time_ms,
        "seen_at_ms": now_ms,
    }
    moved = connection.execute(
        update(table)
        .where(
            table.c.source_partition == owned.partition,
            table.c.owner_epoch == owned.epoch,
            table.c.next_offset == before.next,
            table.c.changes_offset == before.changes,
        )
        .values(values)
    )
    if moved.rowcount != 1:
        raise FencedError


def touch(engine: Engine, owned: Ownership, now_ms: int) -> None:
    """Note that a sink is at a partition in which nothing happens; raises as :func:`move`."""
    table = owned.tables.sink_position
    with transaction(engine) as connection:
        touched = connection.execute(
            update(table)
            .where(table.c.source_partition == owned.partition, table.c.owner_epoch == owned.epoch)
            .values(seen_at_ms=now_ms)
        )
        if touched.rowcount != 1:
            raise FencedError


def _erased(connection: Connection, tables: Tables, partition: int) -> ErasedIds:
    table = tables.erased_applications
    rows = connection.execute(
        select(table.c.salt, table.c.application_hash).where(
            table.c.source_partition == partition, table.c.state == ERASED
        )
    )
    return ErasedIds([(bytes.fromhex(salt), bytes.fromhex(digest)) for salt, digest in rows])


def _with_erased_events(connection: Connection, tables: Tables, partition: int) -> set[str]:
    table = tables.erased_events
    rows = connection.execute(select(table.c.application_id).where(table.c.source_partition == partition).distinct())
    return {application for (application,) in rows}
