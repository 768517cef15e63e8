"""Last stable offsets that an open transaction holds back: what is behind them no reader gets."""

from collections.abc import Iterable
from dataclasses import dataclass
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
    found = []
    for topic in topics:
        try:
            # The stable offsets are asked for first: what ends in between then is behind them, and not in front.
            stable = ends_of(admin, topic, range(partitions), IsolationLevel.READ_COMMITTED, limit_s=REACH_TIMEOUT_S)
            ends = ends_of(admin, topic, range(partitions), IsolationLevel.READ_UNCOMMITTED, limit_s=REACH_TIMEOUT_S)
            # Records that came in between are no open transaction.
            again = ends_of(admin, topic, range(partitions), IsolationLevel.READ_COMMITTED, limit_s=REACH_TIMEOUT_S)
        except KafkaException as error:
            raise InfrastructureError(f"the ends of {topic}: {error.args[0].str()}") from error
        found += [
            (topic, partition, offset, ends[partition] - offset)
            for partition, offset in stable.items()
            if offset < ends[partition] and again[partition] == offset
        ]
    return tuple(
        Pin(*pinned, written_at_ms(admin, *pinned[:3], now_ms) if number < MOST_AGED else None)
        for number, pinned in enumerate(found)
    )
