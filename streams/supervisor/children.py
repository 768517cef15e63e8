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

from streams.broker.embedded import broker_status, start_broker
from streams.broker.process import ended_within, running_pid, spawn, terminate

__all__ = ["BrokerProcess", "Child", "CommandProcess", "Ended"]

_LAST_LINES: Final = 5
_LINE_CHARACTERS: Final = 500
_READ_BYTES: Final = 64 * 1024

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
    """A process that the supervisor starts, watches and stops."""

    name: str

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
        """Its end, once it is gone completely; None: it runs, or it is starting. Waits for nothing."""

    def stop(self, tell: Callable[[str], None]) -> None:
        """End it in order; after a time limit by force. Does nothing if it does not run."""

    def last_lines(self) -> str:
        """The end of its log, for an error's message."""


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
        self.pid_file = directory / f"{name}.pid"
        self.log_file = directory / f"{name}.log"
        self._pid: int | None = None
        self._code: int | None = None

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

    def look(self) -> Ended | None:
        """Its end, once it and what it has forked are gone."""
        if self._pid is not None:
            is_reaped, code = _reaped(self._pid)
            if is_reaped:
                self._pid, self._code = None, code
        # A worker with --processes that was killed leaves processes that are about to end; they hold the lock.
        if self._pid is not None or not ended_within(self.pid_file, 0):
            return None
        return Ended(self._code)

    def end_leftover(self, tell: Callable[[str], None]) -> None:
        """End the process of an earlier supervisor that was killed, if it is still there.

        Raises:
            InfrastructureError: it cannot be ended.
        """
        pid = running_pid(self.pid_file)
        if pid is not None:
            tell(f"Ending the {self.name} that an earlier `consolidator up` has left (process {pid})")
            terminate(self.pid_file, grace_s=_COMMAND_GRACE_S, on_progress=tell)
        self.pid_file.unlink(missing_ok=True)

    def stop(self, tell: Callable[[str], None]) -> None:
        """Send SIGTERM, and wait for its end; the pid file is removed."""
        terminate(self.pid_file, grace_s=_COMMAND_GRACE_S, on_progress=tell)
        if self._pid is not None:
            _end_child(self._pid)
        self._pid = None
        self.pid_file.unlink(missing_ok=True)

    def last_lines(self) -> str:
        """The end of its log."""
        return _tail_of(self.log_file)

    def keep_log_small(self) -> None:
        """Begin the log anew when it is large; the process goes on to write at its new end."""
        with suppress(OSError):
            if self.log_file.stat().st_size > _LOG_BYTES:
                shutil.copyfile(self.log_file, self.log_file.with_name(f"{self.log_file.name}.1"))
                os.truncate(self.log_file, 0)


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
        self._pid_file = self._data_dir / "broker.pid"
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
        running = broker_status(self._data_dir)
        return None if running is None else running.pid

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

    def last_lines(self) -> str:
        """Why its last start failed, or the end of its log."""
        return str(self._error) if self._error is not None else _tail_of(self._data_dir / "broker.log")

    def _start(self) -> None:
        try:
            self._pid = start_broker(self._data_dir, self._cache_dir, self._port).pid
        except Exception as error:  # noqa: BLE001 - whatever it is: the supervisor reports it, and tries again
            self._error = error


def _reaped(pid: int) -> tuple[bool, int | None]:
    """Whether a process has ended, and its exit code, where it is a child of this process."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True, None
    return (True, os.waitstatus_to_exitcode(status)) if found else (False, None)


def _end_child(pid: int) -> None:
    """End a child of this process that its pid file does not name any more, as somebody has removed that."""
    deadline = time.monotonic() + _COMMAND_GRACE_S
    number = signal.SIGTERM
    while not _reaped(pid)[0]:
        # Nobody else can have this id: it is free only once the child is reaped.
        os.kill(pid, number)
        time.sleep(_POLL_S)
        if time.monotonic() >= deadline:
            number = signal.SIGKILL


def _tail_of(log_file: Path) -> str:
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _READ_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"(its log cannot be read: {error.strerror})"
    return "\n".join(line[:_LINE_CHARACTERS] for line in text.splitlines()[-_LAST_LINES:])
