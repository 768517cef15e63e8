"""Copies of the worker's table: from its changelog, and from the RocksDB of a stopped worker."""

from collections.abc import Iterable
from pathlib import Path

import rocksdict

from topics.records.record import Record

Table = dict[int, dict[bytes, bytes]]
"""By partition: row keys with their bytes."""

_OFFSET_KEY = b"__faust\0offset__"
"""Where Faust keeps the changelog offset up to which a database is complete."""

_AS_OF_KEY = b"__consolidator\0as of__"
"""Where the store keeps the time up to which it is."""


def table_of_changelog(records: Iterable[Record]) -> Table:
    """The last value of each key, as after a recovery on an empty disk."""
    table: Table = {}
    for record in records:
        rows = table.setdefault(record.partition, {})
        if record.key is None:
            raise AssertionError(f"{record.topic}[{record.partition}] at {record.offset} has no key")
        if record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = record.value
    return table


def table_on_disk(directory: Path) -> Table:
    """Every partition's database below a directory; its worker must have ended, or have been killed."""
    return {_partition_of(path): _rows(path) for path in sorted(directory.rglob("*.db"))}


def stored_offsets(directory: Path) -> dict[int, int]:
    """By partition: the last changelog record that its database below a directory contains."""
    return {_partition_of(path): int(_content(path)[_OFFSET_KEY]) for path in sorted(directory.rglob("*.db"))}


def _partition_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _rows(path: Path) -> dict[bytes, bytes]:
    return {key: value for key, value in _content(path).items() if key not in {_OFFSET_KEY, _AS_OF_KEY}}


def _content(path: Path) -> dict[bytes, bytes]:
    options = rocksdict.Options(raw_mode=True)
    database = rocksdict.Rdict(str(path), options=options, access_type=rocksdict.AccessType.read_only())
    try:
        return dict(database.items())
    finally:
        database.close()
