"""The table's RocksDB: one database a partition, one bounded cache for all, whole batches written at once."""

import gc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import rocksdict
from faust import Table
from faust.stores.rocksdb import Store
from faust.types import TP

from streams.partition.state.row_codec import RowReader
from streams.runtime.clock import system_ms
from streams.runtime.rocksdb import batch_of, options_of
from streams.worker.table.database import Database

__all__ = ["BatchStore", "BatchTable"]

_CACHE_BYTES = 128 * 1024 * 1024
"""Block cache of all partitions together. Faust's default is 2 GiB for each partition."""

_MEMTABLE_BYTES = 8 * 1024 * 1024
"""Twice per partition: 64 partitions stay at 1 GiB at worst. Faust's default is 3 of 64 MiB each."""

_MANIFEST_BYTES = 1
"""RocksDB starts its list of files, some kilobytes, again with each new file, some times a second at most: see
``Database.compact``. That costs a third of a microsecond a row at most, in the thread that commits."""


class BatchStore(Store):
    """Faust's RocksDB store, opened with memory limits and written a batch at a time.

    Faust opens every partition with a cache of its own, and closes a database only when it is garbage-collected;
    ``tests/integration`` opens 64 partitions and takes one over on the same disk.
    """

    as_of_key = b"__consolidator\0as of__"
    """The key under which a database keeps the time up to which it is complete; see :mod:`streams.worker.table.age`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cache = rocksdict.Cache(_CACHE_BYTES)
        self._as_of_ms: dict[int, int | None] = {}

    def rows(self, partition: int) -> RowReader:
        """Read access to a partition."""
        rows: RowReader = self._db_for_partition(partition)
        return rows

    def as_of_ms(self, partition: int) -> int | None:
        """Up to when a partition's database is complete, milliseconds since the epoch; None: not known."""
        self._db_for_partition(partition)
        return self._as_of_ms[partition]

    def sizes(self) -> tuple[dict[int, int], int]:
        """The bytes of each open database on the disk, and the memory of all of them; from any thread."""
        on_disk, memory = {}, self._cache.get_usage()
        for partition, database in list(self._dbs.items()):
            size = database.sizes()
            if size is not None:
                on_disk[partition] = size[0]
                memory += size[1]
        return on_disk, memory

    def is_open(self, path: Path) -> bool:
        """Whether one of the open databases is in a directory."""
        return any(self.partition_path(partition) == path for partition in self._dbs)

    def write_rows(
        self,
        partition: int,
        rows: Iterable[tuple[bytes, bytes | None]],
        changelog_offset: int,
        *,
        as_of_ms: int | None = None,
    ) -> None:
        """Write rows, their changelog offset, and the time up to which the database is complete, in one atomic batch.

        Args:
            partition: the partition.
            rows: keys with their bytes; None removes a row.
            changelog_offset: the changelog record up to which the database is now complete.
            as_of_ms: when that record was written, milliseconds since the epoch; None: now.
        """
        batch = batch_of(rows)
        batch.put(self.offset_key, str(changelog_offset).encode())
        database = self._db_for_partition(partition)
        before_ms = self._as_of_ms[partition]
        # A database without a time stays without one, and is wiped when the partition is assigned again.
        if before_ms is not None:
            self._as_of_ms[partition] = max(before_ms, system_ms() if as_of_ms is None else as_of_ms)
            batch.put(self.as_of_key, str(self._as_of_ms[partition]).encode())
        database.write_batch(batch)

    def copy(self, partition: int, path: Path) -> None:
        """Make a copy of a partition's present database in a new directory, of hard links, which take no space.

        Args:
            partition: the partition.
            path: the directory, on the same disk.
        """
        self._db_for_partition(partition).copy(path)

    def compact(self, partition: int) -> None:
        """Remove deleted rows from a partition's files, where they would stay until RocksDB rewrites the files."""
        self._db_for_partition(partition).compact(self.offset_key)

    def discard(self, partition: int, reason: str) -> None:
        """Wipe a partition's database; the changelog has all of it.

        Args:
            partition: the partition.
            reason: why, for the log.
        """
        self._close(partition)
        Database.discard(self.partition_path(partition), reason)

    async def _try_open_db_for_partition(
        self,
        partition: int,
        max_retries: int = 0,  # noqa: ARG002 - Faust's signature
        retry_delay: float = 0,  # noqa: ARG002
        generation_id: int = 0,  # noqa: ARG002
    ) -> Database:
        """Open a database, or fail at once.

        Faust retries for 30 s on every error that contains "lock", such as "block checksum mismatch". There is no other
        process to wait for: each worker has a directory of its own. (``tests/faults/state/test_local_state.py``)
        """
        database: Database = self._db_for_partition(partition)
        return database

    def _open_for_partition(self, partition: int) -> Database:
        path = self.partition_path(partition)
        database = Database(path, self._options())
        position = database.get(self.offset_key)
        if position is not None and not position.isdigit():
            database.close()
            Database.discard(path, "its position is written in a way that only a later version knows")
            database = Database(path, self._options())
        self._as_of_ms[partition] = self._complete_up_to_ms(database)
        return database

    def _complete_up_to_ms(self, database: Database) -> int | None:
        """Note the present time in an empty database: from now on it misses no row that the changelog drops."""
        if database.get(self.offset_key) is None:
            return system_ms()
        as_of = database.get(self.as_of_key)
        return int(as_of) if as_of is not None and as_of.isdigit() else None

    def _options(self) -> rocksdict.Options:
        options = options_of(self._cache, memtable_bytes=_MEMTABLE_BYTES)
        options.set_max_manifest_file_size(_MANIFEST_BYTES)
        return options

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:
        """Close the databases of revoked partitions now, so that another owner can open them at once."""
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                self._close(tp.partition)

    async def stop(self) -> None:
        """Close every database. After an orderly stop there is nothing to recover."""
        for partition in list(self._dbs):
            self._close(partition)
        gc.collect()

    def _close(self, partition: int) -> None:
        db = self._dbs.pop(partition, None)
        if db is not None:
            db.close()


class BatchTable(Table):
    """Faust's table on :class:`BatchStore`.

    Faust chooses a store by URL scheme from a registry of entry points; a subclass needs no registration.
    """

    def _new_store_by_url(self, url: Any) -> BatchStore:
        return BatchStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )
