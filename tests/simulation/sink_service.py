"""A whole sink without Kafka: the consumers are simulated, the loop, its threads and the database are real."""

import random
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Engine

from streams.sink.lane import Cursor
from streams.sink.service import SinkService
from streams.sink.watching.figures import SinkFigures
from streams.sink.writing import CutWriter
from tests.oracle.folds import MAX_EVENT_BYTES
from tests.simulation.sink import ABSENCE_MS, START, SimulatedTopics
from topics.reading.following import Place
from topics.reading.progress import Published
from topics.records.erasure_authority import EveryErasure
from topics.records.record import Record

FENCED_S = 0.05


class Ended(BaseException):
    """As a signal ends it."""


class SimulatedConsumers:
    """Membership, follower and progress over simulated topics, one for each partition.

    Args:
        topics: what is read.
        until: ends the sink, asked in each round.
    """

    def __init__(self, topics: Iterable[SimulatedTopics], until: Callable[[], bool]) -> None:
        self._topics = {one.partition: one for one in topics}
        self._until = until
        self._rng = random.Random(1)
        self.assigned = set(self._topics)
        self.committed: dict[int, int] = {}
        self.positions: dict[Place, int] = {}
        self._held: set[Place] = set()
        self.most_held = 0

    # -- the membership

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed |= offsets

    # -- the progress

    def published(self) -> dict[int, Published]:
        return {partition: one.bound for partition, one in self._topics.items()}

    # -- the follower

    def follow(self, starts: Mapping[Place, int]) -> None:
        self.positions |= starts

    def leave(self, places: Iterable[Place]) -> None:
        for place in places:
            self.positions.pop(place, None)
            self._held.discard(place)

    def hold(self, place: Place, *, held: bool) -> None:
        (self._held.add if held else self._held.discard)(place)
        self.most_held = max(self.most_held, len(self._held))

    def poll(self, _timeout_s: float = 0.0) -> list[Record]:
        if self._until():
            raise Ended
        found: list[Record] = []
        for place, position in self.positions.items():
            if place not in self._held:
                found += self._log(place)[position:][: self._rng.randrange(40)]
        for record in found:
            self.positions[record.topic, record.partition] = record.offset + 1
        return found

    def _log(self, place: Place) -> list[Record]:
        topics = self._topics[place[1]]
        logs = {
            topics.topics.executions.name: topics.source,
            topics.topics.factor_changes.name: topics.changes,
            topics.topics.dlq.name: topics.letters,
        }
        return logs[place[0]]


class SimulatedMembership:
    """The membership's side of the consumers: its poll gives nothing."""

    def __init__(self, consumers: SimulatedConsumers) -> None:
        self._consumers = consumers

    @property
    def assigned(self) -> set[int]:
        return self._consumers.assigned

    def poll(self) -> None:
        return

    def commit(self, offsets: Mapping[int, int]) -> None:
        self._consumers.commit(offsets)


def simulated_service(
    engine: Engine,
    topics: list[SimulatedTopics],
    consumers: SimulatedConsumers,
    writer: type[CutWriter] = CutWriter,
    *,
    membership: SimulatedMembership | None = None,
    figures: SinkFigures | None = None,
    beginnings: Callable[[int], Cursor] = lambda _: START,
    keeping: Callable[[str], Collection[str]] = lambda _: (),
    rulesets: Callable[[], Any] | None = None,
) -> SinkService:
    """A sink that does not run yet; the last three arguments are questions that brokers answer."""
    return SinkService(
        engine,
        writer(
            engine,
            topics[0].topics,
            max_event_bytes=MAX_EVENT_BYTES,
            authority=EveryErasure(),
            keeping=keeping,
            rulesets=rulesets or (lambda: topics[0].rulesets),
        ),
        topics[0].topics,
        membership or SimulatedMembership(consumers),  # type: ignore[arg-type] # of the same form
        consumers,  # type: ignore[arg-type]
        consumers,  # type: ignore[arg-type]
        beginnings=beginnings,
        absence_ms=ABSENCE_MS * 1_000_000,
        fenced_s=FENCED_S,
        figures=figures,
    )


def run_service(
    engine: Engine,
    topics: list[SimulatedTopics],
    until: Callable[[], bool],
    writer: type[CutWriter] = CutWriter,
    **more: Any,
) -> SimulatedConsumers:
    """Run a sink until it is to end; further arguments are :func:`simulated_service`'s."""
    consumers = SimulatedConsumers(topics, until)
    service = simulated_service(engine, topics, consumers, writer, **more)
    try:
        service.run(threading.Event())
    except Ended:
        return consumers
    raise AssertionError("a sink runs until it is ended")
