"""When records were published, whether or not their transactions are open."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from consolidator.connecting.closing import close_consumer

__all__ = ["published_at"]

_LOOK_S: Final = 3.0
"""How long the records are waited for."""

_POLL_S: Final = 0.1


def published_at(config: Mapping[str, str | int], topic: str, offsets: Mapping[int, int]) -> dict[int, datetime]:
    """The times of the records at some offsets, by partition, by the broker's clock; without those that do not arrive.

    Args:
        config: for librdkafka.
        topic: the topic.
        offsets: by partition.
    """
    if not offsets:
        return {}
    consumer = Consumer(
        {
            **config,
            # librdkafka wants one. It is never joined.
            "group.id": "consolidator-subscriber",
            "isolation.level": "read_uncommitted",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "allow.auto.create.topics": False,
            "log_level": 2,
        }
    )
    found: dict[int, datetime] = {}
    try:
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in offsets.items()])
        deadline = time.monotonic() + _LOOK_S
        while len(found) < len(offsets) and time.monotonic() < deadline:
            for message in consumer.consume(1, timeout=_POLL_S):
                partition = message.partition()
                if partition is not None and message.error() is None and message.offset() == offsets.get(partition):
                    found[partition] = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    finally:
        close_consumer(consumer)
    return found
