"""A process that outlives its starter, and that later programs can identify with certainty.

A process id alone proves nothing: ids are recycled. Here the started process inherits a lock (``flock``) on its pid
file and holds it, without knowing, until it ends in whatever way; the kernel then releases it. So: the lock is held
exactly as long as the process lives. A pid file without a lock is stale, even if another process has that id today.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import InfrastructureError
from streams.broker.process_group import group_in_words, kill_group
from streams.runtime.signals import deferred_signals

_POLL_S = 0.05
# running_pid takes the lock, shared, for some microseconds. A start that meets it then tries again, for this long.
_LOCK_PATIENCE_S = 1.0
KILL_LIMIT_S = 10.0
"""How long a process may take to be gone after SIGKILL."""


@contextmanager
def exclusive(path: Path, *, limit_s: float) -> Iterator[None]:
    """Hold a lock between processes for the time of a ``with`` block.

    Raises:
        InfrastructureError: another process held it for longer than the limit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor, limit_s):
            raise InfrastructureError(f"another process has held {path} for more than {limit_s:.0f} s")
        yield
    finally:
        os.close(descriptor)


def spawn(command: list[str], *, pid_file: Path, log_file: Path, environment: Mapping[str, str]) -> int:
    """Start a process in a session of its own, its output going to a file, and return its id.

    Args:
        command: the program's absolute path and its arguments. The last one should be unique to this process: it is
            compared before a signal is sent.
        pid_file: where the id is written, and whose lock the process holds.
        log_file: where its stdout and stderr go; the last run's is kept with the suffix ``.1``.
        environment: the process's environment, complete.

    Raises:
        InfrastructureError: a process that was started with this pid file is alive, or the program cannot be started.
    """
    descriptor = os.open(pid_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor, _LOCK_PATIENCE_S):
            raise InfrastructureError(f"the process of {pid_file} is already running")
        if log_file.exists():
            log_file.replace(log_file.with_name(log_file.name + ".1"))
        os.ftruncate(descriptor, 0)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - takes no keywords
        # An interrupt between the start of the process and the writing of its pid file would leave a process that no
        # pid file names.
        with deferred_signals():
            pid = os.posix_spawn(
                command[0],
                command,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(log_file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
            os.pwrite(descriptor, f"{pid}\n{command[-1]}\n".encode(), 0)
    except OSError as error:
        raise InfrastructureError(f"{command[0]} cannot be started: {error}") from error
    finally:
        # Closing the descriptor does not release the lock: the process has inherited the same open file.
        os.close(descriptor)
    return pid


def running_pid(pid_file: Path) -> int | None:
    """The id of the process that was started with this pid file, if it is alive, else None.

    Raises:
        InfrastructureError: it is alive, but its id was never written (its starter was killed in that moment).
    """
    found = _running(pid_file)
    return None if found is None else found[0]


def terminate(pid_file: Path, *, grace_s: float, on_progress: Callable[[str], None] | None = None) -> bool:
    """End the process of this pid file: SIGTERM first, SIGKILL after the grace period. True if one was running.

    SIGTERM is for the process itself, which tells what it has forked; SIGKILL is for all of them.

    Raises:
        InfrastructureError: one of them survived even SIGKILL (the disk hangs), or is not the one that was started.
    """
    found = _running(pid_file)
    if found is None:
        return False
    pid, last_argument = found
    _signal(pid, signal.SIGTERM, last_argument)
    if not ended_within(pid_file, grace_s):
        if on_progress is not None:
            on_progress(f"process {pid} did not stop within {grace_s:.0f} s of SIGTERM: killing it")
        kill_group(pid, last_argument)
        if not ended_within(pid_file, KILL_LIMIT_S):
            raise InfrastructureError(f"still there {KILL_LIMIT_S:.0f} s after SIGKILL: {group_in_words(pid)}")
    with suppress(ChildProcessError):
        # If it is a child of this process, it has to be reaped: otherwise it would stay a zombie.
        os.waitpid(pid, 0)
    pid_file.unlink(missing_ok=True)
    return True


def ended_within(pid_file: Path, limit_s: float) -> bool:
    """Wait until the process of this pid file has ended, for a limited time; True if it has ended."""
    deadline = time.monotonic() + limit_s
    while _is_locked(pid_file):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _running(pid_file: Path) -> tuple[int, str] | None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while _is_locked(pid_file):
        pid, _, rest = pid_file.read_text(encoding="utf-8").partition("\n")
        if rest.endswith("\n"):
            return int(pid), rest[:-1]
        if time.monotonic() >= deadline:
            raise InfrastructureError(f"{pid_file} is held by a running process, but names none: end that one by hand")
        time.sleep(_POLL_S)
    return None


def _is_locked(pid_file: Path) -> bool:
    try:
        descriptor = os.open(pid_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _lock(descriptor: int, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def _signal(pid: int, number: signal.Signals, last_argument: str) -> None:
    # A lock on a shared volume is seen from another container too, where the id means another process.
    command_line = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = command_line.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return
        # A process that is ending has an empty command line. The signal does it no harm.
        if arguments != [b""] and last_argument.encode() not in arguments:
            raise InfrastructureError(
                f"process {pid} is not the one that was started here (another container's?): it was not touched"
            )
    with suppress(ProcessLookupError):
        os.kill(pid, number)
