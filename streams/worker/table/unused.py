"""Removes unused databases: of partitions that other workers have now, and of workers that no longer run.

Each would be wiped if its partition came back, because it is too old (:mod:`streams.worker.table.age`). Younger
databases are kept, because partitions often come back, and a database saves a recovery.
"""

import asyncio
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from topics.contract.declared import TABLE_NAME

__all__ = ["UnusedDatabases"]

_LOOK_S: Final = 3_600.0
"""Seconds between two checks; an hour is enough, as what is removed was unused for days."""

_LEAST_AGE_S: Final = 86_400.0
"""Never remove a younger database, however short the retention of tombstones is: a worker that restarts or moves needs
it."""

_DATABASES: Final = f"v*/tables/{TABLE_NAME}-*.db"
_REMOVED: Final = ".removed"

_log = structlog.get_logger()


class UnusedDatabases:
    """Looks for unused databases in a worker's directory, and in those of other workers that no process has locked.

    Args:
        directory: this worker's own; those of other workers are beside it.
        is_open: whether this worker uses a database; asked on the event loop, where databases are opened.
        max_age_s: how long a database has to be unused.
        now_s: the clock of the files' times, in seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        is_open: Callable[[Path], bool],
        max_age_s: Callable[[], float],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._is_open = is_open
        self._max_age_s = max_age_s
        self._now_s = now_s

    async def run(self) -> None:
        """Look at intervals, for as long as the worker runs.

        The first look is not at the start: a worker that was stopped for weeks has not opened its databases yet, and
        may still use them.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Remove the databases that have been unused for long enough.

        1. Move this worker's unused databases away, on the event loop, so that none is opened meanwhile.
        2. Move those of other workers away, while their lock is held.
        3. Delete everything that was moved away, now or before an interruption.
        """
        try:
            # 1.
            self._put_aside(path for path in self._old(self._directory) if not self._is_open(path))
            # 2. and 3.
            await asyncio.get_running_loop().run_in_executor(None, self._tidy_neighbours)
        except OSError as error:
            # Only a warning, because remaining files only take space. If the disk fails, the worker ends at its next
            # write.
            _log.warning("unused databases cannot be removed", error=str(error))

    def _tidy_neighbours(self) -> None:
        for neighbour in self._directory.parent.glob("worker-*"):
            if neighbour != self._directory and any(self._old(neighbour)):
                with _locked(neighbour) as is_ours:
                    if is_ours:
                        self._put_aside(self._old(neighbour))
        for path in self._directory.parent.glob(f"worker-*/{_DATABASES}{_REMOVED}"):
            shutil.rmtree(path, ignore_errors=True)

    def _put_aside(self, databases: Iterator[Path]) -> None:
        for path in databases:
            path.rename(path.with_name(path.name + _REMOVED))
            _log.info("unused database removed", database=str(path), unused_for_s=round(self._max_age_s()))

    def _old(self, directory: Path) -> Iterator[Path]:
        limit = self._now_s() - max(self._max_age_s(), _LEAST_AGE_S)
        return (path for path in sorted(directory.glob(_DATABASES)) if _last_used_s(path) < limit)


def _last_used_s(database: Path) -> float:
    """The time when a database was last written or opened: both change one of its files."""
    return max((file.stat().st_mtime for file in database.iterdir()), default=database.stat().st_mtime)


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Hold a worker's lock, if no other process does."""
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
