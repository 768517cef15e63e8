"""Ctrl-C and SIGTERM end a long command through every ``finally``, wherever they arrive."""

import signal
import sys
from types import FrameType, TracebackType
from typing import Self

from models.errors import ConsolidatorError
from streams.runtime.signals import ENDING

__all__ = ["Interruption"]

_EXIT_SIGNALLED = 128
"""Added to a signal's number, as shells do it."""


class Interruption:
    """A context in which the first signal raises KeyboardInterrupt and further ones do not disturb the cleaning up.

    The exception of a signal that arrives inside confluent-kafka's C code may come out of it as another one, and where
    it arrives while Python runs a finalizer or a weak reference's callback it does not come out at all. So what came is
    remembered: :meth:`look` raises it again, and the context ends with SystemExit, 128 and the signal's number.
    """

    def __init__(self) -> None:
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
            raise SystemExit(_EXIT_SIGNALLED + self._received[0]) from None

    def look(self) -> None:
        """Raise KeyboardInterrupt if a signal has come; to be called while there is something to do."""
        if self._received:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        if len(self._received) == 1:
            raise KeyboardInterrupt

    def _unless_remembered(self, lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is not KeyboardInterrupt:
            self._tell_of_lost(lost)
