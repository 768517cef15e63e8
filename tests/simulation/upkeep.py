"""The log of simulated topics, as what builds and compares databases reads it."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

from models.errors import ContractError
from streams.sink.lane import Cursor
from streams.sink.ownership import Installed
from streams.sink.upkeep.log import Log
from tests.oracle.folds import MAX_EVENT_BYTES, catalogue_of, rules_of
from tests.simulation.sink import NOW_MS, START, SimulatedTopics
from topics.reading.following import Place
from topics.reading.progress import Published
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

INSTALLED = Installed("consolidator", "executions", "id", 1)


class BrokenOffError(Exception):
    """What a test has asked for: the process ends here."""


class SimulatedReading:
    """Reads simulated topics in pieces.

    Args:
        topics: what is read.
        rng: how large each piece is.
        breaks_after: so many polls later the process ends; None: never.
    """

    def __init__(self, topics: SimulatedTopics, rng: random.Random, *, breaks_after: int | None = None) -> None:
        self.positions: dict[Place, int] = {}
        self._topics = topics
        self._rng = rng
        self._left = breaks_after
        self._held: set[Place] = set()

    def follow(self, starts: Mapping[Place, int]) -> None:
        """See :class:`~streams.sink.ports.Reading`."""
        self.positions |= starts

    def leave(self, places: Iterable[Place]) -> None:
        """See :class:`~streams.sink.ports.Reading`."""
        for place in places:
            self.positions.pop(place, None)

    def hold(self, place: Place, *, held: bool) -> None:
        """See :class:`~streams.sink.ports.Reading`."""
        (self._held.add if held else self._held.discard)(place)

    def poll(self, timeout_s: float) -> list[Record]:  # noqa: ARG002 - nothing is waited for
        """See :class:`~streams.sink.ports.Reading`."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._left = None
                raise BrokenOffError
        found: list[Record] = []
        for place in [*self.positions]:
            if place in self._held:
                continue
            waiting = [one for one in self._records(place) if one.offset >= self.positions[place]]
            taken = waiting[: self._rng.randrange(6)]
            found += taken
            if len(taken) == len(waiting):
                self.positions[place] = max(self.positions[place], self._end(place))
            else:
                self.positions[place] = taken[-1].offset + 1 if taken else self.positions[place]
        return found

    def _records(self, place: Place) -> list[Record]:
        topics = self._topics
        names = topics.topics
        return {
            names.executions.name: topics.source,
            names.factor_changes.name: topics.changes,
            names.dlq.name: topics.letters,
        }[place[0]]

    def _end(self, place: Place) -> int:
        topics, names = self._topics, self._topics.topics
        ends = {
            names.executions.name: topics.consolidated,
            names.factor_changes.name: topics.bound.changes,
            names.dlq.name: topics.bound.letters,
        }
        return ends[place[0]]

    def published(self) -> dict[int, Published]:
        """See :class:`~streams.sink.ports.Progress`."""
        return {self._topics.partition: self._topics.bound}


def log_of(
    topics: SimulatedTopics, rng: random.Random, *, first: Cursor = START, breaks_after: int | None = None
) -> Log:
    """The log of one partition's topics.

    Args:
        topics: the topics.
        rng: how they are read.
        first: where they begin.
        breaks_after: see :class:`SimulatedReading`.
    """
    reading = SimulatedReading(topics, rng, breaks_after=breaks_after)
    catalogue = catalogue_of(topics.content)

    def keeping(digest: str) -> list[str]:
        if digest != rules_of(topics.content).digest:
            raise ContractError("no such ruleset")
        return [name for name, rule in catalogue.processors.items() if rule.on_failed_rerun.value == "keep_previous"]

    return Log(
        topics.topics,
        replace(INSTALLED, partitions=topics.topics.partitions),
        reading,
        reading,
        {topics.partition: first},
        max_event_bytes=MAX_EVENT_BYTES,
        authority=EveryErasure(),
        keeping=keeping,
        rulesets=lambda: topics.rulesets,
        now_ms=lambda: NOW_MS,
    )
