"""Signals that end a command, held back while half-done work would leave something behind that nobody knows of."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["ENDING", "deferred_signals"]

ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what process managers send."""


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let a signal that arrives inside the block take effect behind it.

    Handlers are exchanged, rather than the signals blocked: a process that is started inside would inherit the mask,
    and never hear of SIGTERM. Signals come to the main thread only; in any other there is nothing to do.
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
