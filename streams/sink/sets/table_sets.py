"""Sets of tables beside the current one: which ones exist, and how a set is created and dropped."""

from typing import Final

from sqlalchemy import Connection, func, inspect, select, text

from streams.sink.schema import CURRENT, NEXT, PREVIOUS, Tables

__all__ = ["create_set", "drop_beside", "drop_set", "highest_epoch", "present", "sets_beside"]

BESIDE: Final = (NEXT, PREVIOUS)
"""The sets that may stand beside the current one."""


def present(connection: Connection, tables: Tables) -> bool:
    """Whether a set exists. Its table of positions stands for all its tables."""
    return inspect(connection).has_table(tables.sink_position.name)


def sets_beside(connection: Connection) -> list[Tables]:
    """The existing sets beside the current one."""
    return [tables for tables in BESIDE if present(connection, tables)]


def create_set(connection: Connection, tables: Tables) -> None:
    """Create the empty tables of a set, without its views: nobody reads it yet."""
    tables.metadata.create_all(connection)


def drop_set(connection: Connection, tables: Tables) -> None:
    """Drop those of a set's tables that exist: an earlier version may have had fewer."""
    if tables is CURRENT:
        raise AssertionError("the current set is never dropped")
    for name in inspect(connection).get_table_names():
        if name in tables.metadata.tables:
            connection.execute(text(f"DROP TABLE {name}"))


def highest_epoch(connection: Connection) -> int:
    """The highest epoch of all sets; 0: there is none.

    The epochs of a new set begin above it. So a process that was frozen with an epoch of another set never has an
    epoch of the new one.
    """
    sets = [tables for tables in (CURRENT, *BESIDE) if present(connection, tables)]
    found = [connection.execute(select(func.max(tables.sink_position.c.owner_epoch))).scalar() for tables in sets]
    return max((one for one in found if one is not None), default=0)


def drop_beside(connection: Connection) -> None:
    """Drop the sets beside the current one, and raise the current set's epochs above theirs."""
    if not sets_beside(connection):
        return
    epoch = highest_epoch(connection)
    for tables in BESIDE:
        drop_set(connection, tables)
    connection.execute(CURRENT.sink_position.update().values(owner_epoch=epoch + 1))
