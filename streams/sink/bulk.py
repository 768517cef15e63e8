"""Many rows in one statement: SQLite's list of ``VALUES``, PostgreSQL's ``unnest``; and which row of them is bad.

Rows are tuples in the order of the table's columns, and SQL stays readable: no ORM and no compilation on the hot path.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Table

from streams.sink.failures import BAD_ROW, cause_of

__all__ = ["Bulk", "Refused"]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the database refused.

    Attributes:
        table: where it was to be.
        row: the row.
        cause: why, without values.
    """

    table: Table
    row: Row
    cause: str


@dataclass(slots=True)
class Bulk:
    """Writes rows on one connection, in its transaction.

    Attributes:
        connection: in a transaction.
        careful: each statement has a savepoint, and a bad row is found by halving; otherwise it is an error.
        refused: the bad rows.
    """

    connection: Connection
    careful: bool = False
    refused: list[Refused] = field(default_factory=list)

    def insert(self, table: Table, rows: Sequence[Row], *, replace: bool = False) -> int:
        """Insert rows; one that is there stays.

        Args:
            table: where.
            rows: a value for each column of the table.
            replace: one that is there becomes this one; no key may be there twice among the rows.

        Returns:
            How many rows were inserted or replaced.
        """
        return self._write(table, rows, lambda part: self._insert(table, part, replace))

    def delete(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Delete what has these values in these columns."""
        statement = _delete(table, tuple(columns), self.connection.dialect.name)
        self._write(table, rows, lambda part: self._delete(statement, part))

    def _write(self, table: Table, rows: Sequence[Row], write: Callable[[Sequence[Row]], int]) -> int:
        if not rows:
            return 0
        if not self.careful:
            return write(rows)
        try:
            with self.connection.begin_nested():
                return write(rows)
        except BAD_ROW as error:
            if len(rows) == 1:
                self.refused.append(Refused(table, rows[0], cause_of(error)))
                return 0
            middle = len(rows) // 2
            return self._write(table, rows[:middle], write) + self._write(table, rows[middle:], write)

    def _insert(self, table: Table, rows: Sequence[Row], replace: bool) -> int:  # noqa: FBT001 - a bound argument
        if self.connection.dialect.name == "postgresql":
            statement = _insert(table, _unnested(table), replace)
            return self.connection.exec_driver_sql(statement, _columns_of(rows)).rowcount
        begin = count = 0
        for size in _SQLITE_ROWS:
            statement = _insert(table, _listed(table, size), replace)
            while len(rows) - begin >= size:
                values = tuple(chain.from_iterable(rows[begin : begin + size]))
                count += self.connection.exec_driver_sql(statement, values).rowcount
                begin += size
        return count

    def _delete(self, statement: str, rows: Sequence[Row]) -> int:
        values = _columns_of(rows) if self.connection.dialect.name == "postgresql" else [*rows]
        return self.connection.exec_driver_sql(statement, values).rowcount


_CACHED: Final = 128

_SQLITE_ROWS: Final = (256, 32, 4, 1)
"""How many rows a statement of SQLite's has: as many as possible of the first number, then of the next.

Python's driver gives other threads their turn with each step of a statement, and waits for its own after it: with a
statement for each row, as ``executemany`` has it, the wait would be a thousand times longer than the work. These few
sizes keep the statements prepared. 256 rows of the widest table are some 4,000 parameters; SQLite takes 32,766.
"""


def _columns_of(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    return tuple(list(values) for values in zip(*rows, strict=True))


@lru_cache(maxsize=_CACHED)
def _listed(table: Table, rows: int) -> str:
    one = f"({', '.join('?' for _ in table.columns)})"
    return f"VALUES {', '.join([one] * rows)}"


@lru_cache(maxsize=_CACHED)
def _unnested(table: Table) -> str:
    return f"SELECT * FROM unnest({_arrays([*table.columns])})"


@lru_cache(maxsize=_CACHED)
def _insert(table: Table, values: str, replace: bool) -> str:  # noqa: FBT001 - a cache's key
    columns = [*table.columns]
    names = ", ".join(column.name for column in columns)
    keys = ", ".join(column.name for column in table.primary_key)
    others = [column.name for column in columns if not column.primary_key]
    changed = ", ".join(f"{name} = excluded.{name}" for name in others)
    what = f"UPDATE SET {changed}" if replace and others else "NOTHING"
    return f"INSERT INTO {table.name} ({names}) {values} ON CONFLICT ({keys}) DO {what}"


@lru_cache(maxsize=_CACHED)
def _delete(table: Table, columns: tuple[str, ...], dialect: str) -> str:
    if dialect != "postgresql":
        return f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = ?' for name in columns)}"
    same = " AND ".join(f"{table.name}.{name} = gone.{name}" for name in columns)
    arrays = _arrays([table.columns[name] for name in columns])
    return f"DELETE FROM {table.name} USING unnest({arrays}) AS gone({', '.join(columns)}) WHERE {same}"


def _arrays(columns: Sequence[Column[Any]]) -> str:
    # %b: in binary form. In text form the driver looks into each value for what is to be escaped, which takes it 40
    # times as long for a document.
    return ", ".join(f"%b::{_type(column)}[]" for column in columns)


def _type(column: Column[Any]) -> str:
    match column.type:
        case Boolean():
            return "boolean"
        case BigInteger():
            return "bigint"
        case _:
            return "text"
