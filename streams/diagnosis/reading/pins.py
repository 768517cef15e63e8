"""Last stable offsets that an open transaction holds back: what is behind them no reader gets."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient

from consolidator.connecting.ends import ends_of
from models.errors import InfrastructureError
from streams.diagnosis.reading.times import written_at_ms
from topics.cluster.admin_client import REACH_TIMEOUT_S

__all__ = ["MOST_AGED", "Holder", "Pin", "read_pins"]

MOST_AGED: Final = 16
"""For so many partitions the time is looked up, which takes some thirty small requests each; the rest has none."""

_SECOND_LOOK_S: Final = 2.0
"""A worker's transaction takes less: where many partitions are held back, most of them have moved by then."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A partition whose last stable offset is behind its end.

    Attributes:
        topic: the topic's full name.
        partition: the partition.
        offset: the last stable offset: the first record of the oldest open transaction.
        hidden: offsets from there to the end.
        since_ms: when that record was written, by the broker's clock, in milliseconds since the epoch; None: not known.
    """

    topic: str
    partition: int
    offset: int
    hidden: int
    since_ms: int | None

    def age_s(self, now_ms: int) -> float | None:
        """For how many seconds the transaction has been open; None: not known."""
        return None if self.since_ms is None else max(0, now_ms - self.since_ms) / 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the transaction open; what is not known is None.

    Attributes:
        producer_id: the producer, where this user may read the topic.
        transactional_id: its transactional id, where this user may describe it.
        started_ms: when its transaction began, by the coordinator's clock.
        timeout_ms: after so long its coordinator aborts it.
    """

    producer_id: int | None = None
    transactional_id: str | None = None
    started_ms: int | None = None
    timeout_ms: int | None = None


def read_pins(admin: AdminClient, topics: Iterable[str], partitions: int, now_ms: int) -> tuple[Pin, ...]:
    """The partitions of topics in which a transaction is open at this moment; most of them are over in milliseconds.

    Args:
        admin: the client.
        topics: the topics' full names.
        partitions: how many each has.
        now_ms: this machine's clock, in milliseconds since the epoch.

    Raises:
        InfrastructureError: Kafka does not answer.
    """
    found = [pin for topic in topics for pin in _held_back(admin, topic, partitions)]
    if len(found) > MOST_AGED:
        # Under load most of these are under way. One that hangs must not be left without its age because of them.
        time.sleep(_SECOND_LOOK_S)
        found = _still_held_back(admin, found)
    return tuple(
        replace(pin, since_ms=written_at_ms(admin, pin.topic, pin.partition, pin.offset, now_ms))
        if number < MOST_AGED
        else pin
        for number, pin in enumerate(found)
    )


def _held_back(admin: AdminClient, topic: str, partitions: int) -> list[Pin]:
    """The partitions of a topic in which a transaction is open, without their ages."""
    wanted = range(partitions)
    # The stable offsets are asked for first: what ends in between then is behind them, and not in front.
    stable = _ends(admin, topic, wanted, IsolationLevel.READ_COMMITTED)
    ends = _ends(admin, topic, wanted, IsolationLevel.READ_UNCOMMITTED)
    # Records that came in between are no open transaction.
    again = _ends(admin, topic, wanted, IsolationLevel.READ_COMMITTED)
    return [
        Pin(topic, partition, offset, ends[partition] - offset, None)
        for partition, offset in stable.items()
        if offset < ends[partition] and again[partition] == offset
    ]


def _still_held_back(admin: AdminClient, pins: Iterable[Pin]) -> list[Pin]:
    """Those whose last stable offset is where it was: another one's transaction has ended."""
    by_topic: dict[str, list[Pin]] = {}
    for pin in pins:
        by_topic.setdefault(pin.topic, []).append(pin)
    found = []
    for topic, there in by_topic.items():
        stable = _ends(admin, topic, [pin.partition for pin in there], IsolationLevel.READ_COMMITTED)
        found += [pin for pin in there if stable[pin.partition] == pin.offset]
    return found


def _ends(admin: AdminClient, topic: str, partitions: Iterable[int], isolation: IsolationLevel) -> Mapping[int, int]:
    try:
        return ends_of(admin, topic, partitions, isolation, limit_s=REACH_TIMEOUT_S)
    except KafkaException as error:
        raise InfrastructureError(f"the ends of {topic}: {error.args[0].str()}") from error
