"""Limits the arenas of the C library's allocator: memory that they only reserve counts for an address-space limit."""

import ctypes
from typing import Final

__all__ = ["keep_to_few_arenas"]

_M_ARENA_MAX: Final = -8
"""glibc's number of the parameter, see mallopt(3)."""

_ARENAS: Final = 2
"""glibc makes up to eight for each core, and a worker has some forty threads: on a machine of many cores each gets one,
and reserves 64 MiB for it. What one thread frees in an arena, threads of the others do not get. The worker's own
objects are Python's, which has an allocator of its own: two arenas do for the clients' threads."""


def keep_to_few_arenas() -> None:
    """Call this before threads are started. If the C library has no such setting, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
