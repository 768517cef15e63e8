"""Kafka, simulated: logs with gaps, transactions with fencing and markers, one consumer group, compaction.

What is modelled, after KIP-98, KIP-447 and the log cleaner: records of an open transaction hold back read-committed
readers from its first record on (the last stable offset); a commit or an abort takes one offset in every partition that
the transaction touched; ``init_transactions`` aborts what the id's earlier producer left open and shuts it out; offsets
of a stale generation are refused *when they are sent*, not when they are committed. A leader may become silent. Until a
step waits for it, a request for an end returns -1001, as in librdkafka, and the markers of transactions that end
meanwhile are written to its partition later than to others.
"""

import struct
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.partition.batch import Batch, Headers
from streams.worker.round import Membership
from streams.worker.transactions.partition_transactions import PartitionTransactions
from tests.simulation.log import Outcome, PartitionLog, Transaction

__all__ = ["SimulatedKafka", "SimulatedTransactions", "small_transactional_id", "transactional_id"]

_GROUP_HEADER = b"CGMDv2:"


class SimulatedKafka:
    """The brokers.

    Attributes:
        committed: the group's committed offset of each source partition.
        furthest: the greatest committed offsets so far: the outputs have to equal those of this prefix of the source.
        members: the group's members, all of the current generation.
        commits: how many transactions were committed.
        producers_linger: whether produced records reach the broker only when they are flushed.
    """

    def __init__(self, *, producers_linger: bool = False) -> None:
        self.producers_linger = producers_linger
        self.committed: dict[int, int] = {}
        self.furthest: dict[int, int] = defaultdict(int)
        self.generation = 0
        self.members: set[str] = set()
        self.commits = 0
        self._logs: dict[tuple[str, int], PartitionLog] = {}
        self._epochs: dict[str, int] = defaultdict(int)
        self._open: dict[str, Transaction] = {}
        self._last: dict[str, Transaction] = {}

    def log(self, topic: str, partition: int) -> PartitionLog:
        """A partition's log, made when it is first asked for."""
        return self._logs.setdefault((topic, partition), PartitionLog(topic, partition))

    def rebalanced(self, members: set[str]) -> None:
        """A new generation of the group."""
        self.generation += 1
        self.members = members

    def fence(self, transactional_id: str) -> int:
        """Abort an id's open transaction, and fence its earlier producer; return the new epoch."""
        transaction = self._open.pop(transactional_id, None)
        if transaction is not None:
            self._end(transaction, Outcome.ABORTED)
            self._last[transactional_id] = transaction
        self._wait_marked(transactional_id)
        self._epochs[transactional_id] += 1
        return self._epochs[transactional_id]

    def is_current(self, transactional_id: str, epoch: int) -> bool:
        """Whether no other producer has initialised the id since."""
        return self._epochs[transactional_id] == epoch

    def transaction(self, transactional_id: str) -> Transaction:
        """The open transaction of an id; begun with its first record or offset, after all markers of its last."""
        if transactional_id not in self._open:
            self._wait_marked(transactional_id)
        return self._open.setdefault(transactional_id, Transaction())

    def commit(self, transactional_id: str) -> None:
        """Commit the open transaction."""
        transaction = self._last[transactional_id] = self._open.pop(transactional_id)
        self._end(transaction, Outcome.COMMITTED)
        self.commits += 1
        self.committed |= transaction.offsets
        for partition, offset in transaction.offsets.items():
            self.furthest[partition] = max(self.furthest[partition], offset)

    def open_in(self, log: PartitionLog) -> list[str]:
        """The ids of the transactions that are open in a partition."""
        return [identity for identity, transaction in self._open.items() if log in transaction.logs]

    def offered(self, partition: int) -> list[str]:
        """The ids of the open transactions that were sent an offset of a source partition: it is unstable."""
        return [identity for identity, transaction in self._open.items() if partition in transaction.offsets]

    def abort_stranger(self, log: PartitionLog, key: bytes, value: bytes) -> None:
        """A producer of events writes one in a transaction and takes it back."""
        transaction = Transaction()
        log.append(key, value, (), transaction)
        self._end(transaction, Outcome.ABORTED)

    def _end(self, transaction: Transaction, outcome: Outcome) -> None:
        transaction.outcome = outcome
        for log in transaction.logs:
            log.mark(transaction)

    def _wait_marked(self, transactional_id: str) -> None:
        """The coordinator starts no transaction of an id until all markers of its last one are written."""
        last = self._last.get(transactional_id)
        for log in () if last is None else last.logs:
            if not log.has_marked(last):
                log.wait_marked()


@dataclass(frozen=True)
class _Delivered:
    at: int
    into: int

    def offset(self) -> int:
        return self.at

    def partition(self) -> int:
        return self.into


class _SimulatedProducer:
    """confluent-kafka's transactional producer, on :class:`SimulatedKafka`.

    Records are at the broker as soon as they are produced, or, where it lingers, when they are flushed.
    """

    def __init__(self, kafka: SimulatedKafka, transactional_id: str, reach: Callable[[str], None]) -> None:
        self._kafka = kafka
        self._lingering: list[Callable[[], None]] = []
        self._id = transactional_id
        self._reach = reach
        self._epoch = 0
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_current(self) -> bool:
        return self._kafka.is_current(self._id, self._epoch)

    def init_transactions(self, _timeout: float) -> None:
        self._epoch = self._kafka.fence(self._id)
        self._reach("fenced")

    def begin_transaction(self) -> None:
        self._reach("begin")

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        *,
        headers: Headers | None = None,
        on_delivery: Callable[[KafkaError | None, _Delivered], None] | None = None,
    ) -> None:
        self._reach("produce")

        def send() -> None:
            if not self.is_current:
                return  # raised by the next transactional call, as in librdkafka
            log = self._kafka.log(topic, partition)
            offset = log.append(key, value, headers or (), self._kafka.transaction(self._id))
            if on_delivery is not None:
                self._callbacks.append(lambda: on_delivery(None, _Delivered(offset, partition)))

        if self._kafka.producers_linger:
            self._lingering.append(send)
        else:
            send()

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], group_metadata: bytes, _timeout: float
    ) -> None:
        self._reach("offsets")
        self._require_current()
        fields = group_metadata.removeprefix(_GROUP_HEADER)
        (generation,) = struct.unpack_from("=i", fields)
        _group, member, _instance = fields[4:].split(b"\0")[:3]
        if generation != self._kafka.generation or member.decode() not in self._kafka.members:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        self._kafka.transaction(self._id).offsets |= {each.partition: each.offset for each in offsets}

    def flush(self, _timeout: float) -> int:
        self._reach("flush")
        self._send()
        return 0

    def commit_transaction(self, _timeout: float) -> None:
        self._reach("commit")
        self.commit_at_once()
        self._reach("committed")

    def commit_at_once(self) -> None:
        """Commit in one step, without an event in between."""
        # Lingering records are sent now, as in librdkafka.
        self._send()
        self._require_current()
        self._kafka.commit(self._id)

    def _send(self) -> None:
        for send in self._lingering:
            send()
        self._lingering.clear()
        for callback in self._callbacks:
            callback()
        self._callbacks.clear()

    def close(self) -> None:
        self._reach("close")

    def _require_current(self) -> None:
        if not self.is_current:
            raise KafkaException(KafkaError(KafkaError._FENCED, "fenced by a newer producer", fatal=True))


class _Simulated(PartitionTransactions):
    """The product's transactions, step for step, whose producer is a simulated one."""

    def __init__(self, kafka: SimulatedKafka, partition: int, identity: str, reach: Callable[[str], None]) -> None:
        self._partition = partition
        self._app_id = "app"
        self._patience_s = 1.0
        self._producer = _SimulatedProducer(kafka, identity, reach)
        self._changelog_offsets = {}
        self._waiting = deque()

    @property
    def is_current(self) -> bool:
        """Whether no new owner has fenced them."""
        return self._producer.is_current


class _SimulatedSmallTransactions(_Simulated):
    """The transactions of small rounds: records reach the brokers before the offsets do."""

    def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
        """Records, offsets, commit."""
        self._producer.flush(self._patience_s)
        delivered = dict(self._changelog_offsets)
        super().commit(batches, membership)
        return delivered


class SimulatedTransactions(_Simulated):
    """The transactions of a partition.

    Attributes:
        small: the transactions of the small rounds that it leads; they are fenced together with these.
    """

    def __init__(self, kafka: SimulatedKafka, partition: int, reach: Callable[[str], None]) -> None:
        super().__init__(kafka, partition, transactional_id(partition), reach)
        self.small = _SimulatedSmallTransactions(kafka, partition, small_transactional_id(partition), reach)

    @property
    def is_current(self) -> bool:
        """Whether no new owner has fenced these, nor those of small rounds."""
        return super().is_current and self.small.is_current

    def fence(self) -> None:
        """Both at once, and in either order, in the product."""
        self.small.fence()
        super().fence()


def transactional_id(partition: int) -> str:
    """As the worker names it."""
    return f"app-{partition}"


def small_transactional_id(partition: int) -> str:
    """Likewise, of small rounds; the product's two ids take turns, and are fenced together."""
    return f"app-{partition}-a"
