"""Publishes single events, each with its place."""

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from consolidator.connecting.offsets import delivered_offset
from models.errors import InfrastructureError

__all__ = ["Publisher"]

_POLL_S: Final = 0.1


class Publisher:
    """A producer whose records are waited for.

    Args:
        config: for librdkafka.
        topic: the topic's name.
        limit_s: after so many seconds without an acknowledgement a record counts as lost.
    """

    def __init__(self, config: Mapping[str, str | int], topic: str, limit_s: float) -> None:
        self._topic = topic
        self._limit_s = limit_s
        milliseconds = max(1, round(limit_s * 1_000))
        self._producer = Producer(
            {**config, "enable.idempotence": True, "linger.ms": 0, "delivery.timeout.ms": milliseconds, "log_level": 2}
        )

    def publish(self, key: bytes, value: bytes, partition: int) -> int:
        """Publish a record; return its offset.

        Raises:
            InfrastructureError: Kafka refuses it, or does not acknowledge it in time: it may be written all the same.
        """
        delivered: list[tuple[KafkaError | None, int | None]] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            delivered.append((error, None if error is not None else delivered_offset(message)))

        self._producer.produce(self._topic, value, key, partition, on_delivery=on_delivery)
        # librdkafka ends the delivery by itself; it may be late by its own timers.
        deadline = time.monotonic() + 2 * self._limit_s
        while not delivered and time.monotonic() < deadline:
            self._producer.poll(_POLL_S)
        error, offset = delivered[0] if delivered else (None, None)
        if offset is None:
            reason = "no acknowledgement" if error is None else error.str()
            raise InfrastructureError(f"{self._topic} partition {partition}: the event was not published: {reason}")
        return offset
