"""A sink's database, read by the drivers alone, as ``docs/sql.md`` permits it to anybody: all tables at one moment."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.oracle.database_view import TABLES, TableRows, canonical_row

__all__ = ["AWAY", "Owner", "Reader", "Snapshot"]

AWAY = (sqlite3.OperationalError, psycopg.OperationalError)
"""What a question to a database that is killed, locked or not yet made ends with."""

_BUSY_S = 20.0

_OFFSETS = {
    "lifecycle_events": "source_offset",
    "factor_changes": "version_offset",
    "consolidations": "version_offset",
    "factors": "version_offset",
    "dead_letters": "source_offset",
}
"""Which offset of ``executions`` a row is of."""


@dataclass(frozen=True)
class Owner:
    """Who has a partition.

    Attributes:
        epoch: how often it was taken over.
        pid: of the process that has it.
    """

    epoch: int
    pid: int


@dataclass(frozen=True)
class Snapshot:
    """What one transaction saw.

    Attributes:
        positions: the cut of each partition.
        found: the rows of every table and view, as the driver gave them.
        documents: application, id and text of every change as it was published; empty where it was not asked for.
    """

    positions: dict[int, int]
    found: Mapping[str, Sequence[tuple[Any, ...]]]
    documents: Counter[tuple[str, str, str]]

    def rows(self) -> TableRows:
        """The rows, in the form of the oracle's."""
        return {table: Counter(canonical_row(table, row) for row in rows) for table, rows in self.found.items()}


class Reader:
    """Reads one database; each question has a connection of its own, as the server may have been killed since.

    Args:
        url: as ``CONSOLIDATOR_SINK_URL`` has it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._signature: str | None = None

    def sign(self, signature: str) -> None:
        """Write into SQLite under this name from now on; see ``tests/databases/audit.py``."""
        self._signature = signature

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.startswith("sqlite:")

    @property
    def file(self) -> Path:
        """The file, of SQLite."""
        return Path(self.url.removeprefix("sqlite:///"))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What one query gives.

        Raises:
            sqlite3.OperationalError, psycopg.OperationalError: the database is away.
        """
        with self.transaction() as connection:
            return connection.execute(query).fetchall()

    def change(self, *statements: str) -> None:
        """Execute statements, each in a transaction of its own."""
        with self._connected() as connection:
            for statement in statements:
                connection.execute(statement)

    def has_tables(self) -> bool:
        """Whether a sink has made its tables."""
        try:
            self.ask("SELECT COUNT(*) FROM sink_position")
        except (*AWAY, psycopg.errors.UndefinedTable):
            return False
        return True

    def positions(self) -> dict[int, int]:
        """The cut of each partition.

        Raises:
            sqlite3.OperationalError, psycopg.OperationalError: the database is away.
        """
        return dict(self.ask("SELECT source_partition, next_offset FROM sink_position"))

    def owners(self) -> dict[int, Owner]:
        """Who has each partition; raises as :meth:`positions`."""
        found = self.ask("SELECT source_partition, owner_epoch, owner FROM sink_position")
        return {partition: Owner(epoch, int(owner.rpartition(":")[2])) for partition, epoch, owner in found}

    def snapshot(self, *, documents: bool = False) -> Snapshot:
        """Every table and view at one moment; raises as :meth:`positions`.

        Args:
            documents: with the changes as they were published.
        """
        with self.transaction() as connection:
            positions = dict(connection.execute("SELECT source_partition, next_offset FROM sink_position").fetchall())
            rows = {
                table: connection.execute(f"SELECT {columns} FROM {table}").fetchall()
                for table, columns in TABLES.items()
            }
            found: Sequence[Any] = ()
            if documents:
                found = connection.execute("SELECT application_id, change_id, document FROM factor_changes").fetchall()
            return Snapshot(positions, rows, Counter(map(tuple, found)))

    def glance(self, chance: float) -> list[str]:
        """What contradicts itself at one moment; raises as :meth:`positions`.

        Nothing is behind its partition's cut; and of one application, chosen by chance, the events and the results are
        of the same moment: as many executions are active by the one as by the other.

        Args:
            chance: from 0 to 1: which application.
        """
        with self.transaction() as connection:

            def ask(query: str) -> list[tuple[Any, ...]]:
                rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
                return rows

            cuts = dict(ask("SELECT source_partition, next_offset FROM sink_position"))
            problems = [
                f"{table} has {last}, partition {partition} is at {cuts.get(partition)}"
                for table, column in _OFFSETS.items()
                for partition, last in ask(
                    f"SELECT source_partition, MAX({column}) FROM {table} GROUP BY source_partition"
                )
                if last >= cuts.get(partition, 0)
            ]
            applications = ask("SELECT DISTINCT application_id FROM consolidations ORDER BY application_id")
            if applications:
                [application] = applications[int(chance * len(applications))]
                results = ask(f"SELECT SUM(active) FROM consolidations WHERE application_id = '{application}'")
                events = ask(
                    f"SELECT COUNT(*) FROM processor_executions WHERE application_id = '{application}'"
                    " AND status IN ('completed', 'failed')"
                )
                if results != events:
                    problems.append(f"{application}: {events} active by its events, {results} by its results")
            return problems

    def tables_with(self, column: str) -> list[str]:
        """The tables, not the views, that have a column; raises as :meth:`positions`."""
        query = (
            "SELECT name FROM sqlite_master t WHERE type = 'table'"
            f" AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) c WHERE c.name = '{column}')"
        )
        if not self.is_sqlite:
            query = (
                "SELECT table_name FROM information_schema.columns JOIN information_schema.tables"
                " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
                f" AND column_name = '{column}'"
            )
        return [name for (name,) in self.ask(query)]

    def mentions(self, application: str) -> int:
        """In how many rows of all tables an application stands; raises as :meth:`positions`."""
        tables = self.tables_with("application_id")
        found = (self.ask(f"SELECT COUNT(*) FROM {one} WHERE application_id = '{application}'") for one in tables)
        return sum(count for [(count,)] in found)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection in a transaction that sees one moment, and changes nothing."""
        with self._connected() as connection:
            if self.is_sqlite:
                connection.execute("BEGIN")
            else:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
            connection.execute("ROLLBACK")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        if self.is_sqlite:
            # For writing, as whoever opens it first after a crash rolls its log back; but no new file.
            connection = sqlite3.connect(f"file:{self.file}?mode=rw", uri=True, timeout=_BUSY_S, isolation_level=None)
            if self._signature is not None:
                connection.create_function("written_by", 0, lambda: self._signature)
            try:
                yield connection
            finally:
                connection.close()
            return
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as server:
            yield server
