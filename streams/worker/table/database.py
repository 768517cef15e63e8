"""One partition's RocksDB: opened, read and written. A damaged one is wiped and rebuilt from the changelog.

The changelog has all rows of a database, so damage costs only a recovery. RocksDB notices damage when it opens a
database; the database is then wiped at once. Or it notices damage when a block is read for the first time, possibly
weeks later. The fold may then have used rows that were read before, so the worker stops without acknowledging the
batch, and a note beside the database makes the next start wipe it.
"""

import shutil
from pathlib import Path

import rocksdict
import structlog

from models.errors import ConsolidatorError, InfrastructureError
from streams.runtime.rocksdb import OpenDatabase

__all__ = ["Database"]

_NOTE_SUFFIX = ".damaged"

_FILES_BYTES = "rocksdb.total-sst-files-size"
_MEMTABLES_BYTES = "rocksdb.cur-size-all-mem-tables"

_MAX_REASON_CHARACTERS = 300
"""The greatest length of RocksDB's reason in the note: it names a file and two checksums."""

_log = structlog.get_logger()


class Database(OpenDatabase):
    """The database of one partition.

    Args:
        path: its directory.
        options: how it is opened.

    Raises:
        InfrastructureError: from every method: the disk failed or is full, or damage was found after the opening.
    """

    def __init__(self, path: Path, options: rocksdict.Options) -> None:
        self._path = path
        if self._note(path).exists():
            _wipe(path, self._note(path).read_text(encoding="utf-8"))
        try:
            self._db = self._open(options)
        except Exception as error:
            if not _is_damage(error):
                raise self._failure(error) from error
            self.discard(path, _reason(error))
            try:
                self._db = self._open(options)
            except Exception as again:
                raise self._failure(again) from again

    @classmethod
    def discard(cls, path: Path, reason: str) -> None:
        """Wipe a database that is not open. If this is interrupted, the next opening completes it.

        Args:
            path: its directory.
            reason: why, for the log.

        Raises:
            InfrastructureError: the files cannot be removed.
        """
        cls._write_note(path, reason)
        _wipe(path, reason)

    def put(self, key: bytes, value: bytes) -> None:
        """Write one key."""
        try:
            self._db.put(key, value)
        except Exception as error:
            raise self._failure(error) from error

    def compact(self, anchor: bytes) -> None:
        """Rewrite all files without removed or overwritten rows, and then the list of files.

        The list, RocksDB's MANIFEST, names the first and the last key of each file, also of files that are gone, so it
        may contain an erased application's id. RocksDB starts a new list with the next file, so a file with one key is
        written. (Requires ``max_manifest_file_size`` to be small.)

        Args:
            anchor: an existing key; its row is written again unchanged.
        """
        try:
            options = rocksdict.CompactOptions()
            # Otherwise RocksDB would move a file that overlaps no other one without rewriting it, with the keys that it
            # removes.
            options.set_bottommost_level_compaction(rocksdict.BottommostLevelCompaction.force_optimized())
            self._db.compact_range(None, None, options)
            value = self._db.get(anchor)
            if value is not None:
                self._db.put(anchor, value)
                self._db.flush()
        except Exception as error:
            raise self._failure(error) from error

    def copy(self, path: Path) -> None:
        """Make a copy in another directory, with hard links: RocksDB never changes a file."""
        try:
            rocksdict.Checkpoint(self._db).create_checkpoint(str(path))
        except Exception as error:
            raise self._failure(error) from error

    def sizes(self) -> tuple[int, int] | None:
        """The bytes of its files, and of its rows that are in memory only; None: it has just been closed."""
        try:
            files, rows = (self._db.property_int_value(name) for name in (_FILES_BYTES, _MEMTABLES_BYTES))
        except Exception:  # noqa: BLE001 - rocksdict has no type for it
            return None
        return files or 0, rows or 0

    def close(self) -> None:
        """Close the database. Written rows are on the disk, or in the log that the next opening replays."""
        self._db.close()

    def _open(self, options: rocksdict.Options) -> rocksdict.Rdict:
        return rocksdict.Rdict(str(self._path), options=options)

    def _failure(self, error: Exception) -> ConsolidatorError:
        reason = _reason(error)
        if _is_damage(error):
            self._write_note(self._path, reason)
            return InfrastructureError(
                f"the local state in {self._path} is damaged: {reason}; nothing was acknowledged. Start the worker "
                "again: it wipes this directory and rebuilds it from the changelog. If it happens again, check the disk"
            )
        if "No space left" in reason:
            return InfrastructureError(
                f"the disk of {self._path} is full: {reason}; nothing was acknowledged that is not committed. Make "
                "room, or set CONSOLIDATOR_STATE_DIR to a larger disk, and start the worker again"
            )
        return InfrastructureError(f"the local state in {self._path} cannot be used: {reason}")

    @staticmethod
    def _note(path: Path) -> Path:
        return path.with_suffix(_NOTE_SUFFIX)

    @classmethod
    def _write_note(cls, path: Path, reason: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cls._note(path).write_text(reason, encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(
                f"the local state in {path} has to be wiped ({reason}), which cannot be noted: {error.strerror}. "
                "Remove that directory by hand, and start the worker again: it is rebuilt from the changelog"
            ) from error


def _wipe(path: Path, reason: str) -> None:
    _log.warning("local state wiped, it is rebuilt from the changelog", database=str(path), reason=reason)
    try:
        if path.exists():
            shutil.rmtree(path)
        path.with_suffix(_NOTE_SUFFIX).unlink()
    except OSError as error:
        raise InfrastructureError(
            f"the damaged local state in {path} cannot be removed: {error.strerror}. Remove that directory by hand, "
            "and start the worker again: it is rebuilt from the changelog"
        ) from error


def _is_damage(error: Exception) -> bool:
    """Whether an error means that the files are damaged, and not that the disk cannot be read or written.

    A CURRENT that names a missing MANIFEST is reported as a missing file.
    """
    reason = str(error)
    return reason.startswith("Corruption") or ("No such file" in reason and "MANIFEST" in reason)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_REASON_CHARACTERS]
