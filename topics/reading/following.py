"""Follows partitions of several topics with one consumer; each has its own start offset, and can be paused.

No group is joined. A position is after the records that were read, *and* after markers, aborted and compacted records,
which no consumer gets. For the latter, it is known only when the consumer reports the partition's end.

A partition that stands still is compared with Kafka. If Kafka has more of it, the consumer is opened anew: see
:mod:`consolidator.connecting.standstill`.
"""

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from consolidator.connecting.ends import ends_of
from consolidator.connecting.offsets import ASK_S
from consolidator.connecting.read_errors import LASTING, UNREADABLE, word_of
from consolidator.connecting.reading_settings import READING_SETTINGS
from consolidator.connecting.standstill import Standstill
from models.errors import ContractError, InfrastructureError
from topics.cluster.closing import close_consumer
from topics.reading.reader import record_of
from topics.records.record import Record

__all__ = ["Follower", "Place"]

Place = tuple[str, int]
"""Topic and partition."""

_POLL_RECORDS: Final = 2_000
_QUEUED_KIB: Final = 16_384
"""The greatest number of KiB fetched ahead, for all partitions together."""

_QUEUE_BACKOFF_MS: Final = 10
"""After this time a full queue is looked at again. With librdkafka's default, a second, a quick caller waits most of
the time for records: it empties the queue in a tenth of that."""

_FETCH_WAIT_MS: Final = 50

_LOOK_S: Final = 10.0
"""So often partitions that stand still are looked at. Of one from which records can be fetched, some arrive sooner."""

_LONGEST_LOOK_S: Final = 640.0
"""A record that takes longer than two looks to be fetched arrives none the less: each time in vain doubles the time."""

_log = structlog.get_logger()


class Follower:
    """Reads committed records.

    Args:
        config: for librdkafka.
        look_s: how often partitions that stand still are looked at, in seconds.

    Attributes:
        positions: for each partition, the offset before which everything was read.
        trouble: the last error after which librdkafka retries; None: something was read since.
    """

    def __init__(self, config: Mapping[str, str | int], *, look_s: float = _LOOK_S) -> None:
        self._settings: dict[str, Any] = {
            "receive.message.max.bytes": 2_147_483_647,
            **config,
            # librdkafka requires a group id. The group is never joined, and no offset is committed.
            "group.id": "consolidator-reader",
            **READING_SETTINGS,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "queued.max.messages.kbytes": _QUEUED_KIB,
            "fetch.queue.backoff.ms": _QUEUE_BACKOFF_MS,
        }
        self._consumer = self._opened()
        self._admin = AdminClient({**config, "log_level": 2})
        self.positions: dict[Place, int] = {}
        self.trouble: KafkaError | None = None
        self._held: set[Place] = set()
        self._least_look_s = self._look_s = look_s
        self._looked = time.monotonic()
        self._seen: dict[Place, int] = {}
        self._standstill: Standstill[Place] = Standstill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_consumer(self._consumer, "following")

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
        if time.monotonic() - self._looked >= self._look_s:
            self._look()
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

    def _opened(self) -> Consumer:
        return Consumer({**self._settings, "log_level": 2})

    def _look(self) -> None:
        """Open the consumer anew if it does not fetch what there is, at two looks with nothing read in between."""
        self._looked = time.monotonic()
        resting = {
            place: position
            for place, position in self.positions.items()
            if place not in self._held and self._seen.get(place) == position
        }
        self._seen = dict(self.positions)
        stuck = self._standstill.look(self._behind_of(resting), self._look_s)
        if not stuck:
            if not self._standstill.is_suspected:
                self._look_s = self._least_look_s
            return
        topic, partition = min(stuck)
        _log.warning(
            "a consumer does not fetch what there is: it is opened anew",
            topic=topic,
            partition=partition,
            offset=self.positions[topic, partition],
            partitions=len(stuck),
        )
        self._look_s = min(2 * self._look_s, _LONGEST_LOOK_S)
        self._open_anew()

    def _behind_of(self, resting: Mapping[Place, int]) -> dict[Place, int]:
        """Those of these positions behind which Kafka has records, or markers, that can be read; none if it is away."""
        behind: dict[Place, int] = {}
        for topic in {topic for topic, _ in resting}:
            partitions = sorted(partition for name, partition in resting if name == topic)
            try:
                # Up to the last stable offset: what follows may belong to an open transaction.
                ends = ends_of(self._admin, topic, partitions, IsolationLevel.READ_COMMITTED, limit_s=ASK_S)
            except KafkaException:
                return {}
            behind |= {(topic, one): resting[topic, one] for one, end in ends.items() if end > resting[topic, one]}
        return behind

    def _open_anew(self) -> None:
        """A new consumer goes on at every position; what the old one had fetched ahead is fetched again."""
        # A partition that it does not fetch may keep it from closing.
        close_consumer(self._consumer, "following")
        self._consumer = self._opened()
        self._seen = {}
        self._standstill.forget()
        places = [TopicPartition(*place, position) for place, position in self.positions.items()]
        self._consumer.incremental_assign(places)
        if self._held:
            self._consumer.pause([TopicPartition(*place) for place in self._held])

    def _fail(self, message: Message, error: KafkaError) -> None:
        place = f"{message.topic()} partition {message.partition()}"
        if error.code() in LASTING:
            raise ContractError(f"{place}: {word_of(error)}")
        if error.code() in UNREADABLE:
            raise InfrastructureError(f"{place} offset {message.offset()} cannot be read: {word_of(error)}")
        self.trouble = error
