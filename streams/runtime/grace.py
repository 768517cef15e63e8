"""The end of a process that was asked to stop: an orderly end within a time limit, otherwise a forced one."""

import signal
import socket
import threading
from collections.abc import Callable
from time import sleep
from typing import Final

from streams.runtime.signals import ENDING

__all__ = ["GRACE_S", "Grace", "call_at_signals"]

_SIGNALS_AT_ONCE: Final = 64


GRACE_S: Final = 30.0
"""How long an orderly stop may take: some batches are in flight, each limited by a transaction's timeout."""

IDLE_GRACE_S: Final = 10.0
"""How long a stop may take if nothing is in flight: a library may wait for an answer that is not needed any more."""


class Grace:
    """A time limit for an orderly stop. A thread enforces it, even if the event loop and the main thread are blocked.

    Args:
        is_idle: whether there is nothing to finish.
        leave: ends the process if there was nothing to finish.
        expired: ends the process if something was not finished in time.
    """

    def __init__(
        self, is_idle: Callable[[], bool], *, leave: Callable[[], object], expired: Callable[[], object]
    ) -> None:
        self._is_idle = is_idle
        self._leave = leave
        self._expired = expired
        self._begun = threading.Lock()

    def begin(self) -> None:
        """Start the time limit; further calls change nothing. May be called from any thread."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._wait, name="grace", daemon=True).start()

    def _wait(self) -> None:
        sleep(IDLE_GRACE_S)
        if not self._is_idle():
            sleep(GRACE_S - IDLE_GRACE_S)
        if self._is_idle():
            self._leave()
        else:
            self._expired()


def call_at_signals(call: Callable[[], object]) -> None:
    """From now on a thread calls a function at SIGTERM and SIGINT, even if the main thread is blocked.

    Python's own handlers, and asyncio's, run only in the main thread, once it is not blocked.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)  # noqa: FBT003 - the signature of sockets

    def listen() -> None:
        # This thread keeps the other end open for the process's whole life.
        while received := reading.recv(_SIGNALS_AT_ONCE):
            if not set(ENDING).isdisjoint(received):
                call()
        writing.close()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    # The descriptor is set before the handlers: a signal that comes in between is not lost, and also runs the earlier
    # handler.
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in ENDING:
        signal.signal(number, _nothing)
        # A library's blocking call in C is resumed, and not interrupted.
        signal.siginterrupt(number, False)  # noqa: FBT003 - its signature


def _nothing(_number: int, _frame: object) -> None:
    """Python writes the signal's number to the socket. Without a handler the signal would end the process."""
