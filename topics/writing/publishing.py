"""Publishing lifecycle events as a well-behaved producer does: canonical key and partition, CloudEvents headers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

from confluent_kafka import KafkaError, Message, Producer

from consolidator.keys import event_key, partition_of
from models.errors import InfrastructureError
from models.events import LifecycleEvent
from topics.records.cloudevents import EXECUTION_TYPE_PREFIX, cloudevent_headers

__all__ = ["publish_events", "record_bytes"]

_PATIENCE_S = 60.0
"""Kafka counts as unreachable after this many seconds without a single acknowledgement."""

_POLL_S = 0.1

_IN_FLIGHT = 50_000
"""Unacknowledged events at most: half of librdkafka's queue."""

_QUEUED_KIB = 64 * 1024
"""The size of the client's queue in memory."""

_MESSAGE_BYTES = 16 * 1024 * 1024
"""The client's own limit, far above every event's size: the topic's limit is checked before anything is sent."""

_FRAMING_BYTES = 128
"""The greatest size of a batch's header, and of a record's lengths and numbers."""

_HEADER_FRAMING_BYTES = 10

_SOURCE = b"/consolidator/publish"


def publish_events(
    events: Iterable[tuple[LifecycleEvent, bytes]],
    topic: str,
    partitions: int,
    client: Mapping[str, str | int],
    *,
    on_acknowledged: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish events and wait for every acknowledgement.

    Args:
        events: each event with the bytes to publish.
        topic: the ``executions`` topic.
        partitions: its partition count.
        client: the client's configuration, see :class:`consolidator.connecting.connection.Connection`.
        on_acknowledged: called with how many are acknowledged so far.

    Returns:
        How many were acknowledged: all of them.

    Raises:
        InfrastructureError: Kafka refused one or does not answer; the message says how many were acknowledged before.
    """
    deliveries = _Deliveries(client, on_acknowledged)
    for event, raw in events:
        partition = partition_of(event.application_id, partitions)
        deliveries.produce(topic, raw, event_key(event.application_id, event.event_id), partition, _headers(event))
    deliveries.wait(0)
    return deliveries.acknowledged


def record_bytes(event: LifecycleEvent, raw: bytes) -> int:
    """An upper bound of the size of an event's record, uncompressed: the ids are in it several times."""
    key = event_key(event.application_id, event.event_id)
    headers = sum(len(name) + len(value) + _HEADER_FRAMING_BYTES for name, value in _headers(event))
    return len(raw) + len(key) + headers + _FRAMING_BYTES


def _headers(event: LifecycleEvent) -> Sequence[tuple[str, bytes]]:
    return cloudevent_headers(
        event.event_id.encode(),
        f"{EXECUTION_TYPE_PREFIX}{event.status.text}".encode(),
        _SOURCE,
        event.application_id.encode(),
    )


class _Deliveries:
    """A producer that counts its acknowledgements, and waits if too many are missing."""

    def __init__(self, client: Mapping[str, str | int], on_acknowledged: Callable[[int], None]) -> None:
        # log_level 2: librdkafka retries if a coordinator is still loading, so a person need not see that.
        self._producer = Producer(
            {
                **client,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "message.max.bytes": _MESSAGE_BYTES,
                "queue.buffering.max.kbytes": _QUEUED_KIB,
                "log_level": 2,
            }
        )
        self._on_acknowledged = on_acknowledged
        self._sent = 0
        self._refusal: KafkaError | None = None
        self.acknowledged = 0

    def produce(
        self, topic: str, value: bytes, key: bytes, partition: int, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Send one record, as soon as there is room for it."""
        if self._sent - self.acknowledged >= _IN_FLIGHT:
            self.wait(_IN_FLIGHT // 2)
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._delivered, headers=[*headers])
                break
            except BufferError:
                # The queue is full; one acknowledgement makes room in it.
                self.wait(self._sent - self.acknowledged - 1)
        self._sent += 1
        self._producer.poll(0)

    def wait(self, missing: int) -> None:
        """Wait until at most a given number of acknowledgements is missing.

        Raises:
            InfrastructureError: Kafka refused a record, or acknowledges nothing any more.
        """
        before, since = self.acknowledged, monotonic()
        while self._refusal is not None or self._sent - self.acknowledged > missing:
            if self._refusal is not None:
                raise InfrastructureError(
                    f"Kafka refused an event: {self._refusal.str()}; {self.acknowledged} were acknowledged"
                )
            self._producer.poll(_POLL_S)
            if self.acknowledged != before:
                before, since = self.acknowledged, monotonic()
                self._on_acknowledged(self.acknowledged)
            elif monotonic() - since > _PATIENCE_S:
                raise InfrastructureError(
                    f"no acknowledgement from Kafka for {_PATIENCE_S:.0f} s; "
                    f"{self.acknowledged} events were acknowledged"
                )

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        elif self._refusal is None:
            self._refusal = error
