"""The end of a process that was asked to stop: in order if that can be done in time, and in any case."""

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
"""How long an orderly stop may take: some batches in flight, each bounded by a transaction's time."""

IDLE_GRACE_S: Final = 10.0
"""How long one may take that has nothing to finish: a library waits for an answer, which nobody needs any more."""


class Grace:
    """A limit for an orderly stop, kept by a thread: whatever the event loop and the main thread are waiting for.

    Args:
        is_idle: whether there is nothing to finish.
        leave: ends the process where there was nothing to finish.
        expired: ends the process where something was not finished in time.
    """

    def __init__(
        self, is_idle: Callable[[], bool], *, leave: Callable[[], object], expired: Callable[[], object]
    ) -> None:
        self._is_idle = is_idle
        self._leave = leave
        self._expired = expired
        self._begun = threading.Lock()

    def begin(self) -> None:
        """The time runs from now on; called again, nothing changes. From any thread."""
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
    """From now on SIGTERM and SIGINT make a thread call this; the main thread may be held up by anything.

    Python's own handlers, and asyncio's, run in the main thread, when it comes to it.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)  # noqa: FBT003 - the signature of sockets

    def listen() -> None:
        # The other end is kept open from here, for the process's whole life.
        while received := reading.recv(_SIGNALS_AT_ONCE):
            if not set(ENDING).isdisjoint(received):
                call()
        writing.close()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    # Before the handlers: until they are there, whatever is to happen at a signal happens as well.
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in ENDING:
        signal.signal(number, _nothing)
        # What a library waits for in C goes on.
        signal.siginterrupt(number, False)  # noqa: FBT003 - its signature


def _nothing(_number: int, _frame: object) -> None:
    """The signal is told to the thread; without a handler it would end the process."""
