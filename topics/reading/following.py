"""Follows partitions of several topics with one consumer; each has its own start offset, and can be paused.

No group is joined. A position is after the records that were read, *and* after markers, aborted and compacted records,
which no consumer gets. For the latter, it is known only when the consumer reports the partition's end.
"""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from models.errors import ContractError, InfrastructureError
from topics.reading.reader import LASTING, UNREADABLE, record_of, word_of
from topics.records.record import Record

__all__ = ["Follower", "Place"]

Place = tuple[str, int]
"""Topic and partition."""

_POLL_RECORDS: Final = 2_000
_QUEUED_KIB: Final = 16_384
"""The greatest number of KiB fetched ahead, for all partitions together."""

_FETCH_WAIT_MS: Final = 50


class Follower:
    """Reads committed records.

    Args:
        config: for librdkafka.

    Attributes:
        positions: for each partition, the offset before which everything was read.
        trouble: the last error after which librdkafka retries; None: something was read since.
    """

    def __init__(self, config: Mapping[str, str | int]) -> None:
        settings: dict[str, Any] = {
            "receive.message.max.bytes": 2_147_483_647,
            **config,
            # librdkafka requires a group id. The group is never joined, and no offset is committed.
            "group.id": "consolidator-reader",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "queued.max.messages.kbytes": _QUEUED_KIB,
            "log_level": 2,
        }
        self._consumer = Consumer(settings)
        self.positions: dict[Place, int] = {}
        self.trouble: KafkaError | None = None
        self._held: set[Place] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def follow(self, starts: Mapping[Place, int]) -> None:
        """Read further partitions, each from an offset on."""
        self.leave(starts)
        self._consumer.incremental_assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        self.positions |= starts

    def leave(self, places: Iterable[Place]) -> None:
        """Stop reading partitions."""
        left = [place for place in places if place in self.positions]
        if not left:
            return
        self._consumer.incremental_unassign([TopicPartition(*place) for place in left])
        for place in left:
            del self.positions[place]
            self._held.discard(place)

    def hold(self, place: Place, *, held: bool) -> None:
        """Pause a partition, or resume it."""
        if held == (place in self._held):
            return
        (self._consumer.pause if held else self._consumer.resume)([TopicPartition(*place)])
        (self._held.add if held else self._held.discard)(place)

    def poll(self, timeout_s: float) -> list[Record]:
        """The records that have arrived, in the order of each partition; :attr:`positions` are set after them.

        Args:
            timeout_s: how long to wait for the first.

        Raises:
            AuthorizationError, ContractError: a topic, an offset or the permission to read is missing.
            InfrastructureError: the log cannot be read.
        """
        try:
            messages = self._consumer.consume(1, timeout=timeout_s)
            messages += self._consumer.consume(_POLL_RECORDS, timeout=0)
        except KafkaException as failure:
            raise InfrastructureError(f"Kafka cannot be read: {word_of(failure.args[0])}") from failure
        found = []
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                self._fail(message, error)
                continue
            self.trouble = None
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if topic is None or partition is None or offset is None:  # pragma: no cover - the type hints allow it
                continue
            place = (topic, partition)
            position = self.positions.get(place)
            if position is None:
                # The partition is no longer followed; this record was fetched before.
                continue
            if error is None:
                if offset < position:
                    continue
                found.append(record_of(message))
                offset += 1
            self.positions[place] = max(position, offset)
        return found

    def _fail(self, message: Message, error: KafkaError) -> None:
        place = f"{message.topic()} partition {message.partition()}"
        if error.code() in LASTING:
            raise ContractError(f"{place}: {word_of(error)}")
        if error.code() in UNREADABLE:
            raise InfrastructureError(f"{place} offset {message.offset()} cannot be read: {word_of(error)}")
        self.trouble = error
