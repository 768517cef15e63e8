"""What this machine says: its state directory, the room on its disk, and the versions that are installed."""

import os
import platform
import shutil
import sqlite3
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from confluent_kafka import libversion

from streams.core.compiled import is_compiled

__all__ = ["StateDirectory", "look_at_directory", "versions"]

_TRIED_BYTES: Final = 64 * 1024
"""What is written to see whether the disk takes it: RocksDB's smallest writes are of this size."""

_PACKAGES: Final = (
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "rocksdict",
    "pydantic",
    "sqlalchemy",
    "psycopg",
    "prometheus-client",
)


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """A state directory as it is on this machine.

    Attributes:
        path: where it is.
        exists: whether it is there.
        workers: the directories of workers in it, by name, with their bytes.
        error: why nothing can be written into it; None: it can, or it is not there.
        error_number: the system's number for that.
        free_bytes: room on its disk, for this user.
        total_bytes: size of its disk.
    """

    path: Path
    exists: bool
    workers: dict[str, int]
    error: str | None
    error_number: int | None
    free_bytes: int
    total_bytes: int

    @property
    def used_bytes(self) -> int:
        """What the workers' directories take."""
        return sum(self.workers.values())

    def members(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "path": str(self.path),
            "exists": self.exists,
            "workers": self.workers,
            "error": self.error,
            "free_bytes": self.free_bytes,
            "total_bytes": self.total_bytes,
        }


def look_at_directory(state_dir: Path, app_id: str) -> StateDirectory:
    """Look at a state directory; a file without a name is written and dropped, to see whether that is possible.

    Args:
        state_dir: the directory.
        app_id: the application id, below which the workers' directories are.

    Raises:
        OSError: not even the disk can be asked.
    """
    exists = state_dir.is_dir()
    nearest = next(place for place in (state_dir, *state_dir.parents) if place.exists())
    usage = shutil.disk_usage(nearest)
    error = _refusal(_written_below(state_dir, app_id)) if exists else None
    return StateDirectory(
        state_dir,
        exists,
        _workers(state_dir / app_id) if exists else {},
        None if error is None else error.strerror,
        None if error is None else error.errno,
        usage.free,
        usage.total,
    )


def _written_below(state_dir: Path, app_id: str) -> Path:
    """Where a worker writes: its application's directory, or the one in which it would make that."""
    below = state_dir / app_id
    return below if below.is_dir() else state_dir


def _refusal(directory: Path) -> OSError | None:
    try:
        with TemporaryFile(dir=directory) as file:
            file.write(os.urandom(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _workers(base: Path) -> dict[str, int]:
    """The bytes of each worker's directory; what this user may not see counts as nothing."""
    if not os.access(base, os.R_OK | os.X_OK):
        return {}
    return {place.name: _bytes_of(place) for place in sorted(base.glob("worker-*")) if place.is_dir()}


def _bytes_of(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for name in files:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:
                # RocksDB has removed it meanwhile.
                continue
    return total


def versions() -> dict[str, str]:
    """The versions of this program and of what it stands on; a package that is not installed is left out."""
    found = {"consolidator": version("factor-consolidator"), "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {
        "librdkafka": libversion()[0],
        "sqlite": sqlite3.sqlite_version,
        "compiled": "yes" if is_compiled() else "no",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
