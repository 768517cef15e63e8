"""The transactions of small rounds: three requests each, however many partitions are in it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar

import structlog
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError as ClientError
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from confluent_kafka import KafkaError

from consolidator.connecting import offsets as answers
from consolidator.connecting.connection import Connection
from streams.partition.batch import Batch, Headers, Outgoing
from streams.partition.result import StoredRow
from streams.runtime.failpoints import reach
from streams.worker.round import Membership
from streams.worker.transactions.errors import COMMIT, refusal, unanswered, unplaced
from streams.worker.transactions.small_rounds.client import RefusedError, TransactionClient, require_accepted
from streams.worker.transactions.small_rounds.requests import (
    EndTransaction,
    InitialiseAgain,
    Produce,
    TransactionOffsets,
)
from streams.worker.transport.membership import heartbeat
from topics.cluster.producer_errors import FORGOTTEN

__all__ = ["RoundProducers", "RoundTransactions"]

_IDS: Final = ("a", "b")
"""The suffixes of a partition's two transactional ids, which take turns. While the markers of an id's transaction are
written the broker cannot begin its next one, and tries again after 20 ms (``add.partitions.to.txn.retry.backoff.ms``):
with one id every tenth transaction took 27 ms instead of 5."""

_REPLICAS_MS: Final = 10_000
"""How long a leader waits for its replicas before it answers that they are too few."""

_MAGIC: Final = 2
_UNBOUNDED: Final = 2**31 - 1

_Result = TypeVar("_Result")
_Records = list[tuple[bytes | None, bytes | None, Headers]]

_log = structlog.get_logger()


@dataclass(slots=True)
class _Producer:
    """A transactional id, with the producer id and the epoch of its next transaction.

    Each transaction has an epoch of its own, in which each partition gets one batch. So every batch has the first
    sequence number.
    """

    transactional_id: str
    id: int = -1
    epoch: int = -1

    @property
    def identity(self) -> tuple[int, int]:
        return self.id, self.epoch


class RoundProducers:
    """The producers of a worker's small rounds, where the cluster speaks the newer protocol of transactions.

    They share one client. Its event loop runs only while a thread waits for an answer, in that thread. That is enough,
    because a worker has one small round under way at a time.

    Args:
        connection: how to reach Kafka.
        app_id: the transactional ids' prefix.
        patience_s: how many seconds a transaction waits for brokers that are down, or for new leaders; also its
            timeout.
    """

    def __init__(self, connection: Connection, app_id: str, *, patience_s: float) -> None:
        self._connection = connection
        self.app_id = app_id
        self.patience_s = patience_s
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._busy = Lock()
        self._client: TransactionClient | None = None

    def fence(self, partitions: Collection[int]) -> "dict[int, RoundTransactions]":
        """Fence every earlier owner, and finish or abort its open transactions. Blocks.

        Args:
            partitions: the source partitions.

        Returns:
            Their transactions; none if the cluster does not speak the protocol.

        Raises:
            AuthorizationError: the cluster does not permit it.
            InfrastructureError: Kafka does not answer.
        """
        if not partitions:
            return {}
        return self.run(min(partitions), lambda: "init_transactions", lambda: self._fence(partitions))

    def run(self, partition: int, step: Callable[[], str], call: Callable[[], Awaitable[_Result]]) -> _Result:
        """Send a request to Kafka, and wait for its answer.

        Args:
            partition: the source partition, for an error's text.
            step: the step's name, for an error's text.
            call: sends the request.

        Raises:
            AuthorizationError: the cluster does not permit it.
            InfrastructureError: Kafka refuses, or does not answer in time.
        """

        async def in_time() -> _Result:
            async with asyncio.timeout(self.patience_s):
                return await call()

        with self._busy:
            try:
                return self._runner.run(in_time())
            except TimeoutError as error:
                raise unanswered(partition, step(), self.patience_s) from error
            except RefusedError as refused:
                raise refusal(self.app_id, partition, step(), refused.error) from refused
            except ClientError as error:
                raise refusal(self.app_id, partition, step(), error) from error

    def confirm(self, partition: int, membership: Membership) -> None:
        """Raise unless a member is still in the group, in the same generation. Blocks.

        Args:
            partition: the source partition, for an error's text.
            membership: the member.

        Raises:
            InfrastructureError: the group has gone on without it, or its coordinator does not answer.
        """
        self.run(partition, lambda: "heartbeat", lambda: self._confirm(membership))

    async def initialise_again(self, producer: _Producer, membership: Membership) -> None:
        """Initialise a transactional id again that the coordinator has forgotten.

        A worker that has lost the partition must not fence its new owner. So the group is asked whether this worker is
        still a member, and the coordinator refuses the producer if another one has initialised the id since
        (docs/decisions/0024).

        Raises:
            RefusedError: another worker has the partition.
        """
        await self._confirm(membership)
        timeout_ms = round(self.patience_s * 1000)
        request = InitialiseAgain(producer.transactional_id, timeout_ms, producer.identity)
        await _move_on(await self._started(), producer, request)
        _log.info(
            "a transactional id that the broker had forgotten is initialised again",
            transactional_id=producer.transactional_id,
        )

    async def _confirm(self, membership: Membership) -> None:
        client = await self._started()
        request = heartbeat(membership.group, membership.generation, membership.member, membership.instance)

        async def attempt() -> None:
            answer = await client.ask_coordinator(CoordinationType.GROUP, membership.group, request)
            # During a rebalance, the worker is a member until the next generation begins.
            if answer.error_code != KafkaError.REBALANCE_IN_PROGRESS:
                require_accepted([(f"group {membership.group}", answer.error_code)])

        await client.persist(attempt)

    def close(self) -> None:
        """Close the client; the next owner's fencing aborts an open transaction. Blocks."""
        with self._busy:
            if self._client is not None:
                self._runner.run(self._client.close())
                self._client = None
            self._runner.close()

    async def _fence(self, partitions: Collection[int]) -> "dict[int, RoundTransactions]":
        client = await self._started()
        if not await client.persist(client.speaks_the_protocol):
            _log.info("small rounds use librdkafka's transactions: the cluster does not speak the newer protocol")
            return {}
        producers = {
            partition: [_Producer(f"{self.app_id}-{partition}-{name}") for name in _IDS] for partition in partitions
        }
        timeout_ms = round(self.patience_s * 1000)
        await asyncio.gather(
            *(
                _move_on(client, each, InitProducerIdRequest(each.transactional_id, timeout_ms))
                for both in producers.values()
                for each in both
            )
        )
        return {partition: RoundTransactions(self, client, partition, both) for partition, both in producers.items()}

    async def _started(self) -> TransactionClient:
        if self._client is None:
            client = TransactionClient(self._connection)
            await client.persist(client.start)
            self._client = client
        return self._client


class RoundTransactions:
    """The transactions of the small rounds that a source partition leads.

    Records are sent before the offsets: both register something with the coordinator, and one would wait for the other.

    Args:
        producers: the worker's producers.
        client: sends the requests.
        partition: the source partition.
        ids: the partition's transactional ids.

    Raises:
        AuthorizationError: from :meth:`commit`, when the cluster does not permit a step.
        InfrastructureError: from :meth:`commit`, when Kafka refuses or does not answer; see
            :class:`~streams.worker.transactions.partition_transactions.PartitionTransactions`.
    """

    def __init__(
        self, producers: RoundProducers, client: TransactionClient, partition: int, ids: Sequence[_Producer]
    ) -> None:
        self._producers = producers
        self._client = client
        self._partition = partition
        self._ids = ids
        self._records: dict[tuple[str, int], _Records] = {}
        self._changelogs: dict[tuple[str, int], int] = {}
        self._step = ""

    def begin(self) -> None:
        """Begin a transaction, with the producer that has been unused for longer."""
        self._ids = [*self._ids[1:], self._ids[0]]
        self._records, self._changelogs = {}, {}

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        """Add records to the transaction."""
        for record in outgoing:
            into = self._records.setdefault((record.topic, record.partition), [])
            into.append((record.key, record.value, record.headers or ()))

    def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        """Add the changed rows of a partition, and request the changelog offset of the last one."""
        self._records[changelog, partition] = [(key, value, ()) for key, value in rows]
        self._changelogs[changelog, partition] = len(rows) - 1

    def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
        """Commit everything, the batches' source offsets with it. Blocks.

        Args:
            batches: the round's, or those of a part of it.
            membership: as which member of the group the worker read them.

        Returns:
            The changelog offset of each partition's last row.
        """
        commit = partial(self._commit, batches, membership)
        offsets = self._producers.run(self._partition, lambda: self._step, commit)
        return {partition: offsets[topic, partition] + last for (topic, partition), last in self._changelogs.items()}

    async def _commit(self, batches: Sequence[Batch], membership: Membership) -> dict[tuple[str, int], int]:
        """Commit, and return the offset of the first record of each partition."""
        producer = self._ids[0]
        offsets: dict[tuple[str, int], int] = {}
        self._step = "produce"
        try:
            await self._deliver(producer, offsets)
        except RefusedError as refused:
            if refused.error.code() not in FORGOTTEN or offsets:
                raise
            await self._producers.initialise_again(producer, membership)
            await self._deliver(producer, offsets)
        if answers.unanswered(offsets, offsets):
            raise unplaced(self._partition)
        reach("offered")
        self._step = "send_offsets_to_transaction"
        await self._offer(producer, batches, membership)
        reach("produced")
        self._step = COMMIT
        # If the answer was lost and the request is sent again, the coordinator knows the transaction by its epoch.
        await _move_on(self._client, producer, EndTransaction(producer.transactional_id, producer.identity))
        return offsets

    async def _deliver(self, producer: _Producer, offsets: dict[tuple[str, int], int]) -> None:
        """Send the records to the leaders, one leader after the other.

        Each one registers its partitions with the coordinator of the transaction, which takes one registration at a
        time and lets the others wait.

        Args:
            producer: the transaction's producer.
            offsets: gets the offset of the first record of each partition.
        """
        batches = {where: _batch(producer, records) for where, records in self._records.items()}

        async def attempt() -> None:
            by_leader: dict[int, dict[str, list[tuple[int, bytes]]]] = {}
            for (topic, partition), batch in batches.items():
                if (topic, partition) not in offsets:
                    leader = await self._client.leader(topic, partition)
                    by_leader.setdefault(leader, {}).setdefault(topic, []).append((partition, batch))
            refused = []
            for leader, topics in by_leader.items():
                request = Produce(producer.transactional_id, _REPLICAS_MS, topics)
                for topic, partitions, _ in (await self._client.ask_leader(leader, request)).topics:
                    for partition, code, first, *_ in partitions:
                        if code:
                            refused.append((f"{topic} partition {partition}", code))
                        else:
                            offsets[topic, partition] = first
            require_accepted(refused)

        await self._client.persist(attempt)

    async def _offer(self, producer: _Producer, batches: Sequence[Batch], membership: Membership) -> None:
        request = TransactionOffsets(
            producer.transactional_id,
            producer.identity,
            group=membership.group,
            generation=membership.generation,
            member=membership.member,
            instance=membership.instance,
            topic=batches[0].topic,
            offsets=[(batch.partition, batch.end) for batch in batches],
        )

        async def attempt() -> None:
            answer = await self._client.ask_coordinator(CoordinationType.GROUP, membership.group, request)
            require_accepted(
                (f"offset of {topic} partition {partition}", code)
                for topic, partitions, _ in answer.topics
                for partition, code, _ in partitions
            )

        await self._client.persist(attempt)


async def _move_on(client: TransactionClient, producer: _Producer, request: Any) -> None:
    """Send the coordinator a request that ends a producer's epoch; the answer has the next epoch."""

    async def attempt() -> None:
        answer = await client.ask_coordinator(CoordinationType.TRANSACTION, producer.transactional_id, request)
        require_accepted([(producer.transactional_id, answer.error_code)])
        producer.id, producer.epoch = answer.producer_id, answer.producer_epoch

    await client.persist(attempt)


def _batch(producer: _Producer, records: _Records) -> bytes:
    """The records of one partition as a batch in Kafka's format."""
    builder = DefaultRecordBatchBuilder(
        magic=_MAGIC,
        compression_type=DefaultRecordBatch.CODEC_LZ4,
        is_transactional=1,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        base_sequence=0,
        batch_size=_UNBOUNDED,
    )
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, None, key, value, list(headers))
    return bytes(builder.build())
