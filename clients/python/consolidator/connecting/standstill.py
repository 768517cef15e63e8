"""Recognises partitions that a consumer does not fetch, although Kafka has more of them.

After a broker's restart, librdkafka (2.16) sometimes does not fetch a partition any more, and reports no error. Only a
consumer that is opened anew fetches it again.
"""

import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

__all__ = ["Standstill"]

_Place = TypeVar("_Place")


class Standstill(Generic[_Place]):
    """Remembers since when each partition has been behind at the same position.

    Args:
        clock: the time in seconds; the test's own in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[_Place, tuple[int, float]] = {}

    @property
    def is_suspected(self) -> bool:
        """Whether a partition was behind at the last look."""
        return bool(self._since)

    def look(self, behind: Mapping[_Place, int], after_s: float) -> set[_Place]:
        """The partitions that have stood still for some time.

        Args:
            behind: the position of each partition of which Kafka has more.
            after_s: for how long one must have been behind at one position.
        """
        now = self._clock()
        self._since = {
            place: known if (known := self._since.get(place, (-1, now)))[0] == position else (position, now)
            for place, position in behind.items()
        }
        return {place for place, (_, since) in self._since.items() if now - since >= after_s}

    def forget(self) -> None:
        """Forget everything: the consumer was opened anew."""
        self._since = {}
