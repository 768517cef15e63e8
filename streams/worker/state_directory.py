"""Gives every worker on a machine its own directory, because only one process can open a RocksDB database."""

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from models.errors import ConsolidatorError, InfrastructureError, SettingsError

__all__ = ["WorkerSlot", "unusable"]

_MAX_SLOTS = 64
"""Workers on one machine under one state directory; far more than cores."""


_SETTING_WRONG = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""The error codes of a wrong directory, or of one without permission: a restart does not help, unlike for a disk that
is full or fails."""


def unusable(state_dir: Path, error: OSError) -> ConsolidatorError:
    """The error of a worker that cannot use its state directory.

    Args:
        state_dir: the directory.
        error: the operating system's error.
    """
    where = state_dir if error.filename is None else error.filename
    text = f"cannot use the state directory {state_dir}: {where}: {error.strerror}"
    if error.errno in _SETTING_WRONG:
        return SettingsError(f"{text}; set CONSOLIDATOR_STATE_DIR to a directory that can be written")
    return InfrastructureError(f"{text}; nothing was done. Make room or mend the disk, or set CONSOLIDATOR_STATE_DIR")


class WorkerSlot:
    """The first free ``<state dir>/<app id>/worker-N``, locked until the process ends.

    A worker that restarts finds its own slot free, with its state; a second worker takes the next slot.

    Raises:
        SettingsError: the path is no directory, or cannot be written.
        InfrastructureError: the disk failed or is full, or every slot is taken.
    """

    def __init__(self, state_dir: Path, app_id: str) -> None:
        self._lock: IO[str] | None = None
        base = state_dir / app_id
        try:
            base.mkdir(parents=True, exist_ok=True)
            for number in range(_MAX_SLOTS):
                directory = base / f"worker-{number}"
                if self._take(directory):
                    self.directory = directory
                    return
        except OSError as error:
            raise unusable(state_dir, error) from error
        raise InfrastructureError(f"all {_MAX_SLOTS} worker directories under {base} are in use")

    def _take(self, directory: Path) -> bool:
        directory.mkdir(exist_ok=True)
        lock = (directory / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        return True
