"""One partition's work: its batches in order, and its share of each round."""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

from models.errors import ContractError
from streams.health.report import State
from streams.partition.batch import Batch
from streams.partition.kafka_questions import asks_kafka, look_up
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded, StoredRow
from streams.partition.sizes import framed_size
from streams.runtime.failpoints import reach
from streams.worker.measuring.facts import Facts
from streams.worker.measuring.rounds import RoundFigures, Stopwatch
from streams.worker.table.store import BatchStore
from streams.worker.transactions.interface import Transactions
from streams.worker.transactions.partition_transactions import PartitionTransactions
from topics.records.adoptions import ADOPTION_PREFIX

__all__ = ["Lane", "Share", "may_adopt"]

_FEW_RECORDS: Final = 1_000
"""Most source records in a small round. With more of them, librdkafka takes less of the worker's own core."""

_Result = TypeVar("_Result")


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
        small: the transactions of the small rounds that this partition leads; None: it uses ``transactions`` for them,
            too.
        few_records: the greatest number of source records in a small round that this partition leads.
        figures: takes the durations and the ages of events; None: nobody looks at them.
        clock: the time in seconds.

    Attributes:
        partition: the partition.
        transactions: its transactions.
        small: the transactions of small rounds.
        few_records: the greatest number of source records in a small round.
        committing: the commit of its last batch, or another task that uses its producer; None: there was none yet.
        figures: takes the durations and the ages of events.
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
        figures: RoundFigures | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.partition = self._partition = partition
        self._fold = fold
        self.transactions = transactions
        self.small = small
        self.few_records = few_records
        self._store = store
        self._changelog = changelog
        self._executor = executor
        self._next = start
        self.committing: asyncio.Future[Any] | None = None
        self.figures = figures or RoundFigures()
        # The offset before which everything is committed, and when it last moved, or the partition began.
        self._committed = start
        self._clock = clock
        self._moved_at = clock()
        # The batches under way: the end of each, and the broker's time of its first record.
        self._under_way: deque[tuple[int, int]] = deque()

    def facts(self, adoption: tuple[int, int] | None) -> Facts:
        """What is known of the partition. May be called from any thread.

        Args:
            adoption: the offset before which it is folded again for an adoption, and the one before which it has to be;
                None: none is under way.
        """
        under_way, committing = list(self._under_way), self.committing
        return Facts(
            self.partition,
            State.RUNNING if adoption is None else State.ADOPTING,
            self._moved_at,
            position=self._next,
            committed=self._committed,
            oldest_ms=under_way[0][1] if under_way else None,
            is_busy=bool(under_way) or (committing is not None and not committing.done()),
            adoption=adoption,
        )

    async def fold(self, batch: Batch, room: int = sys.maxsize) -> "Share":
        """Fold a batch. It has to start where the last one ended; a gap means that records were lost on the way.

        Args:
            batch: the batch.
            room: the greatest number of bytes of output. Records that do not fit are the share's ``rest``.

        Raises:
            ContractError: there is a gap, or another catalogue wrote the state.
        """
        if batch.start != self._next:
            raise ContractError(
                f"{batch.topic} partition {self._partition}: the next batch starts at {batch.start}, expected "
                f"{self._next}. The offset was reset, or the topic was truncated or re-created: nothing was processed. "
                "Restart the worker; if this comes again, compare the topic's offsets with the group's"
            )
        if batch.records:
            self._under_way.append((batch.end, batch.records[0].timestamp))
        watch = Stopwatch()
        folded = await self._folded(batch, room)
        self.figures.fold.add(watch.seconds)
        self._next = folded.end
        taken, rest = batch.cut(folded.end)
        self.figures.batch_records.add(len(taken.records))
        return Share(self, taken, folded, list(folded.rows()), rest)

    def passed(self, offset: int) -> None:
        """Set the next offset after a record that was processed outside of a batch: the adoption of a ruleset."""
        self._next = offset + 1
        self._moved(offset + 1)

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        if self.committing is not None:
            await asyncio.wait([self.committing])

    async def close(self) -> None:
        """Wait for the commit in flight, then release the partition."""
        await self.drained()
        await self.in_thread(self.transactions.close)

    def produce(self, share: "Share", transactions: Transactions) -> None:
        """Add this partition's share of a round to the round's transaction."""
        transactions.produce(share.folded.outgoing)
        # The producer has its own copies, so these are dropped: for a large batch they take several MB.
        share.folded.outgoing = []
        transactions.produce_rows(self._changelog, self._partition, share.rows)

    def write(self, share: "Share", changelog_offsets: Mapping[int, int]) -> None:
        """Write the committed share to RocksDB. Erased rows are removed from its files at once.

        Args:
            share: the share.
            changelog_offsets: for each partition, the changelog offset of its last row.
        """
        self._store.write_rows(self._partition, share.rows, changelog_offsets[self._partition])
        if share.folded.removed:
            self._store.compact(self._partition)
        reach("written")

    def written(self, share: "Share") -> None:
        """Note that RocksDB has the share. Called on the event loop."""
        self._fold.written(share.folded)
        if share.batch.end > self._committed:
            self.figures.committed(share.batch.records)
        self._moved(share.batch.end)

    def _moved(self, end: int) -> None:
        """Note that everything before an offset is committed."""
        self._committed = max(self._committed, end)
        self._moved_at = self._clock()
        while self._under_way and self._under_way[0][0] <= end:
            self._under_way.popleft()

    async def _folded(self, batch: Batch, room: int) -> Folded:
        """Fold a batch. If entries have to be read from Kafka for it, read them first, in a thread."""
        if asks_kafka(batch):
            await self.in_thread(lambda: look_up(self._fold, batch))
        return self._fold.fold(batch, room)

    def in_thread(self, call: Callable[[], _Result]) -> Awaitable[_Result]:
        """Run a blocking step in the executor."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call)


@dataclass(frozen=True, slots=True)
class Share:
    """One partition's share of a round.

    Attributes:
        lane: the partition's lane.
        batch: its batch, or the part of it whose output fitted.
        folded: the result of the fold.
        rows: the changed rows.
        rest: the other records of the batch; None: there are none.
    """

    lane: Lane
    batch: Batch
    folded: Folded
    rows: Sequence[StoredRow]

    rest: Batch | None = None

    @property
    def framed_size(self) -> int:
        """An upper bound of the bytes of the batch's output and rows, as uncompressed records."""
        outgoing = sum(framed_size(record.key, record.value, record.headers or ()) for record in self.folded.outgoing)
        return outgoing + sum(framed_size(key, value, ()) for key, value in self.rows)


def may_adopt(batch: Batch) -> bool:
    """Whether any of the batch's records looks like the adoption of a ruleset."""
    return any(record.key is not None and record.key.startswith(ADOPTION_PREFIX) for record in batch.records)
