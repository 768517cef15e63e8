"""The demonstration's day, published slowly, so that there is something to watch."""

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from models.errors import ConsolidatorError
from streams.demo.day import Arrival, believable_day
from streams.demo.installation import Installation
from streams.demo.publication import Readable, publish, read_arrivals
from streams.demo.scenarios import SCENARIOS

__all__ = ["EVENTS_A_SECOND", "DayFeed"]

EVENTS_A_SECOND: Final = 20.0
"""Slow enough to follow, and a day of 300 applications takes ten minutes."""

_TOGETHER: Final = 100
"""Records with one producer. If Kafka did not take all of them, they are published again: copies change nothing."""

_AGAIN_S: Final = 1.0
_END_LIMIT_S: Final = 5.0


class DayFeed:
    """Publishes the scenarios and a day from a thread of its own; it waits while Kafka is away.

    Args:
        installation: whose topics; prepared.
        seed: of the day.
        applications: of the day.
        rate: events a second.

    Attributes:
        published: how many are acknowledged.
        error: why it is waiting; empty: it is not.
    """

    def __init__(
        self, installation: Installation, *, seed: int, applications: int, rate: float = EVENTS_A_SECOND
    ) -> None:
        day = believable_day(seed, applications)
        scenarios = (Arrival(line) for scenario in SCENARIOS for line in scenario.lines())
        self._arrivals = read_arrivals(
            chain(scenarios, day.arrivals), max_event_bytes=installation.settings.max_event_bytes
        )
        self._installation = installation
        self._pause_s = 1 / rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="day", daemon=True)
        self.published = 0
        self.error = ""

    @property
    def total(self) -> int:
        """How many records the day has."""
        return len(self._arrivals)

    @property
    def is_over(self) -> bool:
        """Whether all of it is published."""
        return self.published == self.total

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def close(self) -> None:
        """Publish no more. What Kafka does not acknowledge is not waited for."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_END_LIMIT_S)

    def _run(self) -> None:
        for first in range(0, self.total, _TOGETHER):
            part = self._arrivals[first : first + _TOGETHER]
            while not self._over.is_set() and not self._published(part):
                self._over.wait(_AGAIN_S)
            if self._over.is_set():
                return
            self.published = first + len(part)

    def _published(self, part: Sequence[Readable]) -> bool:
        installation = self._installation
        try:
            publish(self._slowly(part), installation.topics, installation.config, on_acknowledged=lambda _: None)
        except ConsolidatorError as error:
            self.error = str(error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever a client raises: it is shown, and tried again
            self.error = repr(error)
            return False
        self.error = ""
        return True

    def _slowly(self, part: Sequence[Readable]) -> Iterator[Readable]:
        for one in part:
            if self._over.wait(self._pause_s):
                return
            yield one
