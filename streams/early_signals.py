"""Signals that end a command before it has begun its work: with nothing to finish it ends in order, and at once."""

import signal
from types import FrameType

from streams.runtime.signals import ENDING

__all__ = ["EndedEarly", "end_at_signals", "ignore_signals"]


class EndedEarly(SystemExit):
    """SIGTERM or SIGINT came before the work began: exit code 0."""

    def __init__(self) -> None:
        super().__init__(0)


def end_at_signals() -> None:
    """From now on SIGTERM and SIGINT raise :class:`EndedEarly` in the main thread, whatever it waits for.

    By default SIGTERM ends a process without a word, with exit code -15: for whoever started it a failure. Importing
    Faust and asking a cluster that does not answer take seconds. Whoever begins something installs its own handlers.
    """
    for number in ENDING:
        signal.signal(number, _end)


def ignore_signals() -> None:
    """From now on SIGTERM and SIGINT change nothing: the work is done, and the process about to end."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise EndedEarly
