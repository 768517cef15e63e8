"""One partition's Kafka transactions: outputs, state and source offset take effect together or not at all."""

import logging
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, sleep
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from models.errors import ConsolidatorError, InfrastructureError
from streams.partition.batch import Batch, Membership, Outgoing
from streams.partition.result import StoredRow
from streams.runtime.failpoints import reach
from streams.worker.transactions.errors import OWNER_CHANGED, refusal, undelivered
from topics.cluster.connection import Connection
from topics.cluster.producer_errors import CLIENT_ERRORS, cause_of

__all__ = ["PartitionTransactions", "group_metadata"]

_RETRY_S = 0.1
"""Between two calls of a step that may be called again; most of them wait by themselves."""

_MAX_IDLE_MS = 5_000
"""librdkafka looks for a group coordinator that has moved only when one of its connections comes or goes. After the
coordinator's broker died none does, and ``send_offsets_to_transaction`` waits, whatever its time limit, until that very
broker is back. Closing idle connections wakes it (``test_coordinators_are_killed``)."""

_LINGER_MS = 0
"""A batch's records are produced in one go; a small one's are on their way while its offsets are sent. With 5 ms they
waited for the flush, and a transaction at 1,000 events/s took 8 ms instead of 5.5."""

_RETRY_BACKOFF_MS = 5
"""The broker refuses a partition's next transaction while the last one's markers are being written: some milliseconds.
librdkafka's default, 100, is what nearly every event then waited. It doubles up to a second with each retry."""

_METADATA_HEADER = b"CGMDv2:"

_Result = TypeVar("_Result")


def group_metadata(membership: Membership) -> bytes:
    """The consumer group's metadata as librdkafka serialises it (``rd_kafka_consumer_group_metadata_write``).

    Our member is aiokafka's, so librdkafka has no consumer to ask. With the generation and the member that received
    the batch, the broker refuses the offsets of a worker that has lost its partitions since.
    """
    instance = membership.instance
    return b"".join(
        (
            _METADATA_HEADER,
            struct.pack("=i", membership.generation),
            membership.group.encode() + b"\0",
            membership.member.encode() + b"\0",
            b"\x01" if instance is None else b"\x00" + instance.encode() + b"\0",
        )
    )


class PartitionTransactions:
    """The transactional producer of one source partition.

    Its ``transactional.id`` is ``<app id>-<partition>``: initialising it fences whoever owned the partition before.
    Every call blocks; the worker calls them from a thread.

    Args:
        connection: how to reach Kafka.
        app_id: the transactional id's prefix.
        partition: the source partition.
        patience_s: seconds that a step waits for brokers that are down or change. It is the transaction's timeout as
            well: after it the broker aborts what a dead owner left open, unless a new owner's fence did so before.

    Raises:
        AuthorizationError: from every method, when the cluster does not permit a step.
        InfrastructureError: from every method, when Kafka refuses or does not answer. There is no way on: the caller
            stops the process, and whoever owns the partition next goes on from the last committed transaction.
    """

    def __init__(self, connection: Connection, app_id: str, partition: int, *, patience_s: float) -> None:
        self._partition = partition
        self._patience_s = patience_s
        self._app_id = app_id
        self._producer = Producer(
            {
                **connection.librdkafka(),
                "transactional.id": f"{app_id}-{partition}",
                "transaction.timeout.ms": round(patience_s * 1000),
                "connections.max.idle.ms": _MAX_IDLE_MS,
                "compression.type": "lz4",
                "linger.ms": _LINGER_MS,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 0,
                "queue.buffering.max.kbytes": 1_048_576,
                # The topics bound compressed batches, librdkafka uncompressed messages: a dead letter that came in
                # compressed must go out again.
                "retry.backoff.ms": _RETRY_BACKOFF_MS,
                "message.max.bytes": 256 * 1024 * 1024,
            },
            logger=logging.getLogger("librdkafka"),
        )
        self._changelog_offsets: dict[int, int] = {}

    _owner_changed: KafkaError | None = None
    """That another worker has the partition is for good, and a call that ends the producer cannot say so any more."""

    def fence(self) -> None:
        """Shut out every earlier owner, and finish or abort its open transaction."""
        self._patiently("init_transactions", lambda: self._producer.init_transactions(self._patience_s))

    def begin(self) -> None:
        """Begin a transaction."""
        self._guarded("begin_transaction", self._producer.begin_transaction)

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        """Add records to the transaction."""
        produce = self._producer.produce
        for record in outgoing:
            try:
                produce(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    headers=None if record.headers is None else list(record.headers),
                )
            except (BufferError, *CLIENT_ERRORS) as error:
                raise self._failure("produce", error) from error

    def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        """Add the changed rows of a partition; the changelog offset of the last one is asked for."""
        produce = self._producer.produce
        last = len(rows) - 1
        try:
            for key, value in rows[:last]:
                produce(changelog, value, key, partition)
            key, value = rows[last]
            produce(changelog, value, key, partition, on_delivery=self._delivered)
        except (BufferError, *CLIENT_ERRORS) as error:
            raise self._failure("produce", error) from error

    def announce(self, record: Outgoing, entry_at: Callable[[int], Outgoing]) -> int:
        """Write a record, and another one that says where it stands, in a transaction of their own.

        Args:
            record: the record.
            entry_at: makes the other one of its offset.

        Returns:
            The record's offset.
        """
        offsets: list[int] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)

        self.begin()
        try:
            self._producer.produce(record.topic, record.value, record.key, record.partition, on_delivery=delivered)
        except (BufferError, *CLIENT_ERRORS) as error:
            raise self._failure("produce", error) from error
        self._flush()
        if not offsets:
            raise InfrastructureError(f"partition {self._partition}: a record was not delivered; nothing took effect")
        self.produce([entry_at(offsets[0])])
        self._flush()
        self._patiently("commit_transaction", lambda: self._producer.commit_transaction(self._patience_s))
        return offsets[0]

    def commit(self, batches: Sequence[Batch]) -> Mapping[int, int]:
        """Commit everything, the batches' source offsets with it.

        The offsets are sent while the records are on their way. Whoever has one of the partitions next need not fence
        this producer: when the group has a new generation, offsets that were not sent are refused, and those that were
        show as unstable until the transaction has ended (docs/decisions/0014).

        Args:
            batches: of one generation of the group.

        Returns:
            The changelog offset of each partition's last row.
        """
        self._changelog_offsets = {}
        self._patiently(
            "send_offsets_to_transaction",
            lambda: self._producer.send_offsets_to_transaction(
                [TopicPartition(batch.topic, batch.partition, batch.end) for batch in batches],
                group_metadata(batches[0].membership),
                self._patience_s,
            ),
        )
        reach("offered")
        self._flush()
        reach("produced")
        # Fails, and says why, if any of the records was not delivered.
        self._patiently("commit_transaction", lambda: self._producer.commit_transaction(self._patience_s))
        return self._changelog_offsets

    def close(self) -> None:
        """Give the producer up; an open transaction is aborted by the next owner's fence."""
        self._guarded("close", self._producer.close)

    def _flush(self) -> None:
        left = self._guarded("flush", lambda: self._producer.flush(self._patience_s))
        if left:
            raise undelivered(self._partition, left, self._patience_s)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._changelog_offsets[message.partition() or 0] = message.offset() or 0

    def _patiently(self, step: str, call: Callable[[], object]) -> None:
        """Call again while librdkafka says that it may be: a commit whose answer is missing is then resumed."""
        deadline = monotonic() + self._patience_s
        while True:
            try:
                call()
            except KafkaException as error:
                if not error.args[0].retriable() or monotonic() >= deadline:
                    raise self._failure(step, error) from error
            except SystemError as error:
                raise self._failure(step, error) from error
            else:
                return
            sleep(_RETRY_S)

    def _guarded(self, step: str, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except CLIENT_ERRORS as error:
            raise self._failure(step, error) from error

    def _failure(self, step: str, error: Exception) -> ConsolidatorError:
        cause = self._owner_changed or cause_of(error, self._producer)
        if isinstance(cause, KafkaError) and cause.code() in OWNER_CHANGED:
            self._owner_changed = cause
        return refusal(self._app_id, self._partition, step, cause)
