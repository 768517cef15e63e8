"""Limits the arenas of the C library's allocator: memory that they only reserve counts for an address-space limit."""

import ctypes
from typing import Final

__all__ = ["keep_to_few_arenas"]

_M_ARENA_MAX: Final = -8
"""glibc's number of the parameter, see mallopt(3)."""

_ARENAS: Final = 2
"""By default glibc makes up to eight arenas for each core, and a worker has some forty threads: on a machine with many
cores each thread gets an arena, which reserves 64 MiB. Memory that is freed in one arena is not available in others.
Python has its own allocator for objects, so two arenas are enough for the clients' threads."""


def keep_to_few_arenas() -> None:
    """Call this before threads are started. If the C library has no such setting, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
