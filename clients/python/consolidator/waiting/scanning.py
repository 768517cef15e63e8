"""Finds what a source record led to, in a partition whose records are in the order of their source records.

So are both topics: a worker publishes changes and dead letters of a source partition in the order of its offsets, into
the partition of the same number. A scan begins near the end, where a new record's result will be. If what it meets
there is of later source records already, the right place is found by halving.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consolidator.connecting.closing import close_consumer
from consolidator.connecting.read_errors import LASTING, UNREADABLE
from consolidator.connecting.reading_settings import READING_SETTINGS
from consolidator.errors import UnreadableRecordError
from consolidator.source_records import DEAD_LETTER_CLASS, parse_dlq_key

__all__ = ["Reading", "Scan", "headers_of", "source_of_change", "source_of_letter"]

SOME_OFFSETS: Final = 64
"""How far before the end a scan begins: enough for a record of an earlier one, between markers of transactions."""

_CLOSE_OFFSETS: Final = 512
"""Halving ends here: a fetch brings that many records at once."""

_POLL_RECORDS: Final = 1_000

_WAIT_MS: Final = 10
"""How long a broker keeps a fetch at a partition's end. It takes no request for another partition meanwhile."""

_RETRY_MS: Final = 20


class _Place(msgspec.Struct):
    offset: int


class _Caused(msgspec.Struct):
    cause: _Place


_CHANGE: Final = msgspec.json.Decoder(_Caused)


def source_of_change(message: Message) -> int | None:
    """The offset of the source record of a change; None: it is a tombstone.

    Raises:
        UnreadableRecordError: it is not what a worker publishes.
    """
    value = message.value()
    if value is None:
        return None
    try:
        return _CHANGE.decode(value).cause.offset
    except msgspec.DecodeError as error:
        place = f"{message.topic()} partition {message.partition()} offset {message.offset()}"
        raise UnreadableRecordError("is not what a worker publishes", detail=str(error), place=place) from None


def source_of_letter(message: Message) -> int | None:
    """The offset of the source record of a dead letter; None: it is a mark, or an erasure's tombstone."""
    key = message.key()
    place = None if key is None else parse_dlq_key(key)
    # The dead letter of a tombstone has no value either, but it has headers.
    return None if place is None or DEAD_LETTER_CLASS not in headers_of(message) else place[2]


def headers_of(message: Message) -> dict[str, bytes]:
    """The headers of a message, the last one of each name; without those that are null or cannot be read."""
    with suppress(SystemError, UnicodeDecodeError):
        # For a name that is no UTF-8, confluent-kafka returns a broken list, and raises now or at the next step.
        headers = message.headers() or []
        pairs = headers.items() if isinstance(headers, dict) else headers
        return {name: value.encode() if isinstance(value, str) else value for name, value in pairs if value is not None}
    return {}


@dataclass(slots=True)
class Scan:
    """Reads one partition for the results of one source record.

    Attributes:
        topic: the topic.
        partition: the partition.
        wanted: the offset of the source record.
        source_of: gives the offset of a message's source record.
        first: the partition's first offset.
        position: the next offset to be read.
        is_complete_before: whether no result of the record is before the scan's start.
        is_past: whether a result of a later source record was read, so that all of this one were.
        found: the results.
        has_earlier: whether a result of an earlier source record was read.
    """

    topic: str
    partition: int
    wanted: int
    source_of: Callable[[Message], int | None]
    first: int
    position: int
    is_complete_before: bool = False
    is_past: bool = False
    found: list[Message] = field(default_factory=list)
    has_earlier: bool = False
    _has_seen: bool = False

    def __post_init__(self) -> None:
        self.is_complete_before = self.is_complete_before or self.position <= self.first

    def take(self, message: Message) -> None:
        """Take the next message, or the report of the partition's end."""
        offset = message.offset()
        assert offset is not None  # noqa: S101 - the type hints allow it, consumed messages do not
        self.position = max(self.position, offset if message.error() is not None else offset + 1)
        if message.error() is not None or self.is_past:
            return
        source = self.source_of(message)
        if source is None:
            return
        if not self._has_seen:
            self._has_seen = True
            self.is_complete_before = self.is_complete_before or source < self.wanted
        self.has_earlier = self.has_earlier or source < self.wanted
        if source == self.wanted:
            self.found.append(message)
        self.is_past = source > self.wanted

    def has_read(self, end: int) -> bool:
        """Whether everything before an offset is read, as far as it can be a result."""
        return self.is_past or self.position >= end

    @property
    def place(self) -> TopicPartition:
        """Where to go on."""
        return TopicPartition(self.topic, self.partition, self.position)


class Reading:
    """A consumer that reads some partitions at a time, without a group.

    Args:
        config: for librdkafka.
        topics: the topics that will be read.
        failed: makes the error for a topic that cannot be read; called with librdkafka's error and the topic.
    """

    def __init__(
        self, config: Mapping[str, str | int], topics: Iterable[str], failed: Callable[[KafkaError, str], Exception]
    ) -> None:
        self._failed = failed
        watched: dict[str, Any] = {
            **config,
            # librdkafka wants one. It is never joined, and nothing is committed.
            "group.id": "consolidator-waiter",
            **READING_SETTINGS,
            "fetch.wait.max.ms": _WAIT_MS,
            "fetch.error.backoff.ms": _RETRY_MS,
        }
        self._consumer = Consumer(watched)
        # So that it asks for the leaders of all topics now. For a topic that is new to a consumer with connections, it
        # asks once a second.
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_END) for topic in topics])

    def close(self) -> None:
        """Leave the connections."""
        close_consumer(self._consumer)

    def assign(self, places: Iterable[TopicPartition]) -> None:
        """Read from these places on."""
        self._consumer.assign([*places])

    def rest(self) -> None:
        """Fetch nothing until the next assignment."""
        self._consumer.unassign()

    def poll(self, limit_s: float) -> list[Message]:
        """The messages, and reports of partitions' ends, that arrive within a time.

        Raises:
            ConsolidatorError: a topic or an offset cannot be read.
        """
        messages = self._consumer.consume(1, timeout=max(0.0, limit_s))
        if messages:
            messages += self._consumer.consume(_POLL_RECORDS, timeout=0)
        arrived = []
        for message in messages:
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                arrived.append(message)
            elif error.code() in LASTING or error.code() in UNREADABLE:
                # After others librdkafka goes on by itself, within the limit of the wait. One of them is that its group
                # is not permitted: it is never joined.
                raise self._failed(error, message.topic() or "") from KafkaException(error)
        return arrived

    def scan_start(self, scan: Scan, end: int, deadline: float) -> Scan:
        """A scan of the same partition that begins before every result of its source record.

        Halves the range until the first record at a place is of an earlier source record.

        Args:
            scan: a scan that began too late.
            end: nothing before this offset is open.
            deadline: when to give up; the scan then begins where it is known to be right.
        """
        low, high = scan.first, min(scan.position, end)
        while high - low > _CLOSE_OFFSETS and time.monotonic() < deadline:
            middle = (low + high) // 2
            source = self._first_source(scan, middle, end, deadline)
            if source is not None and source < scan.wanted:
                low = middle
            else:
                high = middle
        return Scan(
            scan.topic, scan.partition, scan.wanted, scan.source_of, scan.first, position=low, is_complete_before=True
        )

    def _first_source(self, scan: Scan, offset: int, end: int, deadline: float) -> int | None:
        """The source record of the first record from an offset on; None: there is none before the end."""
        self.assign([TopicPartition(scan.topic, scan.partition, offset)])
        position = offset
        while position < end and time.monotonic() < deadline:
            for message in self.poll(_POLL_S):
                if message.topic() != scan.topic:
                    continue
                position = (message.offset() or 0) + (message.error() is None)
                source = scan.source_of(message) if message.error() is None else None
                if source is not None:
                    return source
        return None


_POLL_S: Final = 0.05
