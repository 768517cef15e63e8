"""A short switch interval for as long as somebody outside waits for an answer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["promptly"]

_SWITCH_S: Final = 0.000_5
"""Threads that are busy have to let go of the interpreter after this time. A worker's own interval is 40 times as long,
for its speed; a request takes some milliseconds, and seldom comes."""


@contextmanager
def promptly() -> Iterator[None]:
    """Let the threads of this process take turns quickly. One thread at a time may be in here."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
