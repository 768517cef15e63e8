"""Signals that end a command: before its work, during it, and held back where half-done work would be left."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Final, Self

from models.errors import ConsolidatorError
from streams.runtime.exit_codes import SIGNALLED

__all__ = [
    "ENDING",
    "EarlyEnd",
    "EndedEarly",
    "Interrupted",
    "Interruption",
    "deferred_signals",
    "early_end",
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


class EndedEarly(SystemExit):
    """SIGTERM or SIGINT came before the work began; the exit code is 0."""

    def __init__(self) -> None:
        super().__init__(0)


class EarlyEnd:
    """Lets SIGTERM and SIGINT end a process before its work begins: they raise :class:`EndedEarly` in the main thread.

    By default SIGTERM ends a process silently with exit code -15, which its starter takes for a failure. Importing
    Faust, and waiting for a cluster that does not answer, take seconds.

    The exception may not arrive: a library's C code may replace it by another one, and Python drops it in a finalizer.
    So the signal is remembered. Code that handles other exceptions looks at :attr:`has_come` first, and the steps
    before the work call :meth:`look`. The handler logs nothing: the main thread may hold the lock that this needs.

    Attributes:
        has_come: whether a signal has come.
    """

    def __init__(self) -> None:
        self.has_come = False

    def begin(self) -> None:
        """Install the handlers. The work replaces them by its own."""
        for number in ENDING:
            signal.signal(number, self._end)
        self._report_lost, sys.unraisablehook = sys.unraisablehook, self._unless_dropped

    def look(self) -> None:
        """Raise if a signal has come.

        Raises:
            EndedEarly: one has.
        """
        if self.has_come:
            raise EndedEarly

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.has_come = True
        raise EndedEarly

    def _unless_dropped(self, lost: "sys.UnraisableHookArgs") -> None:
        if not issubclass(lost.exc_type, EndedEarly):
            self._report_lost(lost)


early_end: Final = EarlyEnd()
"""The process's own: signal handlers belong to the process, too."""


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
