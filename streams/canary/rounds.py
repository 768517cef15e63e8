"""The rounds of the canary: each publishes one event, and waits until its change can be read."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from consolidator.records import SourcePlace
from consolidator.waiting.result import WaitResult
from models.errors import InfrastructureError
from streams.canary.ids import canary_event, new_application
from streams.canary.residue import Remains, Residue

__all__ = ["ROUNDS", "Canary", "Round", "Steps"]

ROUNDS: Final = 500
"""After so many rounds of a partition its application is erased. The row has an entry of some 80 bytes for each, and is
written anew in each round; an erasure costs a worker a look through all keys of the partition."""


class Round(NamedTuple):
    """What came of a round.

    Attributes:
        partition: where.
        seconds: from the publication until the change could be read; None: it is lost.
        problem: why it is lost.
    """

    partition: int
    seconds: float | None
    problem: str | None = None


class Steps(Protocol):
    """What a canary does with Kafka. Each step raises InfrastructureError, when it takes too long as well."""

    def publish(self, key: bytes, value: bytes, partition: int) -> int:
        """Publish an event; return its offset."""

    def wait(self, place: SourcePlace) -> WaitResult:
        """Wait until what came of a record can be read."""

    def erase(self, remains: Remains) -> None:
        """Erase an application."""


class Canary:
    """Goes from partition to partition.

    Args:
        steps: in Kafka.
        residue: where is noted what has to be erased.
        partitions: how many partitions there are.
        rounds: of one application.
        clock: seconds, for measuring.
        now: the time, for events.
    """

    def __init__(
        self,
        steps: Steps,
        residue: Residue,
        partitions: int,
        *,
        rounds: int = ROUNDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._steps = steps
        self._residue = residue
        self._partitions = partitions
        self._rounds = rounds
        self._clock = clock
        self._now = now
        self._lanes: dict[int, _Lane] = {}

    def round(self, partition: int) -> Round:
        """Publish an event into a partition, and wait for its change.

        If the event of an earlier round is still lost, nothing is published: at most one event of a partition is open.

        Args:
            partition: the partition.

        Raises:
            ContractError: a topic, a permission or the worker's answer is not as it must be.
        """
        try:
            lane = self._lane(partition)
            if lane.open is not None:
                self._steps.wait(lane.open)
                lane.open = None
            started = self._clock()
            result = self._next(lane)
            seconds = self._clock() - started
        except InfrastructureError as error:
            return Round(partition, None, str(error))
        if result.kind == "applied":
            return Round(partition, seconds)
        return Round(partition, None, f"the event came to {result.kind}" + (f": {result.code}" if result.code else ""))

    def erase_all(self) -> list[str]:
        """Erase everything that is left, of earlier canaries as well. What cannot be erased now stays noted.

        Returns:
            For each application that is left, why.
        """
        self._lanes.clear()
        problems = []
        for remains in list(self._residue.remains.values()):
            try:
                self._erase(remains)
            except InfrastructureError as error:
                problems.append(f"{remains.application_id} could not be erased yet: {error}")
        return problems

    def _lane(self, partition: int) -> "_Lane":
        """The partition's application: a new one, if there is none or it has had its rounds."""
        lane = self._lanes.get(partition)
        if lane is not None and lane.number >= self._rounds and lane.open is None:
            del self._lanes[partition]
            self._erase_finished()
            lane = None
        if lane is None:
            application_id = new_application(partition, self._partitions)
            lane = self._lanes[partition] = _Lane(self._residue.begin(application_id, partition))
        return lane

    def _next(self, lane: "_Lane") -> WaitResult:
        remains = lane.remains
        lane.number += 1
        key, value, change = canary_event(remains.application_id, lane.number, self._now())
        self._residue.note(remains, key, change)
        lane.open = SourcePlace(remains.partition, self._steps.publish(key, value, remains.partition))
        result = self._steps.wait(lane.open)
        lane.open = None
        return result

    def _erase_finished(self) -> None:
        """Erase the applications that no partition uses any more, with those that could not be erased before."""
        used = {lane.remains.application_id for lane in self._lanes.values()}
        for remains in list(self._residue.remains.values()):
            if remains.application_id not in used:
                self._erase(remains)

    def _erase(self, remains: Remains) -> None:
        self._steps.erase(remains)
        self._residue.forget(remains)


class _Lane:
    """The present application of a partition.

    Attributes:
        remains: what there is of it.
        number: of its last round.
        open: where an event stands of which it is not known what it came to; None: there is none.
    """

    def __init__(self, remains: Remains) -> None:
        self.remains = remains
        self.number = 0
        self.open: SourcePlace | None = None
