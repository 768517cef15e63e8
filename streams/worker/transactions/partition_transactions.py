"""One partition's Kafka transactions: outputs, state and source offset take effect together or not at all."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from time import monotonic, sleep
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from consolidator.connecting.connection import Connection
from consolidator.connecting.offsets import delivered_offset
from models.errors import ConsolidatorError, InfrastructureError
from streams.partition.batch import Batch, Outgoing
from streams.partition.result import StoredRow
from streams.runtime.failpoints import reach
from streams.worker.round import Membership
from streams.worker.transactions.errors import COMMIT, OWNER_CHANGED, refusal, undelivered, unplaced
from streams.worker.transactions.group_metadata import group_metadata
from streams.worker.transactions.producer_settings import producer_settings
from topics.cluster.authorization import require_credentials
from topics.cluster.producer_errors import CLIENT_ERRORS, FORGOTTEN, cause_of, has_failed

__all__ = ["PartitionTransactions"]

_RETRY_S = 0.1
"""Seconds between two calls of a step that is retried; most steps wait by themselves."""

_SLICE_S = 5.0
"""Seconds between two checks whether the cluster refuses this client's credentials."""

_RESTED_S = 5.0
"""After this pause, in seconds, the broker may have forgotten the transactional id. The next transaction then sends its
records before its offsets, and keeps the records until the offsets are accepted; that is too expensive for every one.
The value is below any expiration, and above the pause between two large batches of a partition on a slow machine."""

_LOOK_S = 0.5
"""Seconds between two checks whether a transaction whose records are under way has failed."""

_POLL_S = 0.1
"""How long one poll of a full queue waits for the broker."""


_Result = TypeVar("_Result")

_log = structlog.get_logger()


class PartitionTransactions:
    """The transactional producer of one source partition.

    Its ``transactional.id`` is ``<app id>-<partition>``: initialising it fences the earlier owners of the partition.
    Every call blocks; the worker calls them from a thread.

    Args:
        connection: how to reach Kafka.
        app_id: the transactional id's prefix.
        partition: the source partition.
        patience_s: how many seconds a step waits for brokers that are down, or for a change of leaders. It is also the
            transaction's timeout: after it the broker aborts a dead owner's transaction, unless a new owner's fencing
            has aborted it before.
        confirm: raises if a member is no longer in the group; called before a forgotten id is initialised again.
        on_error: called with errors after which librdkafka tries again, such as an unreachable broker.

    Raises:
        AuthorizationError: from every method, when the cluster does not permit a step.
        SettingsError: from every method, when the cluster refuses the credentials or certificates.
        InfrastructureError: from every method, when Kafka refuses or does not answer. After an error the caller has to
            stop the process; the next owner of the partition continues from the last committed transaction.
    """

    def __init__(
        self,
        connection: Connection,
        app_id: str,
        partition: int,
        *,
        patience_s: float,
        confirm: Callable[[Membership], object] = lambda _: None,
        on_error: Callable[[KafkaError], None] | None = None,
    ) -> None:
        self._confirm = confirm
        self._config = connection.librdkafka()
        self._partition = partition
        self._patience_s = patience_s
        self._app_id = app_id
        settings = producer_settings(self._config, f"{app_id}-{partition}", patience_s=patience_s, on_error=on_error)
        self._producer = Producer(settings, logger=logging.getLogger("librdkafka"))
        self._changelog_offsets: dict[int, int] = {}
        # The records that did not fit into the producer's queue, in order, each as the call that adds it.
        self._waiting: deque[Callable[[], object]] = deque()

    _owner_changed: KafkaError | None = None
    """The error that said that another worker has the partition. It is kept because it stays true, and because a call
    that ends the producer cannot report it again."""

    _used_at = inf
    """When the broker last knew the transactional id, in monotonic seconds; it has not been asked yet."""

    _kept: list[Callable[[], None]] | None = None
    """The calls that produce the transaction's records again, if the id was unused for a while."""

    _refuses = False
    """Whether the producer takes no more records of the transaction."""

    _unplaced = False
    """Whether a row was delivered without an offset."""

    def fence(self) -> None:
        """Fence every earlier owner, and finish or abort its open transaction."""
        self._patiently("init_transactions", lambda: self._producer.init_transactions(self._slice_s))
        self._used_at = monotonic()

    def begin(self) -> None:
        """Begin a transaction."""
        self._kept = [] if monotonic() - self._used_at >= _RESTED_S else None
        self._refuses = False
        self._waiting.clear()
        self._guarded("begin_transaction", self._producer.begin_transaction)

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        """Add records to the transaction. Those that do not fit into the queue are added at the commit."""
        if self._kept is None:
            self._produce(outgoing)
        else:
            self._keep(self._kept, partial(self._produce, list(outgoing)))

    def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        """Add the changed rows of a partition, and request the changelog offset of the last one."""
        if self._kept is None:
            self._produce_rows(changelog, partition, rows)
        else:
            self._keep(self._kept, partial(self._produce_rows, changelog, partition, rows))

    def _keep(self, kept: list[Callable[[], None]], produce: Callable[[], None]) -> None:
        """Produce records with an id that was unused for a while, and keep them for a repetition.

        If the broker has forgotten the id, the producer refuses further records without the reason; ``commit`` gets it.
        """
        kept.append(produce)
        if not self._refuses:
            try:
                produce()
            except InfrastructureError as error:
                self._refuses = _takes_no_more(error.__cause__)
                if not self._refuses:
                    raise

    def _produce(self, outgoing: Iterable[Outgoing]) -> None:
        # As little work as possible for each record: this loop takes a tenth of the worker's time.
        add = self._wait_with if self._waiting else self._producer.produce
        try:
            for record in outgoing:
                headers: Any = record.headers
                if headers is not None and type(headers) is not list:
                    headers = list(headers)
                try:
                    add(record.topic, record.value, record.key, record.partition, headers=headers)
                except BufferError:
                    add = self._wait_with
                    add(record.topic, record.value, record.key, record.partition, headers=headers)
        except CLIENT_ERRORS as error:
            raise self._failure("produce", error) from error

    def _produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        add = self._wait_with if self._waiting else self._producer.produce
        try:
            for key, value in rows[:-1]:
                try:
                    add(changelog, value, key, partition)
                except BufferError:
                    add = self._wait_with
                    add(changelog, value, key, partition)
            key, value = rows[-1]
            try:
                add(changelog, value, key, partition, on_delivery=self._delivered)
            except BufferError:
                self._wait_with(changelog, value, key, partition, on_delivery=self._delivered)
        except CLIENT_ERRORS as error:
            raise self._failure("produce", error) from error

    def _wait_with(self, *record: Any, **more: Any) -> None:
        """Keep a record for which the producer's queue has no room."""
        self._waiting.append(partial(self._producer.produce, *record, **more))

    def _add_waiting(self) -> None:
        """Add the waiting records, while the broker takes those before them. Blocks."""
        deadline = monotonic() + self._patience_s
        while self._waiting:
            try:
                self._waiting[0]()
            except BufferError:
                if monotonic() >= deadline:
                    raise undelivered(self._partition, len(self._waiting), self._patience_s) from None
                self._guarded("produce", lambda: self._producer.poll(_POLL_S))
            except CLIENT_ERRORS as error:
                if self._kept is None or not _takes_no_more(error):
                    raise self._failure("produce", error) from error
                # If the broker has forgotten the unused id, everything is produced again.
                self._waiting.clear()
            else:
                self._waiting.popleft()
                deadline = monotonic() + self._patience_s

    def announce(self, record: Outgoing, entry_at: Callable[[int], Outgoing], membership: Membership) -> int:
        """Write a record, and an entry that names its offset, in a transaction of their own.

        Args:
            record: the record.
            entry_at: makes the entry from the offset.
            membership: the group member that owns the partition; it is checked if the id is forgotten.

        Returns:
            The record's offset.
        """
        offsets: list[int] = []
        refused: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                refused.append(error)
            elif (offset := delivered_offset(message)) is not None:
                offsets.append(offset)

        def produce() -> None:
            refused.clear()
            self._guarded(
                "produce",
                lambda: self._producer.produce(
                    record.topic, record.value, record.key, record.partition, on_delivery=delivered
                ),
            )

        def require_place() -> None:
            if refused:
                # The transaction cannot be committed any more. This call gives the reason, for example that the id is
                # forgotten.
                self._producer.commit_transaction(self._slice_s)
            if not offsets:
                raise unplaced(self._partition)

        self.begin()
        self._kept = None
        produce()
        self._flush()
        self._patiently("produce", require_place, forgotten=lambda: self._begin_again([produce], membership))
        self.produce([entry_at(offsets[0])])
        self._flush()
        self._patiently(COMMIT, lambda: self._producer.commit_transaction(self._slice_s))
        self._used_at = monotonic()
        return offsets[0]

    def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
        """Commit everything, the batches' source offsets with it.

        The offsets are sent while the records are being sent. The next owner of one of the partitions need not fence
        this producer: once the group has a new generation, offsets that were not sent are refused, and sent ones are
        reported as unstable until the transaction has ended (docs/decisions/0014).

        Args:
            batches: the round's, or those of a part of it.
            membership: the group member as which the worker read them.

        Returns:
            The changelog offset of each partition's last row.
        """
        self._changelog_offsets, self._unplaced = {}, False
        self._add_waiting()
        self._offer(batches, membership)
        reach("offered")
        self._flush()
        reach("produced")
        if self._unplaced:
            raise unplaced(self._partition)
        # This raises the reason if any of the records was not delivered.
        self._patiently(COMMIT, lambda: self._producer.commit_transaction(self._slice_s))
        self._used_at = monotonic()
        return self._changelog_offsets

    def _offer(self, batches: Sequence[Batch], membership: Membership) -> None:
        """Send the batches' source offsets.

        If the id is forgotten, it is initialised again, and the transaction is repeated. librdkafka can do that only if
        it learns of it when it registers records. So for an id that was unused for a while, the records are sent first.
        """
        offsets = [TopicPartition(batch.topic, batch.partition, batch.end) for batch in batches]
        kept, self._kept = self._kept, None
        if kept is not None:
            self._flush()
        self._patiently(
            "send_offsets_to_transaction",
            lambda: self._producer.send_offsets_to_transaction(offsets, group_metadata(membership), self._patience_s),
            forgotten=None if kept is None else lambda: self._begin_again(kept, membership),
        )

    def _begin_again(self, kept: Sequence[Callable[[], None]], membership: Membership) -> None:
        """Initialise the forgotten transactional id again, and produce everything once more.

        A worker that has lost the partition must not fence its new owner. So the group is asked whether this worker is
        still a member. The abort initialises the id with the producer's own id and epoch, which the coordinator refuses
        if another producer has initialised it since (docs/decisions/0024).
        """
        self._confirm(membership)
        self._patiently("abort_transaction", lambda: self._producer.abort_transaction(self._slice_s))
        self._guarded("begin_transaction", self._producer.begin_transaction)
        for produce in kept:
            produce()
        self._add_waiting()
        self._flush()
        _log.info("a transactional id that the broker had forgotten is initialised again", partition=self._partition)

    def close(self) -> None:
        """Close the producer; the next owner's fencing aborts an open transaction."""
        self._guarded("close", self._producer.close)

    def _flush(self) -> None:
        """Wait until the brokers have the records, or the transaction has failed; the next step then raises the reason.

        librdkafka drops the records of a failed transaction, but not always those that are added at that moment. They
        stay in its queue until they time out.
        (``test_records_that_librdkafka_keeps_of_a_failed_transaction_are_not_waited_for``)
        """
        deadline = monotonic() + self._patience_s
        while left := self._guarded("flush", lambda: self._producer.flush(self._look_s)):
            if has_failed(self._producer):
                return
            if monotonic() >= deadline:
                raise undelivered(self._partition, left, self._patience_s)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            return
        offset = delivered_offset(message)
        if offset is None:
            self._unplaced = True
        else:
            self._changelog_offsets[message.partition() or 0] = offset

    def _patiently(self, step: str, call: Callable[[], object], *, forgotten: Callable[[], None] | None = None) -> None:
        """Repeat a call while librdkafka permits it: a commit whose answer is missing is then resumed.

        Args:
            step: the step's name, for an error's text.
            call: does the step.
            forgotten: called once if the broker has forgotten the transactional id; then the step is repeated.
        """
        deadline = monotonic() + self._patience_s
        while True:
            try:
                call()
            except KafkaException as error:
                if forgotten is not None and _is_forgotten(error.args[0]):
                    forgotten()
                    forgotten = None
                    continue
                if not error.args[0].retriable() or monotonic() >= deadline:
                    raise self._failure(step, error) from error
                # librdkafka treats refused credentials like a broker that is down.
                require_credentials(self._config)
            except SystemError as error:
                raise self._failure(step, error) from error
            else:
                return
            sleep(_RETRY_S)

    @property
    def _look_s(self) -> float:
        return min(_LOOK_S, self._patience_s)

    @property
    def _slice_s(self) -> float:
        """The time limit of a call that librdkafka resumes when it is called again."""
        return min(_SLICE_S, self._patience_s)

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


def _takes_no_more(error: BaseException | None) -> bool:
    """Whether the producer refused a record because its transaction had failed before."""
    code = error.args[0].code() if isinstance(error, KafkaException) else None
    return code == KafkaError._STATE  # noqa: SLF001 - librdkafka's name


def _is_forgotten(error: KafkaError) -> bool:
    """Whether the broker has forgotten the transactional id, and an abort initialises it again."""
    return error.code() in FORGOTTEN and error.txn_requires_abort()
