"""A directory of its own for every worker on a machine: RocksDB allows one process a database."""

import fcntl
import os
from pathlib import Path
from typing import IO

from models.errors import InfrastructureError

__all__ = ["WorkerSlot"]

_MAX_SLOTS = 64
"""Workers on one machine under one state directory; far more than cores."""


class WorkerSlot:
    """The first free ``<state dir>/<app id>/worker-N``, locked until the process ends.

    A worker that restarts finds its slot free and its state in it; a second one takes the next.

    Raises:
        InfrastructureError: the directory cannot be written, or every slot is taken.
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
            raise InfrastructureError(
                f"cannot use the state directory {state_dir}: {error.strerror}; set CONSOLIDATOR_STATE_DIR to one that "
                "can be written"
            ) from error
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
