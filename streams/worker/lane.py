"""Source partitions at work: fold, produce, commit, write, acknowledge - with the commit off the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from models.errors import ContractError
from streams.partition.batch import Batch, Outgoing
from streams.runtime.failpoints import reach
from streams.partition.result import Folded, StoredRow
from streams.partition.fold import PartitionFold
from streams.worker.transactions.librdkafka import PartitionTransactions
from streams.worker.table.store import BatchStore
from topics.reading.rulesets import ADOPTION_PREFIX

__all__ = ["Lane", "Share", "Transactions", "process"]

_SLOW_COMMIT_S = 10.0
"""A commit takes milliseconds; an election after a broker's death takes seconds, and is no news for a person."""

_FEW_RECORDS: Final = 1_000
_FEW_BYTES: Final = 1024 * 1024
"""Up to so many records of the source, and bytes that come of them, a round has the transactions of small ones. Above
it librdkafka takes less of the worker's own core."""

_Result = TypeVar("_Result")

_log = structlog.get_logger()


class Transactions(Protocol):
    """Transactions of one producer, one after the other."""

    def begin(self) -> None:
        """Begin one."""

    def produce(self, outgoing: Iterable[Outgoing]) -> None:
        """Add records."""

    def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
        """Add the changed rows of a partition."""

    def commit(self, batches: Sequence[Batch]) -> Mapping[int, int]:
        """Commit it with the batches' source offsets; the changelog offset of each partition's last row. Blocks."""


class Lane:
    """Takes the batches of one partition in order; the next one is folded while the last one commits.

    Args:
        partition: the partition.
        fold: its fold.
        transactions: its transactions, fenced already.
        store: the table's RocksDB.
        changelog: the changelog topic's name.
        executor: runs the blocking steps.
        start: the offset at which the first batch has to start.
        small: the transactions of the small rounds that it leads; None: those have the others, too.
        few_records: most records of the source in a small round that it leads.

    Attributes:
        transactions: its transactions.
        small: those of small rounds.
        few_records: most records of the source in one of them.
        committing: the commit of its last batch; None: it had none.
    """

    def __init__(
        self,
        partition: int,
        fold: PartitionFold,
        transactions: PartitionTransactions,
        store: BatchStore,
        *,
        changelog: str,
        executor: Executor,
        start: int,
        small: Transactions | None = None,
        few_records: int = _FEW_RECORDS,
    ) -> None:
        self._partition = partition
        self._fold = fold
        self.transactions = transactions
        self.small = small
        self.few_records = few_records
        self._store = store
        self._changelog = changelog
        self._executor = executor
        self._next = start
        self.committing: asyncio.Task[None] | None = None

    async def fold(self, batch: Batch) -> "Share":
        """Fold a batch, which has to start where the last one ended: a hole means that something was lost on the way.

        Raises:
            ContractError: a hole, or the state is of another catalogue.
        """
        if batch.start != self._next:
            raise ContractError(
                f"{batch.topic} partition {self._partition}: the next batch starts at {batch.start}, expected was "
                f"{self._next}. The offset was reset, or the topic was truncated or re-created: nothing was processed. "
                "Restart the worker; if this comes again, compare the topic's offsets with the group's"
            )
        self._next = batch.end
        folded = await self._folded(batch)
        return Share(self, batch, folded, list(folded.rows()))

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        if self.committing is not None:
            await asyncio.wait([self.committing])

    async def close(self) -> None:
        """Wait for what is in flight, then give the partition up."""
        await self.drained()
        await self.in_thread(self.transactions.close)

    def produce(self, share: "Share", transactions: Transactions) -> None:
        """Add this partition's share of a round to the round's transaction."""
        transactions.produce(share.folded.outgoing)
        # The producer has copies, and the commit is still to come: several MB, of a large batch.
        share.folded.outgoing = []
        transactions.produce_rows(self._changelog, self._partition, share.rows)

    def write(self, share: "Share", changelog_offsets: Mapping[int, int]) -> None:
        """Write the committed share to RocksDB. What was erased is taken out of its files at once.

        Args:
            share: the share.
            changelog_offsets: of each partition, where its last row stands in the changelog.
        """
        self._store.write_rows(self._partition, share.rows, changelog_offsets[self._partition])
        if share.folded.removed:
            self._store.compact(self._partition)
        reach("written")

    def written(self, share: "Share") -> None:
        """RocksDB has the share; on the event loop."""
        self._fold.written(share.folded)

    async def _folded(self, batch: Batch) -> Folded:
        """Fold a batch; in a thread where it may adopt a ruleset, as the whole partition is folded again then."""
        if _may_adopt(batch):
            return await self.in_thread(lambda: self._fold.fold(batch))
        return self._fold.fold(batch)

    def in_thread(self, call: Callable[[], _Result]) -> Awaitable[_Result]:
        """Run a blocking step."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call)


@dataclass(frozen=True, slots=True)
class Share:
    """One partition's share of a round.

    Attributes:
        lane: the partition's lane.
        batch: its batch.
        folded: what the batch comes to.
        rows: the changed rows.
    """

    lane: Lane
    batch: Batch
    folded: Folded
    rows: Sequence[StoredRow]

    @property
    def size(self) -> int:
        """The bytes of everything that the batch comes to."""
        outgoing = sum(len(record.value or b"") for record in self.folded.outgoing)
        return outgoing + sum(len(value or b"") for _, value in self.rows)


async def process(
    batches: Sequence[tuple[Lane, Batch]],
    acknowledge: Callable[[], object],
    failed: Callable[[BaseException], None],
) -> None:
    """Process a round up to its commit, which goes on in the background.

    1. Fold the first batch; all of them in a small round, or where another one may take as long as a whole partition
       does.
    2. Wait for the commits of the partitions' last batches; a partition is in one transaction at a time.
    3. Produce what is folded in a transaction that the first one's partition leads, and fold and produce the others:
       the transaction's partitions are registered meanwhile. Then commit in a thread: see :func:`_commit`.

    Args:
        batches: the round, each batch with its partition's lane.
        acknowledge: called on the event loop when everything is done.
        failed: called with the error when the commit failed.

    Raises:
        ContractError: a hole before one of the batches, or the state is of another catalogue.
        InfrastructureError: producing failed.
    """
    # 1.
    small = _small_transactions(batches)
    before = len(batches) if small is not None or any(_may_adopt(batch) for _, batch in batches[1:]) else 1
    shares = [await lane.fold(batch) for lane, batch in batches[:before]]
    # 2.
    for lane, _ in batches:
        await lane.drained()
    # 3.
    transactions: Transactions = shares[0].lane.transactions
    if small is not None and sum(share.size for share in shares) <= _FEW_BYTES:
        transactions = small
    transactions.begin()
    for share in shares:
        share.lane.produce(share, transactions)
    for lane, batch in batches[before:]:
        share = await lane.fold(batch)
        lane.produce(share, transactions)
        shares.append(share)
    committing = asyncio.create_task(_finish(shares, transactions, acknowledge))
    committing.add_done_callback(lambda task: _report(task, failed))
    for share in shares:
        share.lane.committing = committing


def _small_transactions(batches: Sequence[tuple[Lane, Batch]]) -> Transactions | None:
    """Those of small rounds, if this may be one: how much comes of it is not known before all of it is folded."""
    leader, _ = batches[0]
    few = sum(len(batch.records) for _, batch in batches) <= leader.few_records
    return leader.small if few else None


async def _finish(shares: Sequence[Share], transactions: Transactions, acknowledge: Callable[[], object]) -> None:
    slow = asyncio.get_running_loop().call_later(_SLOW_COMMIT_S, _warn_of_slow_commit, shares[0].batch)
    try:
        await shares[0].lane.in_thread(lambda: _commit(shares, transactions))
    finally:
        slow.cancel()
    for share in shares:
        share.lane.written(share)
    acknowledge()


def _commit(shares: Sequence[Share], transactions: Transactions) -> None:
    """Commit the transaction, then write RocksDB: it is never ahead of the changelog.

    Killed in between, RocksDB is behind; the recovery from the changelog brings it up.
    """
    changelog_offsets = transactions.commit([share.batch for share in shares])
    reach("committed")
    for share in shares:
        share.lane.write(share, changelog_offsets)


def _may_adopt(batch: Batch) -> bool:
    return any(record.key is not None and record.key.startswith(ADOPTION_PREFIX) for record in batch.records)


def _warn_of_slow_commit(batch: Batch) -> None:
    _log.warning(
        "a transaction waits for Kafka: are the brokers up, and enough replicas in sync?",
        waited_s=_SLOW_COMMIT_S,
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.start,
    )


def _report(task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        failed(error)
