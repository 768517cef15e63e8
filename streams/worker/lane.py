"""One source partition at work: fold, produce, commit, write, acknowledge - with the commit off the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import structlog

from models.errors import ContractError
from streams.worker.batch import Batch
from streams.worker.failpoints import reach
from streams.worker.folded import Folded, StoredRow
from streams.worker.folding import PartitionFold
from streams.worker.transaction import PartitionTransactions
from streams.worker.transport.store import BatchStore
from topics.rulesets import ADOPTION_PREFIX

__all__ = ["Lane"]

_SLOW_COMMIT_S = 10.0
"""A commit takes milliseconds; an election after a broker's death takes seconds, and is no news for a person."""

_Result = TypeVar("_Result")

_log = structlog.get_logger()


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
    ) -> None:
        self._partition = partition
        self._fold = fold
        self._transactions = transactions
        self._store = store
        self._changelog = changelog
        self._executor = executor
        self._next = start
        self._committing: asyncio.Task[None] | None = None

    async def process(
        self, batch: Batch, acknowledge: Callable[[], object], failed: Callable[[BaseException], None]
    ) -> None:
        """Process a batch up to its commit, which goes on in the background.

        1. Check that it starts where the last one ended: a hole means that something was lost on the way.
        2. Fold it.
        3. Wait for the commit of the last batch; a partition has one transaction at a time.
        4. Produce everything, then commit in a thread: see :meth:`_commit`.

        Args:
            batch: the batch.
            acknowledge: called on the event loop when everything is done.
            failed: called with the error when the commit failed.

        Raises:
            ContractError: a hole, or the state is of another catalogue.
            InfrastructureError: producing failed.
        """
        # 1.
        if batch.start != self._next:
            raise ContractError(
                f"{batch.topic} partition {self._partition}: the next batch starts at {batch.start}, expected was "
                f"{self._next}. The offset was reset, or the topic was truncated or re-created: nothing was processed. "
                "Restart the worker; if this comes again, compare the topic's offsets with the group's"
            )
        self._next = batch.end
        # 2.
        folded = await self._folded(batch)
        rows = list(folded.rows())
        # 3.
        await self.drained()
        # 4.
        self._transactions.begin()
        self._transactions.produce(folded.outgoing)
        self._transactions.produce_rows(self._changelog, rows)
        self._committing = asyncio.create_task(self._finish(batch, folded, rows, acknowledge))
        self._committing.add_done_callback(lambda task: _report(task, failed))

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        if self._committing is not None:
            await asyncio.wait([self._committing])

    async def close(self) -> None:
        """Wait for what is in flight, then give the partition up."""
        await self.drained()
        await self._in_thread(self._transactions.close)

    async def _finish(
        self, batch: Batch, folded: Folded, rows: Sequence[StoredRow], acknowledge: Callable[[], object]
    ) -> None:
        slow = asyncio.get_running_loop().call_later(_SLOW_COMMIT_S, _warn_of_slow_commit, batch)
        try:
            await self._in_thread(lambda: self._commit(batch, rows, erased=bool(folded.removed)))
        finally:
            slow.cancel()
        self._fold.written(folded)
        acknowledge()

    def _commit(self, batch: Batch, rows: Sequence[StoredRow], *, erased: bool) -> None:
        """Commit the transaction, then write RocksDB: it is never ahead of the changelog.

        Killed in between, RocksDB is behind; the recovery from the changelog brings it up. What was erased is taken out
        of its files at once.
        """
        changelog_offset = self._transactions.commit(batch)
        reach("committed")
        self._store.write_rows(self._partition, rows, changelog_offset)
        if erased:
            self._store.compact(self._partition)
        reach("written")

    async def _folded(self, batch: Batch) -> Folded:
        """Fold a batch; in a thread where it may adopt a ruleset, as the whole partition is folded again then."""
        if any(record.key is not None and record.key.startswith(ADOPTION_PREFIX) for record in batch.records):
            return await self._in_thread(lambda: self._fold.fold(batch))
        return self._fold.fold(batch)

    def _in_thread(self, call: Callable[[], _Result]) -> Awaitable[_Result]:
        return asyncio.get_running_loop().run_in_executor(self._executor, call)


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
