"""The database of one refold: the pairs under another ruleset, the result of their comparison, and the progress.

It survives the process and the worker: the next owner of the partition on this machine goes on with it. There is no
write-ahead log. After a kill some of the last seconds' work is missing, all of it from one batch on: RocksDB writes its
tables in the order of the batches, the mark with the rows.
"""

import fcntl
import shutil
import struct
import time
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import IO, Final, Self

import msgspec
import rocksdict

from models.errors import InfrastructureError
from models.rows import PartitionMark
from streams.partition.state.row_codec import MARK_KEY, decode_row, is_pair_key
from streams.runtime.rocksdb import OpenDatabase, batch_of, options_of, without_log
from streams.worker.refold.messages import Task

__all__ = ["LiveTable", "RefoldDirectory", "RefoldIdentity", "RefoldTable"]

_FORMAT: Final = 2
"""The format of this database. A database of another format is deleted, because everything can be folded again."""

_IDENTITY: Final = b"identity"
_ROW: Final = b"r"
"""The prefix of rows' keys; the row's key follows. The value has the judgement's length, the judgement, and then the
row, because they are always needed together."""
_LENGTH: Final = struct.Struct(">I")
_NOT_JUDGED: Final = _LENGTH.pack(0)

_CACHE_BYTES: Final = 32 * 1024 * 1024
_MEMTABLE_BYTES: Final = 16 * 1024 * 1024


_KEPT_S: Final = 7 * 24 * 3_600.0
"""A refold that was not continued for a week is deleted: its partition has moved to another machine."""


class RefoldIdentity(msgspec.Struct, frozen=True):
    """What identifies a refold. A database of another refold is deleted."""

    topic: str
    topic_id: str
    partition: int
    partitions: int
    before: str
    after: str
    max_event_bytes: int
    format: int = _FORMAT

    @classmethod
    def of(cls, task: Task, before: str, after: str) -> "RefoldIdentity":
        """The identity of a task, with the digests of both rulesets."""
        return cls(
            task.topics.executions.name,
            task.topic_id,
            task.partition,
            task.topics.partitions,
            before,
            after,
            task.max_event_bytes,
        )


class RefoldDirectory:
    """A directory for the refold of one partition, locked while this object uses it.

    Args:
        path: the directory.
        lock: its lock.
    """

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def free(cls, base: Path, partition: int, numbers: Iterable[int]) -> "RefoldDirectory | None":
        """A directory that no process has locked; None: there is none.

        Args:
            base: of all partitions.
            partition: which one.
            numbers: the partition's directories that may be taken.

        Raises:
            InfrastructureError: it cannot be made.
        """
        try:
            for number in numbers:
                path = base / str(partition) / str(number)
                path.mkdir(parents=True, exist_ok=True)
                # The lock file is beside the directory, because the directory may be removed while others look for a
                # free one.
                lock = path.with_suffix(".lock").open("w")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                else:
                    return cls(path, lock)
        except OSError as error:
            raise InfrastructureError(f"cannot use the directory {base}: {error.strerror}") from error
        return None

    @classmethod
    def sweep(cls, base: Path, partitions: Container[int]) -> None:
        """Remove directories that will not be used again, unless a process has locked them.

        Args:
            base: of all partitions.
            partitions: those that have gone over, perhaps on another machine. Of the others, old directories are
                removed.
        """
        for path in base.glob("*/[0-9]"):
            if path.parent.name.isdigit():
                partition, is_old = int(path.parent.name), time.time() - _last_used_s(path) > _KEPT_S
                directory = cls.free(base, partition, [int(path.name)]) if is_old or partition in partitions else None
                if directory is not None:
                    directory.remove()

    def release(self) -> None:
        """Release the lock, so that others can use the directory."""
        self._lock.close()

    def remove(self) -> None:
        """Remove the directory, which is no longer needed."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()


def _last_used_s(path: Path) -> float:
    return max((file.stat().st_mtime for file in path.glob("table/*")), default=path.stat().st_mtime)


class RefoldTable:
    """The database. :class:`~streams.partition.partition_fold.PartitionFold` reads its rows from it.

    Args:
        path: its directory.
        identity: the refold that it must belong to; a database of another one is deleted.
        until: the offset before which it has to end, if it is known. A database that went further is deleted, too: its
            process outlived its worker.

    Attributes:
        begun_anew: why an existing database was deleted; "": there was none, or it is used.

    Raises:
        InfrastructureError: from every method: the disk failed or is full.
    """

    def __init__(self, path: Path, identity: RefoldIdentity, until: int | None = None) -> None:
        self.begun_anew = ""
        self._without_log = without_log()
        wanted = msgspec.msgpack.encode(identity)
        self._table = _OpenTable(path, lambda: self._open(path, wanted, until))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: bytes) -> bytes | None:
        """The row under a key, if any."""
        found = self._table.get(_ROW + key)
        return None if found is None else _row_in(found)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every row whose key starts with a prefix, in order."""
        for key, value in self._table.scan(_ROW + prefix):
            yield key[1:], _row_in(value)

    @property
    def applied(self) -> int:
        """The last offset that is folded; -1: none is."""
        return _applied(self.get(MARK_KEY))

    def pairs_after(self, key: bytes) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        """See :class:`~streams.partition.adoption.Refolded`."""
        for found, value in self._table.between(_ROW + key + b"\0", _ROW + b"\xff"):
            pair = found[1:]
            if is_pair_key(pair):
                row_at = _row_at(value)
                yield pair, value[row_at:], value[_LENGTH.size : row_at] or None

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put rows, or remove those with None: all of them or none. Rows that were put are not compared yet."""
        self._write((_ROW + key, None if value is None else _NOT_JUDGED + value) for key, value in rows)

    def keep(self, judged: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Keep pairs that were compared: the key, the row and the judgement of each."""
        self._write((_ROW + key, _LENGTH.pack(len(judgement)) + judgement + row) for key, row, judgement in judged)

    def close(self) -> None:
        """Close the database; everything is on the disk then."""
        self._table.close()

    def _write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        self._table.write_batch(batch_of(rows), self._without_log)

    def _open(self, path: Path, wanted: bytes, until: int | None) -> rocksdict.Rdict:
        """Open the database; a damaged one, or one of another refold, is created again."""
        try:
            db = rocksdict.Rdict(str(path), options=_options())
            found = db.get(_IDENTITY)
        except Exception as error:
            if "lock" in str(error).lower() or "No space left" in str(error):
                raise
            self.begun_anew = " ".join(str(error).split())
        else:
            if found == wanted and (until is None or _applied(_row_in(db.get(_ROW + MARK_KEY) or b"")) < until):
                return db
            if found is not None:
                self.begun_anew = "it is of other rulesets, another topic or another format, or went too far"
            db.close()
        shutil.rmtree(path, ignore_errors=True)
        db = rocksdict.Rdict(str(path), options=_options())
        db.put(_IDENTITY, wanted, self._without_log)
        return db


class _OpenTable(OpenDatabase):
    """The database itself.

    Args:
        path: its directory.
        open_it: opens it.
    """

    def __init__(self, path: Path, open_it: Callable[[], rocksdict.Rdict]) -> None:
        self._path = path
        try:
            self._db = open_it()
        except Exception as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the database; everything is on the disk then."""
        try:
            self._db.flush()
            self._db.close()
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(
            f"the refold in {self._path} cannot be used: {' '.join(str(error).split())}. It takes about as much room "
            "as the partition's state: make room, or set CONSOLIDATOR_STATE_DIR to a larger disk"
        )


class LiveTable(OpenDatabase):
    """A copy of a partition's table as it was a moment ago, to be read only.

    Args:
        path: its directory.

    Raises:
        InfrastructureError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = rocksdict.Rdict(
                str(path), options=rocksdict.Options(raw_mode=True), access_type=rocksdict.AccessType.read_only()
            )
        except Exception as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def applied(self) -> int:
        """How far the partition's state is applied."""
        return _applied(self.get(MARK_KEY))

    def pairs_after(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The pairs after a key, in the order of their keys, with their rows."""
        return ((found, row) for found, row in self.between(key + b"\0", None) if is_pair_key(found))

    def _failure(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(f"the copy of the state in {self._path} cannot be read: {error}")


def _row_at(value: bytes) -> int:
    length: int = _LENGTH.unpack_from(value)[0]
    return _LENGTH.size + length


def _row_in(value: bytes) -> bytes:
    return value[_row_at(value) :] if value else b""


def _applied(raw: bytes | None) -> int:
    mark = decode_row(raw) if raw else None
    return mark.applied if isinstance(mark, PartitionMark) else -1


def _options() -> rocksdict.Options:
    return options_of(rocksdict.Cache(_CACHE_BYTES), memtable_bytes=_MEMTABLE_BYTES)
