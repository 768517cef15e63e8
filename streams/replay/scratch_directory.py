"""A temporary directory that is removed at the end, or by a later process if its own was killed.

It holds factor values. A process that is killed cannot remove it. A lock in the directory, which the kernel releases
when the process ends, shows whether it is still in use.
"""

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from types import TracebackType
from typing import Final, Self

__all__ = ["ScratchDirectory"]

_PREFIX: Final = "consolidator-replay-"
_LOCK: Final = "in-use"
_WITHOUT_LOCK_S: Final = 3600.0
"""A directory without a lock file is being created at this moment, or is of a version without lock files."""


class ScratchDirectory:
    """A new directory below ``TMPDIR`` that only its owner can read; the context manager removes it at the end.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self) -> None:
        sweep(Path(gettempdir()))
        self.path = Path(mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(parent: Path) -> None:
    """Remove this user's directories whose process has ended; errors are ignored, so they are tried again next time."""
    with suppress(OSError):
        for directory in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if not directory.is_symlink() and directory.stat().st_uid == os.getuid() and _is_stale(directory):
                    shutil.rmtree(directory, ignore_errors=True)


def _is_stale(directory: Path) -> bool:
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - directory.stat().st_mtime > _WITHOUT_LOCK_S
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)
