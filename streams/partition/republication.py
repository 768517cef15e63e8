"""Republication: a record is published again, under its canonical key and in its canonical partition."""

from typing import Final

from models.errors import BadEventError, Defect
from streams.partition.batch import Outgoing, SourceRecord
from topics.contract.declared import Topic
from topics.records.dead_letter_format import content_bytes

__all__ = ["Republication"]

_BATCH_BYTES: Final = 1_024
"""Room for Kafka's framing of a record, which is under a hundred bytes."""


class Republication:
    """Publishes records of the source again.

    Args:
        source: the source topic.
    """

    def __init__(self, source: Topic) -> None:
        self._topic = source.name
        self._most_bytes = int(source.config["max.message.bytes"]) - _BATCH_BYTES

    def of(self, record: SourceRecord, key: bytes, partition: int) -> Outgoing:
        """The record to publish.

        Args:
            record: the record, as it came.
            key: its canonical key.
            partition: its canonical partition.

        Raises:
            BadEventError: uncompressed it may be too large for the source, although the source took it compressed.
        """
        size = content_bytes(key, record.value, record.headers)
        if size > self._most_bytes:
            raise BadEventError(
                Defect.TOO_LARGE,
                f"with its key and headers the record has {size} bytes: it is not under its canonical key and "
                f"partition, and cannot be published there, as the topic takes {self._most_bytes}",
            )
        # A list, because confluent-kafka refuses aiokafka's tuple.
        return Outgoing(self._topic, partition, key, record.value, list(record.headers))
