"""Lines of the log for partitions that stand still: one when it begins, and one when it is over."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import structlog

from streams.health.report import STANDING_STILL, Partition

__all__ = ["LOOK_S", "StandstillLog"]

LOOK_S: Final = 5.0
"""A look at 64 partitions takes milliseconds, and a state is reached after 10 s and more."""

_log = structlog.get_logger()


class StandstillLog:
    """Writes the lines.

    Args:
        partitions: the partitions as they are now.
        clock: the time in seconds.
    """

    def __init__(self, partitions: Callable[[], Sequence[Partition]], clock: Callable[[], float] = monotonic) -> None:
        self._partitions = partitions
        self._clock = clock
        self._since = clock()
        self._standing: dict[int, str] = {}

    def look(self) -> None:
        """Compare with the last look if it is due; to be called every second."""
        now = self._clock()
        if now - self._since < LOOK_S:
            return
        self._since = now
        partitions = self._partitions()
        standing = {one.partition: one.state for one in partitions if one.state in STANDING_STILL}
        for one in partitions:
            if standing.get(one.partition) != self._standing.get(one.partition):
                self._say(one, stands_still=one.partition in standing)
        self._standing = standing

    def _say(self, one: Partition, *, stands_still: bool) -> None:
        say, event = (_log.warning, "partition stands still") if stands_still else (_log.info, "partition goes on")
        say(
            event,
            partition=one.partition,
            state=one.state,
            committed=one.committed,
            lag=one.lag,
            waits_for=one.waits_for,
        )
