"""Sets of tables beside the current one: which of them there are, how one is made, and how it goes."""

from typing import Final

from sqlalchemy import Connection, func, inspect, select, text

from streams.sink.schema import CURRENT, NEXT, PREVIOUS, Tables

__all__ = ["create_set", "drop_beside", "drop_set", "highest_epoch", "present", "sets_beside"]

BESIDE: Final = (NEXT, PREVIOUS)
"""The sets that may stand beside the current one."""


def present(connection: Connection, tables: Tables) -> bool:
    """Whether a set is there: its positions are."""
    return inspect(connection).has_table(tables.sink_position.name)


def sets_beside(connection: Connection) -> list[Tables]:
    """Those beside the current one that there are."""
    return [tables for tables in BESIDE if present(connection, tables)]


def create_set(connection: Connection, tables: Tables) -> None:
    """Make the empty tables of a set, without its views: nobody reads it yet."""
    tables.metadata.create_all(connection)


def drop_set(connection: Connection, tables: Tables) -> None:
    """Drop a set's tables; of those that there are, as an earlier version may have had others."""
    if tables is CURRENT:
        raise AssertionError("the current set is never dropped")
    for name in inspect(connection).get_table_names():
        if name in tables.metadata.tables:
            connection.execute(text(f"DROP TABLE {name}"))


def highest_epoch(connection: Connection) -> int:
    """The highest epoch of all sets; 0: there is none.

    A set's epochs begin above it, so that whoever was frozen with an epoch of another set never has one of this set.
    """
    sets = [tables for tables in (CURRENT, *BESIDE) if present(connection, tables)]
    found = [connection.execute(select(func.max(tables.sink_position.c.owner_epoch))).scalar() for tables in sets]
    return max((one for one in found if one is not None), default=0)


def drop_beside(connection: Connection) -> None:
    """Drop what stands beside the current set, whose epochs then are at least those of what went."""
    if not sets_beside(connection):
        return
    epoch = highest_epoch(connection)
    for tables in BESIDE:
        drop_set(connection, tables)
    connection.execute(CURRENT.sink_position.update().values(owner_epoch=epoch + 1))
