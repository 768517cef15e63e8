"""Databases that nobody uses any more are removed: of partitions that went to other workers, of workers that are gone.

Each would be wiped if its partition came back, as it is too old (:mod:`streams.worker.table.age`). Until then it is
kept, since partitions come back often, and warm state saves a recovery.
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
    """Looks for them below a worker's directory, and below those of its neighbours that no process has locked.

    Args:
        directory: this worker's own; its neighbours lie beside it.
        is_open: whether this worker uses a database; asked on the event loop, where databases are opened.
        max_age_s: how long one has to be without use.
        now_s: the clock that files' times go by, in seconds since the epoch.
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
        """Look now and again, for as long as the worker runs.

        Not at once: what a worker that was stopped for weeks will use again is not open yet, and may still be good.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Remove what has had no use for long enough.

        1. Of this worker's databases: taken out of the way on the event loop, so that none is opened meanwhile.
        2. Of its neighbours': under their lock, which is held for as long as that takes.
        3. Delete what was taken out of the way, now or before an interruption.
        """
        try:
            # 1.
            self._put_aside(path for path in self._old(self._directory) if not self._is_open(path))
            # 2. and 3.
            await asyncio.get_running_loop().run_in_executor(None, self._tidy_neighbours)
        except OSError as error:
            # Only a warning: files that stay cost only room. If the disk fails, the worker ends at its next write.
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
    """When a database was written or opened last: either changes one of its files."""
    return max((file.stat().st_mtime for file in database.iterdir()), default=database.stat().st_mtime)


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Hold a worker's lock, if nobody else does."""
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
