"""How every RocksDB of this program is opened, iterated and written: in one place, so that no user forgets a step.

Keys and values are bytes, tables have bloom filters, and the block cache is the caller's: one for as many databases as
share a budget (``docs/limits.md``).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final

import rocksdict

from models.errors import ConsolidatorError

__all__ = ["OpenDatabase", "all_between", "all_with_prefix", "batch_of", "options_of", "without_log"]

_MEMTABLES: Final = 2
"""The memtables of one database: one is written to while the other one is flushed to the disk."""

_BLOOM_BITS_PER_KEY: Final = 10
"""One false positive in a hundred: most look-ups are for keys that do not exist, and need no read from the disk."""


def options_of(cache: rocksdict.Cache, *, memtable_bytes: int) -> rocksdict.Options:
    """How a database is opened, or made.

    Args:
        cache: for the blocks that are read.
        memtable_bytes: how many written bytes are kept in memory before they go to the disk; at most twice that is in
            memory.
    """
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_write_buffer_size(memtable_bytes)
    options.set_max_write_buffer_number(_MEMTABLES)
    tables = rocksdict.BlockBasedOptions()
    tables.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    tables.set_block_cache(cache)
    options.set_block_based_table_factory(tables)
    return options


def without_log() -> rocksdict.WriteOptions:
    """Write options without a write-ahead log, for data that can be computed again: a kill loses the memtables."""
    options = rocksdict.WriteOptions()
    # It is a property, but the package's type hints declare a method.
    options.disable_wal = True  # type: ignore[method-assign, assignment]
    return options


def batch_of(rows: Iterable[tuple[bytes, bytes | None]]) -> rocksdict.WriteBatch:
    """A batch that puts rows, or removes those with None: all of them or none."""
    batch = rocksdict.WriteBatch(raw_mode=True)
    for key, value in rows:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    return batch


def all_between(db: rocksdict.Rdict, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Every key from ``first`` up to ``end``, without ``end``, in order, with its value. None: up to the last one.

    Raises:
        Exception: RocksDB's, if a block cannot be read. RocksDB then ends the iteration as after the last key, and
            reports the error only when its status is asked for.
    """
    cursor = db.iter()
    cursor.seek(first)
    while cursor.valid():
        key = cursor.key()
        if end is not None and key >= end:
            return
        yield key, cursor.value()
        cursor.next()
    cursor.status()


def all_with_prefix(db: rocksdict.Rdict, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every key that starts with a prefix, in order, with its value; raises as :func:`all_between`."""
    for key, value in all_between(db, prefix, None):
        if not key.startswith(prefix):
            return
        yield key, value


class OpenDatabase(ABC):
    """An open database. Its errors name its path and say what to do.

    Raises:
        ConsolidatorError: from every method: the disk failed or is full. The subclass makes the error.
    """

    _db: rocksdict.Rdict

    @abstractmethod
    def _failure(self, error: Exception) -> ConsolidatorError:
        """What to raise for an error of RocksDB's."""

    def get(self, key: bytes) -> bytes | None:
        """The bytes under a key, if any."""
        try:
            found: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failure(error) from error
        return found

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that starts with a prefix, in order, with its value."""
        try:
            yield from all_with_prefix(self._db, prefix)
        except Exception as error:
            raise self._failure(error) from error

    def between(self, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Every key from ``first`` up to ``end``, without ``end``, in order, with its value. None: to the last one."""
        try:
            yield from all_between(self._db, first, end)
        except Exception as error:
            raise self._failure(error) from error

    def write_batch(self, batch: rocksdict.WriteBatch, options: rocksdict.WriteOptions | None = None) -> None:
        """Write a batch: all of it or nothing."""
        try:
            self._db.write(batch, options)
        except Exception as error:
            raise self._failure(error) from error
