"""When a process that ended is started again: later each time, and not for ever. Time is an argument here."""

from collections import deque
from typing import Final

__all__ = ["FIRST_PAUSE_S", "MOST_ENDS", "WITHIN_S", "Restarts"]

MOST_ENDS: Final = 5
"""What ends so often within :data:`WITHIN_S` does not get better by being started again."""

WITHIN_S: Final = 300.0

FIRST_PAUSE_S: Final = 1.0
"""Before the first restart; each further one within :data:`WITHIN_S` waits twice as long as the one before."""


class Restarts:
    """The ends of one process, and what follows from them."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque()
        self.count = 0

    def pause_after_end(self, now: float) -> float | None:
        """Seconds to wait before the next start; None: it has ended too often.

        Args:
            now: monotonic seconds, at the end of the process.
        """
        while self._ends and now - self._ends[0] > WITHIN_S:
            self._ends.popleft()
        self._ends.append(now)
        if len(self._ends) >= MOST_ENDS:
            return None
        self.count += 1
        return float(FIRST_PAUSE_S * 2 ** (len(self._ends) - 1))
