"""Fetches records of one topic with a consumer that reads what is committed, and keeps count of positions."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consolidator.connecting.closing import close_consumer
from consolidator.connecting.permissions import not_permitted
from consolidator.connecting.read_errors import LASTING, UNREADABLE, word_of
from consolidator.connecting.reading_settings import READING_SETTINGS
from consolidator.errors import InfrastructureError

__all__ = ["Fetcher", "LostPlaceError"]

_BATCH_RECORDS: Final = 2_000
"""Records that are taken over together: enough that what a batch costs does not count."""

_QUEUED_KIB: Final = 16_384
"""KiB that are fetched ahead, of all partitions together. With one answer of a broker, this bounds the memory."""

_QUEUE_BACKOFF_MS: Final = 10
"""After which a full queue is looked at again. With librdkafka's default, a second, a quick caller waits most of the
time for records: it empties the queue in a tenth of that."""

_FETCH_BYTES: Final = 16 * 1024 * 1024
"""One answer of a broker; a larger batch comes alone."""

_FETCH_WAIT_MS: Final = 100
"""At a partition's end, a broker waits for this long before it answers. Meanwhile it takes no request for another
partition from the same client."""

_UNKNOWN_TOPIC_ID: Final = 100
"""Kafka's UNKNOWN_TOPIC_ID, for which confluent-kafka has no name."""

_OTHER_TOPIC: Final = frozenset({_UNKNOWN_TOPIC_ID, KafkaError.INCONSISTENT_TOPIC_ID})
"""The topic of that name is another one now."""

_SESSION_MS: Final = 10_000
"""Without a heartbeat for this long a member's partitions are given to others: as long as the worker's by default."""

_EOF: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's name


class LostPlaceError(Exception):
    """A topic or an offset is not there any more: something happened to the topic."""


class Fetcher:
    """A consumer of one topic, with partitions that are given to it or that its group gives to it.

    Args:
        config: for librdkafka.
        topic: the topic's name.
        group: its group's id; None: no group is joined.

    Attributes:
        consumer: the consumer.
        positions: for each partition that is read, the offset before which everything was handed over.
        ends: the offsets of the ends that the last :meth:`poll` has met, by partition.
        trouble: the last error after which librdkafka tries again; None: something was read since.
    """

    def __init__(self, config: Mapping[str, str | int], topic: str, *, group: str | None = None) -> None:
        settings: dict[str, Any] = {
            # librdkafka unpacks a whole batch into one buffer. It uses that much memory only for a batch that needs it.
            "receive.message.max.bytes": 2_147_483_647,
            "fetch.max.bytes": _FETCH_BYTES,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "queued.max.messages.kbytes": _QUEUED_KIB,
            "fetch.queue.backoff.ms": _QUEUE_BACKOFF_MS,
            **config,
            # librdkafka requires a group id, even where the group is never joined.
            "group.id": group or "consolidator-subscriber",
            **READING_SETTINGS,
            "session.timeout.ms": _SESSION_MS,
            # Only what moves is taken away from a member.
            "partition.assignment.strategy": "cooperative-sticky",
            "log_level": 2,
        }
        self.topic = topic
        self._group = group
        self.consumer = Consumer(settings)
        self.positions: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.trouble: KafkaError | None = None

    def close(self) -> None:
        """Close the consumer; a member leaves its group."""
        close_consumer(self.consumer)

    def add(self, starts: Mapping[int, int]) -> None:
        """Read further partitions, each from an offset on."""
        self.consumer.incremental_assign(
            [TopicPartition(self.topic, partition, offset) for partition, offset in starts.items()]
        )
        self.positions |= starts

    def remove(self, partitions: Iterable[int]) -> None:
        """Stop reading partitions; those that are not read are left out."""
        left = [partition for partition in partitions if partition in self.positions]
        self.consumer.incremental_unassign([TopicPartition(self.topic, partition) for partition in left])
        for partition in left:
            del self.positions[partition]

    def poll(self, timeout_s: float) -> list[Message]:
        """The records that have arrived, in the order of each partition.

        The caller deals with them, and then calls :meth:`advance`.

        Args:
            timeout_s: how long to wait for the first one.

        Raises:
            LostPlaceError: a topic or an offset is not there.
            AuthorizationError: the cluster does not permit to use the group.
            InfrastructureError: the log cannot be read.
        """
        try:
            messages = self.consumer.consume(1, timeout=timeout_s)
            messages += self.consumer.consume(_BATCH_RECORDS - 1, timeout=0)
        except KafkaException as failure:
            raise InfrastructureError(f"{self.topic} cannot be read: {word_of(failure.args[0])}") from failure
        self.ends = {}
        if not any(message.error() is not None for message in messages):
            if messages:
                self.trouble = None
            return messages
        return [message for message in messages if self._is_record(message)]

    def advance(self, last: Mapping[int, int]) -> set[int]:
        """Move the positions over the records of the last :meth:`poll`, and over what no consumer gets.

        Markers, aborted and compacted records take up offsets: behind them a position is known only from the report of
        an end.

        Args:
            last: the offset of the last record of each partition that had one.

        Returns:
            The partitions whose end, as it is now, is reached.
        """
        for partition, offset in last.items():
            if partition in self.positions:
                self.positions[partition] = offset + 1
        reached = set()
        for partition, end in self.ends.items():
            if partition in self.positions and end >= self.positions[partition]:
                self.positions[partition] = end
                reached.add(partition)
        return reached

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            self.trouble = None
            return True
        partition, offset = message.partition(), message.offset()
        code = error.code()
        if code == _EOF:
            self.trouble = None
            if partition is not None and offset is not None:
                self.ends[partition] = offset
        elif code in UNREADABLE:
            raise InfrastructureError(
                f"{self.topic} partition {partition} offset {offset} cannot be read: {word_of(error)}"
            )
        elif code == KafkaError.GROUP_AUTHORIZATION_FAILED and self._group is not None:
            raise not_permitted(f"Read on group {self._group} (shares the partitions)")
        elif code in LASTING or code in _OTHER_TOPIC:
            raise LostPlaceError(f"{self.topic} partition {partition}: {word_of(error)}")
        else:
            self.trouble = error
        return False
