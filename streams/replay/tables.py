"""A temporary RocksDB for a replay's state, so that memory stays flat.

There is no write-ahead log and nothing survives the process: a replay that dies has to start again.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import rocksdict

from models.errors import InfrastructureError
from streams.partition.state.row_codec import MARK_KEY
from streams.replay.scratch_directory import ScratchDirectory
from streams.runtime.rocksdb import OpenDatabase, batch_of, options_of, without_log

__all__ = ["MemoryTable", "Scratch", "ScratchTable", "Table", "place_key", "place_of"]

_CACHE_BYTES: Final = 64 * 1024 * 1024
"""Block cache of all tables together: half of a worker's, as a replay mostly writes."""

_MEMTABLE_BYTES: Final = 16 * 1024 * 1024
"""Twice per table; there are at most five."""

_PLACE: Final = struct.Struct(">IQQ")
"""Partition and two offsets, big-endian: bytes sort like the numbers."""


class Table(Protocol):
    """A sorted key-value table; the rows of a :class:`~streams.partition.partition_fold.PartitionFold`."""

    def get(self, key: bytes) -> bytes | None:
        """The bytes under a key, if any."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that starts with a prefix, in order, with its value."""

    def between(self, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Every key from ``first`` up to ``end``, without ``end``, in order, with its value."""

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put rows, or remove those with None. Marks are left out: a replay never resumes."""


class MemoryTable:
    """A table in memory, for the little data of one application."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """See :class:`Table`."""
        return self._rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See :class:`Table`."""
        return (row for row in sorted(self._rows.items()) if row[0].startswith(prefix))

    def between(self, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """See :class:`Table`."""
        return (row for row in sorted(self._rows.items()) if first <= row[0] and (end is None or row[0] < end))

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """See :class:`Table`."""
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            elif key != MARK_KEY:
                self._rows[key] = value


class ScratchTable(OpenDatabase):
    """A :class:`Table` on disk.

    Raises:
        InfrastructureError: from every method: the disk failed or is full.
    """

    def __init__(self, path: Path, options: rocksdict.Options) -> None:
        self._path = path
        self._without_log = without_log()
        try:
            self._db = rocksdict.Rdict(str(path), options=options)
        except Exception as error:
            raise self._failure(error) from error

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """See :class:`Table`."""
        self.write_batch(batch_of((key, value) for key, value in rows if key != MARK_KEY), self._without_log)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def _failure(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(
            f"the scratch state in {self._path} cannot be used: {' '.join(str(error).split())}. It takes about as much "
            "room as the worker's state: set TMPDIR to a directory on a disk that has it"
        )


class Scratch:
    """A temporary directory of tables; as a context manager it is removed at the end.

    Raises:
        InfrastructureError: the directory cannot be made.
    """

    def __init__(self) -> None:
        try:
            self._directory = ScratchDirectory()
        except OSError as error:
            raise InfrastructureError(
                f"no temporary directory can be made: {error.strerror}; set TMPDIR to one that can be written"
            ) from error
        self._cache = rocksdict.Cache(_CACHE_BYTES)
        self._tables: list[ScratchTable] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._directory:
            for table in self._tables:
                table.close()

    def table(self, name: str) -> ScratchTable:
        """Open a new table."""
        options = options_of(self._cache, memtable_bytes=_MEMTABLE_BYTES)
        table = ScratchTable(self._directory.path / name, options)
        self._tables.append(table)
        return table


def place_key(partition: int, offset: int, tie: int = 0) -> bytes:
    """A key that sorts by partition, then by offset, then by a third number."""
    return _PLACE.pack(partition, offset, tie)


def place_of(key: bytes) -> tuple[int, int, int]:
    """The three numbers in a :func:`place_key`."""
    partition, offset, tie = _PLACE.unpack(key)
    return partition, offset, tie
