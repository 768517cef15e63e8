"""Time during which this process ran: a process or a machine that was suspended did not stand still meanwhile."""

from collections.abc import Callable
from time import monotonic
from typing import Final

__all__ = ["TICK_S", "AwakeClock"]

TICK_S: Final = 1.0
"""How often :meth:`AwakeClock.tick` is to be called, in seconds."""

_MOST_S: Final = 3.0
"""The most that counts between two ticks. A thread that gets no turn for longer than this is in a process that was
suspended, or on a machine that is so busy that nobody can be said to stand still."""


class AwakeClock:
    """A clock that stands still while its process does.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        # The last tick: this clock's time, and the other one's. One tuple, so that a reader never sees half of it.
        self._at = (0.0, clock())

    def __call__(self) -> float:
        """The seconds since this was made; may be called from any thread."""
        awake_s, ticked = self._at
        return awake_s + min(self._clock() - ticked, _MOST_S)

    def tick(self) -> None:
        """Count the time since the last tick; to be called every second, always from the same thread."""
        self._at = (self(), self._clock())
