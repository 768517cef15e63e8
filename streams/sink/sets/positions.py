"""Where the rows of a set of tables are."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from streams.sink.lane import Cursor
from streams.sink.schema import Tables

__all__ = ["Position", "positions"]


class Position(NamedTuple):
    """A row of ``sink_position``, in the order of its columns."""

    source_partition: int
    next_offset: int
    changes_offset: int
    letters_offset: int
    owner_epoch: int
    owner: str
    ruleset_digest: str
    record_time_ms: int
    seen_at_ms: int
    first_offset: int

    @property
    def cursor(self) -> Cursor:
        """How far the rows go in each topic."""
        return Cursor(self.next_offset, self.changes_offset, self.letters_offset)


def positions(connection: Connection, tables: Tables) -> Mapping[int, Position]:
    """The positions of a set, by partition."""
    table = tables.sink_position
    rows = connection.execute(select(table).order_by(table.c.source_partition))
    return {row.source_partition: Position(*row) for row in rows}
