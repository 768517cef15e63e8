"""Several workers under one command, each in its own process, because a Python process can use only one core.

The workers are members of one consumer group, as if they had been started one by one: the group gives each its share of
the partitions. When one of them ends, all end, so that a supervisor sees one program, and restarts it as a whole. Each
worker shows once a second that its event loop runs; one that hangs is killed.
"""

import os
import select
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from types import FrameType
from typing import Final

import structlog

from streams.health.parent import ParentHealth
from streams.runtime.exit_codes import DONE, FAILED, REFUSED
from streams.runtime.grace import GRACE_S
from streams.runtime.signals import ENDING

__all__ = ["ForkedWorker", "fork_workers"]

_START_S: Final = 120.0
"""How long a worker may take until its event loop runs: Faust is imported and the cluster asked, within limits."""

_SILENCE_S: Final = 60.0
"""How long a running worker's event loop may be blocked. The group reassigns its partitions long before."""

_LEFT_S: Final = GRACE_S + 10.0
"""How long an orderly stop may take; each worker ends by itself before."""

_TICK_S: Final = 1.0
_BEATS_AT_ONCE: Final = 4096

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ForkedWorker:
    """A worker's view of the process that it was forked from.

    Attributes:
        number: the worker's number, from 0.
        beating: the pipe on which the worker shows that it is alive.
        asking: the socket on which that process asks for the worker's health; None: it does not.
    """

    number: int
    beating: int
    asking: socket.socket | None = None

    def beat(self) -> None:
        """Show that the event loop runs; to be called from it, once a second."""
        # The pipe may be full: the other process is stopped. Or it has no reader: the other process has ended.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self.beating, b".")


def fork_workers(
    count: int, *, start_s: float = _START_S, silence_s: float = _SILENCE_S, health: ParentHealth | None = None
) -> ForkedWorker:
    """Fork several workers; this returns once in each of them.

    The calling process does not become a worker: it passes SIGTERM and SIGINT on, and exits when all workers have
    ended, with the exit code of the first one that failed. It must have neither threads nor connections yet.

    Args:
        count: how many workers.
        start_s: how long a worker may take until its event loop runs.
        silence_s: how long the event loop may be blocked.
        health: serves the workers' health in the calling process; None: nobody does.

    Raises:
        SystemExit: in the calling process, at the end.
    """
    reading, writing = os.pipe()
    family = _Family(start_s, silence_s, health)
    # Signals are blocked, and not deferred by a handler: in a new process, Python drops signals that came during the
    # fork.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for number in range(count):
        heard, beating = os.pipe()
        pid = os.fork()
        if not pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for descriptor in (writing, heard, *family.descriptors()):
                os.close(descriptor)
            threading.Thread(target=_stop_when_closed, args=(reading,), name="parent-watch", daemon=True).start()
            os.set_blocking(beating, False)
            return ForkedWorker(number, beating, None if health is None else health.in_child(number))
        os.close(beating)
        family.add(pid, number, heard)
    os.close(reading)
    raise SystemExit(family.wait(before))


def _stop_when_closed(parent: int) -> None:
    """Make this worker stop when the process at the other end of a pipe has ended; otherwise it would run on."""
    os.read(parent, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True)
class _Child:
    """The parent's view of a worker's process.

    Attributes:
        pid: its process id.
        number: the worker's number.
        limit_s: how long it may be silent.
        silent_s: how long it has not shown that it is alive.
    """

    pid: int
    number: int
    limit_s: float
    silent_s: float = 0.0


class _Family:
    """The workers' processes, which their parent waits for."""

    def __init__(self, start_s: float, silence_s: float, health: ParentHealth | None) -> None:
        self._start_s = start_s
        self._silence_s = silence_s
        self._health = health
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._stopping = False
        self._exit_code = DONE

    def add(self, pid: int, number: int, heard: int) -> None:
        """Add a worker.

        Args:
            pid: its process id.
            number: its number.
            heard: the reading end of the pipe to which it writes once a second.
        """
        self._children[heard] = _Child(pid, number, self._start_s)
        self._poll.register(heard, select.POLLIN)

    def descriptors(self) -> list[int]:
        """The reading ends of the workers' pipes."""
        return list(self._children)

    def wait(self, mask: set[int | signal.Signals]) -> int:
        """Wait until all workers have ended; when one does, ask the others to.

        Args:
            mask: the signals to block from now on. SIGTERM and SIGINT have been blocked until now.

        Returns:
            The exit code.
        """
        if self._health is not None:
            # Its thread inherits that signals are blocked, so that they come to this one.
            self._health.serve()
        for ending in ENDING:
            signal.signal(ending, self._stop)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while self._children:
            since = monotonic()
            for descriptor, _ in self._poll.poll(_TICK_S * 1000):
                self._hear(descriptor)
            if self._health is not None:
                self._health.clock.tick()
            # Do not count time during which this process itself was stopped.
            self._end_silent_ones(min(monotonic() - since, 2 * _TICK_S))
        return self._exit_code

    def _stop(self, _number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        if not self._stopping:
            self._stopping = True
            for child in self._children.values():
                child.silent_s, child.limit_s = 0.0, _LEFT_S
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children.values():
            # A process that has ended is a zombie until it is waited for, which may be happening at this moment.
            with suppress(ProcessLookupError):
                os.kill(child.pid, number)

    def _hear(self, descriptor: int) -> None:
        """Read from a worker's pipe: the worker is alive, or it has ended if its end of the pipe is closed."""
        child = self._children[descriptor]
        if os.read(descriptor, _BEATS_AT_ONCE):
            if not self._stopping:
                child.silent_s, child.limit_s = 0.0, self._silence_s
            return
        del self._children[descriptor]
        self._poll.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if not self._stopping:
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            _log.warning("a worker process ended, stopping the others", process=child.number, ended=how)
            self._stop()
        if code and not self._exit_code:
            # Its open transaction has no effect, whatever ended the worker.
            self._exit_code = REFUSED if code == REFUSED else FAILED

    def _end_silent_ones(self, passed_s: float) -> None:
        for child in self._children.values():
            child.silent_s += passed_s
            if child.silent_s >= child.limit_s:
                child.limit_s = inf
                _log.error(
                    "a worker process hangs and is killed: its uncommitted work has no effect",
                    process=child.number,
                    pid=child.pid,
                    silent_s=round(child.silent_s),
                )
                os.kill(child.pid, signal.SIGKILL)
