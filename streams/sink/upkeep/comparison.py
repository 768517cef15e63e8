"""Compares two sets of tables at the same cuts, row by row, and computes the digest of each.

The digest of a table's rows of one partition is SHA-256 over each row as a JSON array and a line feed, in the order of
the key by code points; it does not depend on the kind of the database. A partition's is SHA-256 over those of its
tables, in the order of :data:`COMPARED`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection, Table, select

from streams.sink.bulk import Row
from streams.sink.schema import Tables
from streams.sink.sets.positions import positions

__all__ = ["COMPARED", "Comparison", "Difference", "Explain", "Side", "Sort", "TableDigests", "differing"]

COMPARED: Final = (
    "lifecycle_events",
    "factors",
    "consolidations",
    "factor_changes",
    "dead_letters",
    "erased_events",
    "erased_applications",
    "event_copies",
    "incomplete_applications",
    "ruleset_adoptions",
    "record_times",
    "processor_policies",
)
"""The tables that the log determines, by their names without a prefix. ``rulesets`` has its digest as its key."""

_RULESET: Final = "ruleset_digest"
_PLACE_TABLE: Final = "sink_position"
_AT_ONCE: Final = 2_000
_EVENTS: Final = "lifecycle_events"
_MOST_EXTRA: Final = 10_000
"""So many events that only the database has are looked for in the log; they are in memory together."""


_line: Final = msgspec.json.Encoder().encode


class Side(NamedTuple):
    """A set of tables, seen at one moment."""

    connection: Connection
    tables: Tables


class Sort:
    """What a difference is."""

    ONLY_IN_DATABASE: Final = "only_in_database"
    ONLY_IN_LOG: Final = "only_in_log"
    DIFFERS: Final = "differs"


class Explain(Protocol):
    """Knows which rows may be different although neither side is wrong."""

    def __call__(self, name: str, ours: Row | None, theirs: Row | None) -> str | None:
        """Why two rows are no difference; None: they are one.

        Args:
            name: the table, without a prefix.
            ours: the database's row; None: it has none.
            theirs: the log's row; None: it has none.
        """

    def is_other_ruleset(self, partition: int) -> bool:
        """Whether the log no longer has the change that named a partition's ruleset."""

    def extra_events(self, rows: Sequence[Row]) -> list[str | None]:
        """Likewise, for rows of ``lifecycle_events`` that only the database has. The log is read once for all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same; without its values.

    Attributes:
        table: the table, without a prefix.
        partition: the partition that the row is of.
        key: the row's key, by column.
        sort: one of :class:`Sort`.
        columns: which others differ, where it is on both sides.
    """

    table: str
    partition: int
    key: Mapping[str, str | int]
    sort: str
    columns: Sequence[str] = ()

    def members(self) -> dict[str, object]:
        """The difference as a JSON object."""
        found: dict[str, object] = {
            "kind": "difference",
            "table": self.table,
            "partition": self.partition,
            "key": dict(self.key),
            "difference": self.sort,
        }
        return found | ({"columns": [*self.columns]} if self.columns else {})

    def __str__(self) -> str:
        key = " ".join(f"{name}={value}" for name, value in self.key.items())
        words = {
            Sort.ONLY_IN_DATABASE: "only in the database",
            Sort.ONLY_IN_LOG: "only in the log",
            Sort.DIFFERS: f"differs in {', '.join(self.columns)}",
        }
        return f"{self.table} partition {self.partition} {key}: {words[self.sort]}"


class TableDigests:
    """The rows of one side: how many there are of each table and partition, and their digest."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, int]] = Counter()
        self._hashes: dict[tuple[str, int], Any] = {}

    def add(self, table: str, partition: int, row: Row) -> None:
        """Take a row, in the order of the keys."""
        where = (table, partition)
        self.rows[where] += 1
        digest = self._hashes.get(where)
        if digest is None:
            digest = self._hashes[where] = sha256()
        digest.update(_line(row))
        digest.update(b"\n")

    def of_table(self, table: str, partition: int) -> str:
        """The digest of a table's rows of a partition, 64 hexadecimal digits."""
        digest = self._hashes.get((table, partition))
        return (sha256() if digest is None else digest).hexdigest()

    def of_partition(self, partition: int) -> str:
        """The digest of all rows of a partition."""
        return sha256("".join(self.of_table(table, partition) for table in COMPARED).encode()).hexdigest()

    def count(self, partition: int) -> int:
        """How many rows a partition has."""
        return sum(self.rows[table, partition] for table in COMPARED)


@dataclass(slots=True)
class Comparison:
    """Compares a database with what was built of the log.

    Attributes:
        database: the rows that are looked at.
        log: the rows that the log comes to, at the same cuts.
        explain: says what is no difference.
        left_out: partitions whose cuts are not the same: they are not compared.
        database_digests: of the database's rows, once everything was compared.
        log_digests: of the log's.
        explained: how often what was no difference, by reason.
        differences: how many there are, by table.
    """

    database: Side
    log: Side
    explain: Explain
    left_out: frozenset[int] = frozenset()
    database_digests: TableDigests = field(default_factory=TableDigests)
    log_digests: TableDigests = field(default_factory=TableDigests)
    explained: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)

    def run(self, on_progress: Callable[[int], None]) -> Iterator[Difference]:
        """Every difference that is not explained, table by table.

        Args:
            on_progress: is given a number of rows, now and then.
        """
        extra: list[Row] = []
        for name in COMPARED:
            for ours, theirs in self._pairs(name, on_progress):
                if ours == theirs:
                    continue
                reason = self.explain(name, ours, theirs)
                is_extra = name == _EVENTS and theirs is None and reason is None
                if is_extra and ours is not None and len(extra) < _MOST_EXTRA:
                    extra.append(ours)
                else:
                    yield from self._judged(name, ours, theirs, reason)
        for row, reason in zip(extra, self.explain.extra_events(extra), strict=True):
            yield from self._judged(_EVENTS, row, None, reason)
        yield from self._rulesets()

    def _judged(self, name: str, ours: Row | None, theirs: Row | None, reason: str | None) -> Iterator[Difference]:
        if reason is None:
            self.differences[name] += 1
            yield self._difference(name, ours, theirs)
        else:
            self.explained[reason] += 1

    def _pairs(self, name: str, on_progress: Callable[[int], None]) -> Iterator[tuple[Row | None, Row | None]]:
        """The rows of both sides, those with the same key together."""
        table = self.database.tables.by_name[name]
        keys = [number for number, column in enumerate(table.columns) if column.primary_key]
        partition_at = table.columns.keys().index("source_partition")
        left = self._rows(self.database, name, self.database_digests, partition_at)
        right = self._rows(self.log, name, self.log_digests, partition_at)
        ours, theirs = next(left, None), next(right, None)
        seen = 0
        while ours is not None or theirs is not None:
            our_key = None if ours is None else tuple(ours[number] for number in keys)
            their_key = None if theirs is None else tuple(theirs[number] for number in keys)
            seen += 1
            if seen % _AT_ONCE == 0:
                on_progress(_AT_ONCE)
            if their_key is None or (our_key is not None and our_key < their_key):
                yield ours, None
                ours = next(left, None)
            elif our_key is None or their_key < our_key:
                yield None, theirs
                theirs = next(right, None)
            else:
                yield ours, theirs
                ours, theirs = next(left, None), next(right, None)
        on_progress(seen % _AT_ONCE)

    def _rows(self, side: Side, name: str, digests: TableDigests, partition_at: int) -> Iterator[Row]:
        table = side.tables.by_name[name]
        wanted = select(table).order_by(*table.primary_key.columns)
        if self.left_out:
            wanted = wanted.where(table.c.source_partition.not_in(sorted(self.left_out)))
        options = {"stream_results": True, "yield_per": _AT_ONCE}
        with side.connection.execute(wanted, execution_options=options) as found:
            for each in found:
                row = tuple(each)
                digests.add(name, row[partition_at], row)
                yield row

    def _difference(self, name: str, ours: Row | None, theirs: Row | None) -> Difference:
        table = self.database.tables.by_name[name]
        row = ours if ours is not None else theirs
        if row is None:
            raise AssertionError("one side has a row")
        values = dict(zip(table.columns.keys(), row, strict=True))
        key = {column.name: values[column.name] for column in table.primary_key.columns}
        partition = values["source_partition"]
        if ours is None or theirs is None:
            sort = Sort.ONLY_IN_LOG if ours is None else Sort.ONLY_IN_DATABASE
            return Difference(name, partition, key, sort)
        return Difference(name, partition, key, Sort.DIFFERS, differing(table, ours, theirs))

    def _rulesets(self) -> Iterator[Difference]:
        """Compare ``ruleset_digest``, the one column of the positions that the log determines."""
        ours, theirs = positions(*self.database), positions(*self.log)
        for partition in sorted(ours.keys() - self.left_out):
            other = theirs.get(partition)
            if other is None or other.ruleset_digest == ours[partition].ruleset_digest:
                continue
            if not self.explain.is_other_ruleset(partition):
                self.differences[_PLACE_TABLE] += 1
                key = {"source_partition": partition}
                yield Difference(_PLACE_TABLE, partition, key, Sort.DIFFERS, (_RULESET,))


def differing(table: Table, ours: Row, theirs: Row) -> tuple[str, ...]:
    """The columns in which two rows differ."""
    names = table.columns.keys()
    return tuple(name for name, left, right in zip(names, ours, theirs, strict=True) if left != right)
