"""Producers of the simulated source topic: they write good, foreign and bad events, and aborted ones."""

from typing import Any

from consolidator.keys import event_key, partition_of
from tests.inputs.workloads import Item, to_json
from tests.oracle import folds
from tests.oracle.expected import Tombstone
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.log import PartitionLog
from tests.simulation.worker import PARTITIONS
from topics.records.record import Record

__all__ = ["SimulatedProducers"]


class SimulatedProducers:
    """Publishes to the source topic.

    Attributes:
        bad: the places of records that have to become dead letters.
        foreign: the places of records that have to be published again under their canonical keys.

    Args:
        kafka: the simulated Kafka.
        topic: the source topic's name.
    """

    def __init__(self, kafka: SimulatedKafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._published = 0
        self.bad: set[tuple[int, int]] = set()
        self.foreign: set[tuple[int, int]] = set()

    def log(self, partition: int) -> PartitionLog:
        """A partition of the source topic."""
        return self._kafka.log(self._topic, partition)

    def publish(self, item: Item) -> None:
        """An event or a tombstone, as a producer that keeps to the canonical key sends it."""
        record = folds.record_of(0, item)
        application = item.application_id if isinstance(item, Tombstone) else item["application_id"]
        self.log(partition_of(application, PARTITIONS)).append(record.key, record.value, ())

    def publish_foreign(self, event: dict[str, Any], *, canonical_key: bool, canonical_partition: bool) -> None:
        """An event under another key, in another partition, or both; no two have the same bytes."""
        self._published += 1
        home = partition_of(event["application_id"], PARTITIONS)
        partition = home if canonical_partition else 1 - home
        key = event_key(event["application_id"], event["event_id"]) if canonical_key else b"foreign"
        value = to_json({**event, "copy": self._published})
        offset = self.log(partition).append(key, value, (("trace", b"1"),))
        self.foreign.add((partition, offset))

    def publish_bad(self, partition: int, value: bytes | None) -> None:
        """Publish records that have to become dead letters; each has its own key."""
        self._published += 1
        key = f"bad {self._published}".encode()
        self.bad.add((partition, self.log(partition).append(key, value, ())))

    def publish_aborted(self, event: dict[str, Any]) -> None:
        """An event whose transaction was aborted: it leaves a gap of two offsets."""
        log = self.log(partition_of(event["application_id"], PARTITIONS))
        self._kafka.abort_stranger(log, event_key(event["application_id"], event["event_id"]), to_json(event))

    def copies(self, foreign: Record) -> int:
        """How often a foreign event was published again."""
        return sum(
            record.value == foreign.value and (partition, record.offset) not in self.foreign
            for partition in range(PARTITIONS)
            for record in self.log(partition).history()
        )
