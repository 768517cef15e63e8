"""The processes of a supervisor: a command of this program, and the embedded broker; both behind one interface."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from models.errors import InfrastructureError
from streams.broker.config import PID_FILE
from streams.broker.embedded import start_broker
from streams.broker.process import KILL_LIMIT_S, ended_within, running_pid, spawn, terminate
from streams.broker.process_group import group_in_words, kill_group
from streams.supervisor.last_error import last_error

__all__ = ["BrokerProcess", "Child", "CommandProcess", "Ended", "end_leftover", "pid_file_of"]

_COMMAND_GRACE_S: Final = 40.0
"""A worker ends by itself within 30 s (``streams.runtime.grace``), and a sink after its cut."""

_BROKER_GRACE_S: Final = 30.0
_POLL_S: Final = 0.1

_LOG_BYTES: Final = 64 * 1024 * 1024
"""Of a log, of which there is one more: what is older is dropped."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a process.

    Attributes:
        code: the exit code; negative: the signal that killed it; None: it is not known.
    """

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "for an unknown reason"
        return f"with exit code {self.code}" if self.code >= 0 else f"by signal {-self.code}"


class Child(Protocol):
    """A process that the supervisor starts, watches and stops.

    Attributes:
        name: what it is called in messages.
        log_file: where its log is.
    """

    name: str
    log_file: Path

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""

    @property
    def is_starting(self) -> bool:
        """Whether its start has begun and not ended."""

    def start(self) -> None:
        """Begin its start; returns at once.

        Raises:
            InfrastructureError: it cannot be started.
        """

    def look(self) -> Ended | None:
        """Its end, once it is gone completely; None: it runs, or it is starting. Waits for nothing.

        Raises:
            InfrastructureError: something of it is left that cannot be ended.
        """

    def stop(self, tell: Callable[[str], None]) -> None:
        """End it in order; after a time limit by force. Does nothing if it does not run."""

    def last_error(self) -> str:
        """What its log says of an error, without ids of applications and values; empty: nothing."""


class CommandProcess:
    """A command of this program in a process of its own, with a pid file and a log.

    The process is in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone.

    Args:
        name: what it is called in messages; names its files.
        command: the program's absolute path and its arguments. The last one identifies the process.
        environment: complete.
        directory: of the pid file and the log.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self.pid_file = pid_file_of(name, directory)
        self.log_file = directory / f"{name}.log"
        self._pid: int | None = None
        self._group: int | None = None
        self._code: int | None = None
        self._ended_at = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._pid

    @property
    def is_starting(self) -> bool:
        """No: a process that is there counts as running. What it is doing, its health says."""
        return False

    def start(self) -> None:
        """Start the process.

        Raises:
            InfrastructureError: it cannot be started.
        """
        self._pid = spawn(self._command, pid_file=self.pid_file, log_file=self.log_file, environment=self._environment)
        self._group = self._pid

    def look(self) -> Ended | None:
        """Its end, once it and what it has forked are gone; what does not go by itself is killed.

        Raises:
            InfrastructureError: something of it is there even after SIGKILL.
        """
        if self._pid is not None:
            is_reaped, code = _reaped(self._pid)
            if is_reaped:
                self._pid, self._code, self._ended_at = None, code, time.monotonic()
        if self._pid is not None:
            return None
        # A worker with --processes that was killed leaves processes that are about to end; they hold the lock.
        if ended_within(self.pid_file, 0):
            return Ended(self._code)
        if self._group is not None:
            self._end_forked(self._group)
        return None

    def stop(self, tell: Callable[[str], None]) -> None:
        """Send SIGTERM, and wait for its end; the pid file is removed."""
        terminate(self.pid_file, grace_s=_COMMAND_GRACE_S, on_progress=tell)
        if self._pid is not None:
            _end_child(self._pid, self._command[-1])
        self._pid = None
        self.pid_file.unlink(missing_ok=True)

    def last_error(self) -> str:
        """What its log says of an error."""
        return last_error(self.log_file)

    def keep_log_small(self) -> None:
        """Begin the log anew when it is large; the process goes on to write at its new end."""
        with suppress(OSError):
            if self.log_file.stat().st_size > _LOG_BYTES:
                shutil.copyfile(self.log_file, self.log_file.with_name(f"{self.log_file.name}.1"))
                os.truncate(self.log_file, 0)

    def _end_forked(self, group: int) -> None:
        """Kill what it has forked, and what hangs so that it does not notice the end; not before it had its time."""
        late_s = time.monotonic() - self._ended_at - _COMMAND_GRACE_S
        if late_s < 0:
            return
        if late_s > KILL_LIMIT_S:
            raise InfrastructureError(
                f"the {self.name} has ended, and is not started again, as some of it is still there "
                f"{KILL_LIMIT_S:.0f} s after SIGKILL: {group_in_words(group)}"
            )
        kill_group(group, self._command[-1])


class BrokerProcess:
    """The embedded broker of a directory. Its start takes seconds, so that a thread waits for it.

    Args:
        data_dir: as of :func:`~streams.broker.embedded.start_broker`.
        cache_dir: likewise.
    """

    name = "broker"

    def __init__(self, data_dir: Path, cache_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._cache_dir = cache_dir
        self._pid_file = self._data_dir / PID_FILE
        self.log_file = self._data_dir / "broker.log"
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._pid: int | None = None
        self._port: int | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._pid

    @property
    def is_starting(self) -> bool:
        """Whether it does not answer yet."""
        return self._thread is not None and self._thread.is_alive()

    def found(self) -> int | None:
        """The process id of the broker that is running in this directory, if there is one."""
        return running_pid(self._pid_file)

    def open(self, tell: Callable[[str], None]) -> str:
        """Start it, or find it running; returns when it answers, which takes a download the first time.

        Args:
            tell: called with a text about the step that takes time.

        Returns:
            Its address for clients, which stays the same when it is started again.

        Raises:
            ContractError: the extra with Java is not installed.
            InfrastructureError: no download, no disk, or it did not answer in time.
        """
        running = start_broker(self._data_dir, self._cache_dir, on_progress=tell)
        self._pid, self._port = running.pid, int(running.bootstrap_servers.rpartition(":")[2])
        return running.bootstrap_servers

    def start(self) -> None:
        """Begin its start, on the port that its clients know."""
        self._error = None
        self._thread = threading.Thread(target=self._start, name="broker-start", daemon=True)
        self._thread.start()

    def look(self) -> Ended | None:
        """Its end; a start that failed counts as one."""
        if self.is_starting:
            return None
        if self._error is not None:
            return Ended(None)
        if self._pid is None:
            return Ended(None)
        if not ended_within(self._pid_file, 0):
            return None
        # It is a child only of the process that started it. The lock is free a moment before the exit code is there.
        is_reaped, code = _reaped(self._pid)
        if not is_reaped:
            return None
        self._pid = None
        return Ended(code)

    def stop(self, tell: Callable[[str], None]) -> None:
        """Stop it; one that is starting as well."""
        terminate(self._pid_file, grace_s=_BROKER_GRACE_S, on_progress=tell)
        if self._thread is not None:
            self._thread.join(_BROKER_GRACE_S)
            # The thread may have started it in the meantime.
            terminate(self._pid_file, grace_s=_BROKER_GRACE_S, on_progress=tell)
        self._pid = None
        self._pid_file.unlink(missing_ok=True)

    def last_error(self) -> str:
        """Why its last start failed; its log is Kafka's own, and is not quoted."""
        return "" if self._error is None else str(self._error)

    def _start(self) -> None:
        try:
            self._pid = start_broker(self._data_dir, self._cache_dir, self._port).pid
        except Exception as error:  # noqa: BLE001 - whatever it is: the supervisor reports it, and tries again
            self._error = error


def end_leftover(name: str, directory: Path, tell: Callable[[str], None]) -> None:
    """End the command of an earlier supervisor that was killed, if it is still there.

    Args:
        name: as of :class:`CommandProcess`.
        directory: likewise.
        tell: called with a text about what takes time.

    Raises:
        InfrastructureError: it cannot be ended.
    """
    pid_file = pid_file_of(name, directory)
    pid = running_pid(pid_file)
    if pid is not None:
        tell(f"Ending the {name} that an earlier `consolidator up` has left (process {pid})")
        terminate(pid_file, grace_s=_COMMAND_GRACE_S, on_progress=tell)
    pid_file.unlink(missing_ok=True)


def pid_file_of(name: str, directory: Path) -> Path:
    """The pid file of a command."""
    return directory / f"{name}.pid"


def _reaped(pid: int) -> tuple[bool, int | None]:
    """Whether a process has ended, and its exit code, where it is a child of this process."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True, None
    return (True, os.waitstatus_to_exitcode(status)) if found else (False, None)


def _end_child(pid: int, argument: str) -> None:
    """End a child of this process that its pid file does not name any more, as somebody has removed that.

    Raises:
        InfrastructureError: it is there even after SIGKILL.
    """
    if _reaped(pid)[0]:
        return
    # Nobody else can have this id: it is free only once the child is reaped.
    os.kill(pid, signal.SIGTERM)
    if _reaped_within(pid, _COMMAND_GRACE_S):
        return
    kill_group(pid, argument)
    if not _reaped_within(pid, KILL_LIMIT_S):
        raise InfrastructureError(f"still there {KILL_LIMIT_S:.0f} s after SIGKILL: {group_in_words(pid)}")


def _reaped_within(pid: int, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not _reaped(pid)[0]:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
