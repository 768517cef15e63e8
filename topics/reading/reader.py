"""Read a topic without a consumer group: no offsets are committed, and aborted records are not read."""

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consolidator.connecting.addresses import servers_text
from consolidator.connecting.closing import close_consumer
from consolidator.connecting.edges import edges_of
from consolidator.connecting.offsets import ASK_S, ask_for_offsets, offset_at_time
from consolidator.connecting.read_errors import LASTING, UNREADABLE, word_of
from consolidator.connecting.reading_settings import READING_SETTINGS
from consolidator.keys import partition_of
from models.errors import ContractError, InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S, Cluster
from topics.cluster.authorization import require_permissions
from topics.contract.permissions import Permission, Resource
from topics.reading.positions import AtOffset, AtTime, Beginning, End, Span, Start
from topics.reading.read_ahead import Arrival, PartitionAfterPartition
from topics.records.record import Record

_POLL_S: Final = 0.2
_POLL_RECORDS: Final = 500
_MOST_UNPACKED_BYTES: Final = 2_147_483_647
"""The greatest value that librdkafka accepts. It uses that much memory only for a batch that needs it."""
_READ_WAIT_MS: Final = 10
_FOLLOW_WAIT_MS: Final = 500
# The time limit without any event: up to the end of a topic, records or reports of a partition's end arrive all the
# time.
_STALL_TIMEOUT_S: Final = 30.0


class TopicReader:
    """A consumer without a group, placed on a topic's partitions.

    ``end`` of a partition is its last stable offset: the records of open transactions come after it. Positions show
    whether an end is reached; counting records would not: transaction markers, aborted and compacted records take up
    offsets, and no consumer gets them.

    Args:
        config: for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        topic: the topic's full name.
        start: where to begin.
        application_id: read only the partition in which everything about this application is.
        settled: partitions that are read up to their high watermark: transactions that are open there are waited for.
        follows: whether :meth:`follow` will be used: a broker without new records is then asked less often.
        timeout_s: seconds after which an unreachable cluster is an error.

    Attributes:
        topic: the topic's full name.
        partitions: how many the topic has.
        spans: the readable range of each partition.

    Raises:
        ContractError: when the topic does not exist, or the requested offset does not.
        AuthorizationError: when we may not read it.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        topic: str,
        start: Start,
        *,
        application_id: str | None = None,
        settled: Container[int] = (),
        follows: bool = False,
        timeout_s: float = REACH_TIMEOUT_S,
    ) -> None:
        self.topic = topic
        self._servers = servers_text(config)
        self._application_id = application_id
        self._settled = settled
        self._timeout_s = timeout_s
        self._ask_s = min(ASK_S, timeout_s)
        # One client for all requests, because each client has to connect, and to learn the leaders, before it can ask
        # for offsets.
        cluster = Cluster(config, timeout_s=timeout_s)
        wanted = [Permission("Read", Resource.TOPIC, topic, "reads it")]
        require_permissions(wanted, config, timeout_s=timeout_s, cluster=cluster)
        metadata = cluster.metadata().get(topic)
        if metadata is None:
            raise ContractError(f"there is no topic {topic} at {self._servers}: run `consolidator topics apply`")
        self._watched: dict[str, Any] = {
            # librdkafka decompresses a whole batch into a buffer that triples in size. With the default limit of 100
            # MB, a batch of more than 44 MB cannot be read, although its 220 events of 200 KB may take less than a
            # megabyte compressed.
            "receive.message.max.bytes": _MOST_UNPACKED_BYTES,
            **config,
            # librdkafka requires a group id. The group is never joined, and no offset is committed.
            "group.id": "consolidator-reader",
            **READING_SETTINGS,
            # At a partition's end, a broker waits for this long before it answers. Meanwhile it takes no request for
            # another partition from the same client, so the default, half a second, would add up over partitions.
            "fetch.wait.max.ms": _FOLLOW_WAIT_MS if follows else _READ_WAIT_MS,
        }
        self.partitions = len(metadata.partitions)
        self._admin = cluster.admin
        self._last_trouble: KafkaError | None = None
        try:
            self.spans: Mapping[int, Span] = self._spans(start, self.partitions)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        consumer: Consumer | None = self.__dict__.pop("_consumer", None)
        if consumer is not None:
            close_consumer(consumer, "reading")

    @cached_property
    def _consumer(self) -> Consumer:
        """The consumer, made when records have to be fetched.

        A consumer that exists before partitions are assigned to it looks for their leaders only once a second.
        """
        return Consumer({**self._watched, "log_level": 2})

    def follow(self, starts: Mapping[int, Span] | None = None) -> Iterator[Record]:
        """Every committed record from the start on, for ever: each partition in its order.

        Args:
            starts: other start positions, by partition; the ends of these spans are ignored.

        Raises:
            ContractError: when an offset is no longer there (the topic was re-created, or emptied meanwhile).
        """
        self._assign(self.spans if starts is None else starts)
        while True:
            for message in self._poll(_POLL_S):
                if message.error() is None:
                    yield record_of(message)

    def until_end(self, spans: Mapping[int, Span] | None = None) -> Iterator[Record]:
        """Every committed record from the start to the end, as of the time when this reader was made.

        Args:
            spans: other ranges, by partition; their ends are not beyond those of :attr:`spans`.

        Raises:
            ContractError: when an offset is no longer there (the topic was re-created, or emptied meanwhile).
            InfrastructureError: when no more records arrive before the end.
        """
        for _, record in self._arrivals(self.spans if spans is None else spans):
            if record is not None:
                yield record

    def by_partition(self, spans: Mapping[int, Span] | None = None) -> Iterator[tuple[int, Iterator[Record]]]:
        """Like :meth:`until_end`, but by partition. A partition's records have to be read before the next one is taken.

        All partitions are fetched together, so that many small ones take no longer than one.

        Args:
            spans: as for :meth:`until_end`.
        """
        return iter(PartitionAfterPartition(self.spans if spans is None else spans, self._arrivals))

    def _arrivals(self, spans: Mapping[int, Span]) -> Iterator[Arrival]:
        """Every record as it arrives, and for each partition one report that its end is reached."""
        remaining = {partition: span.end for partition, span in spans.items() if span.start < span.end}
        self._assign({partition: spans[partition] for partition in remaining})
        last_arrival = time.monotonic()
        while remaining:
            messages = self._poll(_POLL_S)
            if messages:
                last_arrival = time.monotonic()
                self._last_trouble = None
            elif time.monotonic() - last_arrival > _STALL_TIMEOUT_S:
                trouble = "" if self._last_trouble is None else f"; the last error was {word_of(self._last_trouble)}"
                raise InfrastructureError(
                    f"{self.topic}: nothing arrived from {self._servers} for {_STALL_TIMEOUT_S:.0f} s, before the end "
                    f"of partition {', '.join(map(str, sorted(remaining)))}{trouble}"
                )
            for message in messages:
                partition, offset = _place(message)
                end = remaining.get(partition)
                if end is None:
                    continue
                if message.error() is None and offset < end:
                    yield partition, record_of(message)
                    offset += 1
                # The position after a record is the next offset; a report of the end has the position itself.
                if offset >= end:
                    del remaining[partition]
                    yield partition, None

    def first(self, partition: int) -> int:
        """The first offset of a partition that is read."""
        return self.spans[partition].start

    def offsets_at(self, milliseconds: int) -> dict[int, int]:
        """For every partition, the offset of the first record with a timestamp at or after a time; else the end.

        Args:
            milliseconds: since the epoch, not negative.

        Raises:
            InfrastructureError: when the cluster does not answer in time.
        """
        try:
            found = self._offsets_at(AtTime(milliseconds), [*self.spans])
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        return {part: min(found.get(part, span.end), span.end) for part, span in self.spans.items()}

    def _spans(self, start: Start, partitions: int) -> dict[int, Span]:
        wanted = [start.partition] if isinstance(start, AtOffset) else list(range(partitions))
        if self._application_id is not None:
            wanted = [partition for partition in wanted if partition == partition_of(self._application_id, partitions)]
        if isinstance(start, AtOffset) and start.partition >= partitions:
            raise ContractError(
                f"{self.topic} has no partition {start.partition}: its partitions are 0 to {partitions - 1}"
            )
        try:
            edges = edges_of(self._admin, self.topic, wanted, settled=self._settled_of(wanted), limit_s=self._timeout_s)
            times = self._offsets_at(start, wanted) if isinstance(start, AtTime) else {}
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        return {part: Span(self._first(start, part, edge, times), edge[1]) for part, edge in edges.items()}

    def _first(self, start: Start, partition: int, edges: tuple[int, int], times: Mapping[int, int]) -> int:
        low, high = edges
        match start:
            case Beginning():
                return low
            case End():
                return high
            case AtTime():
                return min(times.get(partition, high), high)
            case AtOffset(offset=offset):
                if low <= offset <= high:
                    return offset
                raise ContractError(
                    f"{self.topic} has no offset {offset} in partition {partition}: the first is {low}, "
                    f"the next to come is {high}"
                )

    def _settled_of(self, partitions: Sequence[int]) -> list[int]:
        return [partition for partition in partitions if partition in self._settled]

    def _offsets_at(self, start: AtTime, partitions: list[int]) -> dict[int, int]:
        """The offsets of the first records at or after a time; a partition without one is left out."""
        question = [TopicPartition(self.topic, partition, start.milliseconds) for partition in partitions]

        def ask() -> dict[int, int | None]:
            answer = self._consumer.offsets_for_times(question, timeout=self._ask_s)
            return {place.partition: offset_at_time(place) for place in answer}

        found = ask_for_offsets(ask, limit_s=self._timeout_s)
        return {partition: offset for partition, offset in found.items() if offset is not None}

    def _assign(self, spans: Mapping[int, Span]) -> None:
        self._consumer.assign([TopicPartition(self.topic, part, span.start) for part, span in spans.items()])

    def _poll(self, timeout_s: float) -> list[Message]:
        """All arrived records and reports of partitions' ends. Errors after which librdkafka retries are left out."""
        messages = self._consumer.consume(1, timeout=timeout_s)
        messages += self._consumer.consume(_POLL_RECORDS, timeout=0)
        told = []
        for message in messages:
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                told.append(message)
            elif error.code() in UNREADABLE:
                place = f"partition {message.partition()} offset {message.offset()}"
                raise InfrastructureError(f"{self.topic} {place} cannot be read: {word_of(error)}")
            elif error.code() in LASTING:
                raise self._failure(error)
            else:
                self._last_trouble = error
        return told

    def _failure(self, error: KafkaError) -> ContractError | InfrastructureError:
        reason = f"{self.topic} at {self._servers}: {word_of(error)}"
        return ContractError(reason) if error.code() in LASTING else InfrastructureError(reason)


def _place(message: Message) -> tuple[int, int]:
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:  # pragma: no cover - the type hints allow it, consumed messages do not
        raise InfrastructureError("librdkafka delivered a message without a place")
    return partition, offset


def record_of(message: Message) -> Record:
    """A message without an error, as a record."""
    partition, offset = _place(message)
    return Record(
        topic=message.topic() or "",
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    try:
        headers = message.headers() or []
        pairs = headers.items() if isinstance(headers, dict) else headers
        return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)
    except (SystemError, UnicodeDecodeError):
        # A header's name is no UTF-8: confluent-kafka returns a broken list, and raises now or at the next step.
        return ()
