"""One set of tables takes another one's place, in one transaction.

SQLite and PostgreSQL both rename tables transactionally, so that a reader sees the one set or the other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, inspect, text

from models.errors import ContractError
from streams.sink.database import make_views, transaction
from streams.sink.lane import Cursor
from streams.sink.ownership import require_continuable
from streams.sink.schema import CURRENT, NEXT, PREVIOUS, Tables
from streams.sink.sets.positions import Position, positions
from streams.sink.sets.table_sets import drop_set, highest_epoch, present
from streams.sink.views import views

__all__ = ["hold", "switch", "switch_back"]

_ASIDE: Final = Tables("aside_")
"""The name of a set while two sets are swapped."""


class _Grant(NamedTuple):
    table: str
    grantee: str
    privilege: str


def hold(engine: Engine, owner: str) -> Mapping[int, Position]:
    """Take over all partitions of the current set: nobody writes it until a sink takes a partition over again.

    A running sink is fenced by that. It takes its partitions over again after a session's timeout.

    Args:
        engine: the database.
        owner: who takes them, for people.

    Returns:
        The positions.

    Raises:
        DatabaseAwayError: the database does not answer.
    """
    table = CURRENT.sink_position
    with transaction(engine) as connection:
        connection.execute(table.update().values(owner_epoch=table.c.owner_epoch + 1, owner=owner))
        return positions(connection, CURRENT)


def switch(engine: Engine, held: Mapping[int, Position], *, keep: bool = True) -> bool:
    """The next set becomes the current one, and that one the previous one; an older one of these is dropped.

    1. PostgreSQL locks the table of positions: nobody writes any more. SQLite's transaction has the file's lock.
    2. Check that nothing has moved since :func:`hold`, and that the next set has come to the same cuts or further.
    3. Rename the tables; make the views again, and give the grants again.
    4. Raise the epochs above those of all sets: every earlier owner is fenced.

    Args:
        engine: the database.
        held: what :func:`hold` gave.
        keep: keep the old set as the previous one; otherwise it is dropped.

    Returns:
        Whether 2 holds; otherwise nothing was done.

    Raises:
        ContractError: there is no next set, or a view that is not ours depends on the tables.
        DatabaseAwayError: the database does not answer, or somebody reads for longer than this waits.
    """
    with transaction(engine) as connection, _renaming(connection):
        # 1.
        if not present(connection, NEXT):
            raise ContractError("there are no tables to switch to: run `consolidator sink rebuild`")
        _lock(connection)
        # 2.
        following = positions(connection, NEXT)
        if positions(connection, CURRENT) != held or following.keys() < held.keys():
            return False
        if any(following[partition].next_offset < one.next_offset for partition, one in held.items()):
            return False
        # 3., 4.
        epoch = highest_epoch(connection) + 1
        drop_set(connection, PREVIOUS)
        _change_places(connection, [(CURRENT, PREVIOUS), (NEXT, CURRENT)])
        if not keep:
            drop_set(connection, PREVIOUS)
        _own(connection, epoch)
        return True


def switch_back(
    engine: Engine, *, first: Mapping[int, Cursor], now_ms: int, absence_ms: int
) -> Mapping[int, tuple[int, int]]:
    """The previous set becomes the current one again, at its own, earlier cuts; the current one becomes the previous.

    Args:
        engine: the database.
        first: where the topics of each partition begin.
        now_ms: this machine's clock, in milliseconds since the epoch.
        absence_ms: how long rows may have rested.

    Returns:
        For each partition from where to where the cut went.

    Raises:
        ContractError: there is no previous set, the log no longer has what follows its cuts, or tombstones have left
            it since.
        DatabaseAwayError: the database does not answer.
    """
    with transaction(engine) as connection, _renaming(connection):
        if not present(connection, PREVIOUS):
            raise ContractError("there are no previous tables: nothing was switched, or a new version has dropped them")
        _lock(connection)
        before, after = positions(connection, CURRENT), positions(connection, PREVIOUS)
        for partition, one in after.items():
            require_continuable(one, first[partition], now_ms=now_ms, absence_ms=absence_ms)
        epoch = highest_epoch(connection) + 1
        _change_places(connection, [(CURRENT, _ASIDE), (PREVIOUS, CURRENT), (_ASIDE, PREVIOUS)])
        _own(connection, epoch)
        return {
            partition: (before[partition].next_offset if partition in before else one.next_offset, one.next_offset)
            for partition, one in after.items()
        }


@contextmanager
def _renaming(connection: Connection) -> Iterator[None]:
    """Let SQLite's views keep the names of tables that they have, instead of following renamed tables."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE sink_position IN ACCESS EXCLUSIVE MODE")


def _own(connection: Connection, epoch: int) -> None:
    connection.execute(CURRENT.sink_position.update().values(owner_epoch=epoch, owner=""))


def _change_places(connection: Connection, moves: list[tuple[Tables, Tables]]) -> None:
    """Rename whole sets, one after the other, and give the current set its views and its readers' grants."""
    _refuse_foreign_views(connection)
    grants = _grants(connection)
    for name in views():
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
    for source, target in moves:
        for name, table in source.by_name.items():
            connection.execute(text(f"ALTER TABLE {table.name} RENAME TO {target.by_name[name].name}"))
        _rename_indexes(connection, source, target)
    make_views(connection, CURRENT)
    quote = connection.dialect.identifier_preparer.quote
    for one in grants:
        grantee = "PUBLIC" if one.grantee == "PUBLIC" else quote(one.grantee)
        connection.execute(text(f"GRANT {one.privilege} ON {one.table} TO {grantee}"))


def _rename_indexes(connection: Connection, source: Tables, target: Tables) -> None:
    """Give indexes and keys the names that migrations know."""
    on_postgresql = connection.dialect.name == "postgresql"
    for name, table in source.by_name.items():
        renamed = target.by_name[name]
        for index in table.indexes:
            wanted = f"{target.prefix}{str(index.name).removeprefix(source.prefix)}"
            if on_postgresql:
                connection.execute(text(f"ALTER INDEX {index.name} RENAME TO {wanted}"))
            else:
                connection.execute(text(f"DROP INDEX {index.name}"))
                next(one for one in renamed.indexes if one.name == wanted).create(connection)
        key = inspect(connection).get_pk_constraint(renamed.name)["name"] if on_postgresql else None
        if key is not None and key != f"{renamed.name}_pkey":
            connection.execute(text(f'ALTER TABLE {renamed.name} RENAME CONSTRAINT "{key}" TO {renamed.name}_pkey'))


def _grants(connection: Connection) -> list[_Grant]:
    """The privileges of other roles on the current set, in PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return []
    names = [*(table.name for table in CURRENT.by_name.values()), *views()]
    found = connection.execute(
        text(
            "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
            " WHERE table_schema = current_schema() AND table_name = ANY(:names) AND grantee <> current_user"
        ),
        {"names": names},
    )
    return [_Grant(*row) for row in found]


def _refuse_foreign_views(connection: Connection) -> None:
    """Refuse views that are not ours: in PostgreSQL they would go on with the old tables.

    Raises:
        ContractError: naming them.
    """
    if connection.dialect.name != "postgresql":
        return
    ours = [*(table.name for table in CURRENT.by_name.values()), *views()]
    found = connection.execute(
        text(
            "SELECT DISTINCT v.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
            " JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid"
            " WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
            " AND t.relnamespace = current_schema()::regnamespace"
            " AND t.relname = ANY(:ours) AND NOT v.relname = ANY(:ours) ORDER BY v.relname"
        ),
        {"ours": ours},
    )
    names = [*found.scalars()]
    if names:
        raise ContractError(
            f"these views depend on the tables and would go on with the old ones: {', '.join(names)}. Drop them, and "
            "create them again after the switch"
        )
