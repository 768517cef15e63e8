"""Signals that end a command: before its work, during it, and held back where half-done work would be left."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Final, Self

from models.errors import ConsolidatorError
from streams.runtime.exit_codes import DONE, SIGNALLED

__all__ = [
    "ENDING",
    "Interrupted",
    "Interruption",
    "deferred_signals",
    "end_at_signals",
    "ignore_signals",
]

ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""The signals of Ctrl-C and of process managers."""


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer signals: one that arrives inside the block takes effect after it.

    Handlers are replaced, and signals are not blocked: a process that is started inside would inherit the mask, and
    never get SIGTERM. Python handles signals only in the main thread, so in other threads this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, remember) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(received):
            signal.raise_signal(late)


class Interrupted(KeyboardInterrupt):
    """A signal came.

    This is no KeyboardInterrupt: if one passes through ``eval``, which named tuples and dataclasses use, Python ends by
    SIGINT at the end, even if the exception was caught.
    """


def end_at_signals(say: Callable[[], object] = lambda: None) -> None:
    """From now on SIGTERM and SIGINT end the process at once with exit code 0: its work has not begun.

    By default SIGTERM ends a process silently with exit code -15, which its starter takes for a failure. Importing
    Faust, and waiting for a cluster that does not answer, take seconds. Later steps install their own handlers.

    The handler raises nothing. An exception that is raised inside a library's C code may come out as a SystemError, and
    one that is raised inside a finalizer is lost. There is nothing to clean up yet.

    Args:
        say: called before the process ends; it may log. The main thread may be anywhere when it is called.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        say()
        os._exit(DONE)

    for number in ENDING:
        signal.signal(number, end)


def ignore_signals() -> None:
    """Ignore SIGTERM and SIGINT from now on: the work is done, and the process is about to end."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """A context in which the first signal raises KeyboardInterrupt, and further ones do not disturb the clean-up.

    If a signal arrives inside confluent-kafka's C code, its exception may be replaced by another one. If it arrives
    while Python runs a finalizer or a weak reference's callback, it is lost. So the signal is remembered: :meth:`look`
    raises it again, and the context ends with SystemExit.

    Args:
        code: the exit code after a signal; None: 128 and the signal's number.
    """

    def __init__(self, code: int | None = None) -> None:
        self._code = code
        self._received: list[int] = []

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._interrupt) for number in ENDING}
        self._tell_of_lost = sys.unraisablehook
        sys.unraisablehook = self._unless_remembered
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.unraisablehook = self._tell_of_lost
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._received and not isinstance(error, ConsolidatorError):
            raise SystemExit(SIGNALLED + self._received[0] if self._code is None else self._code) from None

    def look(self) -> None:
        """Raise KeyboardInterrupt if a signal has come; to be called while there is something to do."""
        if self._received:
            raise Interrupted

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        if len(self._received) == 1:
            raise Interrupted

    def _unless_remembered(self, lost: "sys.UnraisableHookArgs") -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            self._tell_of_lost(lost)
