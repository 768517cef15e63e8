"""The job that takes a partition over to this worker's ruleset, in the background (``docs/decisions/0023``)."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar

import structlog

from models.errors import InfrastructureError
from streams.partition.adoption import Adopting
from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded
from streams.runtime.failpoints import reach
from streams.worker.lane import Lane, Share, may_adopt
from streams.worker.process_round import commit_alone, process
from streams.worker.refold.job import RefoldJob, RefoldQueue
from streams.worker.refold.table import RefoldDirectory, RefoldTable
from streams.worker.round import Membership

__all__ = ["AdoptionJob"]

_TOLD_EVERY_S: Final = 30.0

_DIRECTORIES: Final = 8
"""Most refold directories of one partition. A second one is used only while a process of an earlier owner holds the
first."""

_PATIENCE_S: Final = 5.0
"""A process whose worker has gone closes its database within a second or two."""

_RETRY_S: Final = 0.05

_Result = TypeVar("_Result")

_log = structlog.get_logger()


def require_whole(table: RefoldTable, offset: int) -> None:
    """Check that the refold has all records before the adoption, and no others.

    Raises:
        InfrastructureError: it has not.
    """
    if table.applied != offset - 1:
        raise InfrastructureError(
            f"the refold ends at offset {table.applied}, and the adoption is at {offset}: nothing has gone over. Start "
            "the worker again; if this comes again, remove the directory refold under its state directory"
        )


class _StoppedError(Exception):
    """Raised in the job when the partition is released."""


class AdoptionJob:
    """Takes one partition over to another ruleset.

    Up to the record that adopts it, the partition's rounds go on as usual. Batches from that record on wait here until
    the partition has gone over; the other partitions go on meanwhile.

    Args:
        lane: the partition's.
        fold: the partition's.
        refold: folds the partition again.
        queue: the queue of all refolds of the worker.
        announce: writes the adoption, and returns its offset; blocks. None: the log has the adoption already.
        keep: puts the catalogue into the topic of rulesets, where readers of the adoption look for it; blocks.
        hold: called when the partition's next batches have to wait.
        let_go: called when they may come again.
        producing: held while a round is produced: a partition's producer has one transaction at a time.
        failed: called with an error after which the worker must not go on.
    """

    def __init__(
        self,
        lane: Lane,
        fold: PartitionFold,
        refold: RefoldJob,
        queue: RefoldQueue,
        *,
        announce: Callable[[], int] | None,
        keep: Callable[[], object],
        hold: Callable[[], object],
        let_go: Callable[[], object],
        producing: asyncio.Lock,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._lane = lane
        self._fold = fold
        self._refold = refold
        self._queue = queue
        self._announce_record = announce
        self._keep = keep
        self._hold = hold
        self._let_go = let_go
        self._producing = producing
        self._failed = failed
        # The waiting batches, each with the membership of its round.
        self._aside: deque[tuple[Batch, Membership]] = deque()
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._is_over = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._report)

    @property
    def progress(self) -> tuple[int, int] | None:
        """The offset before which it is folded again, and where the source ends; None: the partition has gone over."""
        return None if self._is_over else (self._refold.progress.done, self._refold.progress.end)

    def takes(self, batch: Batch, membership: Membership) -> bool:
        """Let a batch wait here if it may adopt the ruleset, or follows one that waits. Return whether it waits."""
        if not self._aside and (self._is_over or not may_adopt(batch)):
            return False
        self._aside.append((batch, membership))
        self._hold()
        self._arrived.set()
        return True

    async def stop(self) -> None:
        """End promptly, because the partition is released. The lane waits for the commit under way."""
        self._stopping.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Go over.

        1. Fold the partition again in the background. Write the adoption when little is left to be folded.
        2. Meanwhile process the waiting batches up to the adoption. A record that only looks like an adoption does not
           wait.
        """
        with suppress(_StoppedError):
            directory = await self._directory()
            try:
                # 1.
                refolding = asyncio.create_task(self._refolded(directory))
                refolding.add_done_callback(self._report)
                try:
                    # 2.
                    while not self._is_over:
                        await self._or_stop(self._arrived.wait())
                        await self._process_aside(directory, refolding)
                finally:
                    refolding.cancel()
                    await asyncio.wait([refolding])
            finally:
                await self._in_thread(directory.remove if self._is_over else directory.release)

    async def _directory(self) -> RefoldDirectory:
        """The partition's directory; another one if a process of an earlier owner still has it locked."""
        base, partition = self._refold.base, self._refold.task.partition
        deadline = monotonic() + _PATIENCE_S
        while True:
            numbers = range(1) if monotonic() < deadline else range(_DIRECTORIES)
            directory = await self._in_thread(lambda numbers=numbers: RefoldDirectory.free(base, partition, numbers))  # type: ignore[misc]
            if directory is not None:
                return directory
            await self._or_stop(asyncio.sleep(_RETRY_S))

    async def _refolded(self, directory: RefoldDirectory) -> None:
        async with self._queue.turn(is_waited_for=self._announce_record is None):
            await self._refold.run(directory, self._announced)

    async def _announced(self) -> int:
        """Write the adoption into the source, between two transactions of the partition."""
        assert self._announce_record is not None  # noqa: S101 - asked for only where the offset is not known
        await self._in_thread(self._keep)
        async with self._producing:
            await self._lane.drained()
            writing = asyncio.ensure_future(self._lane.in_thread(self._announce_record))
            self._lane.committing = writing
            offset = await asyncio.shield(writing)
        reach("announced")
        return offset

    async def _wait_for(self, refolding: "asyncio.Task[None]") -> None:
        """Wait for the refold; log it if events wait for it, too."""
        begun = monotonic()
        while not refolding.done():
            await asyncio.wait([refolding], timeout=_TOLD_EVERY_S)
            if not refolding.done() and self._aside:
                _log.info(
                    "the partition waits until it is folded again",
                    partition=self._refold.task.partition,
                    offset=self._aside[0][0].start,
                    waited_s=round(monotonic() - begun),
                )
        refolding.result()

    async def _process_aside(self, directory: RefoldDirectory, refolding: "asyncio.Task[None]") -> None:
        """Process each waiting batch in three steps: the part before the adoption, the adoption, the part after it."""
        while self._aside:
            batch, membership = self._aside[0]
            adopting = await self._in_thread(lambda batch=batch: self._fold.adoption_in(batch))  # type: ignore[misc]
            if adopting is not None:
                offset = adopting.record.offset
                if batch.start < offset:
                    await self._process(batch.until(offset), membership)
                await self._or_stop(self._wait_for(refolding))
                await self._go_over(batch, membership, adopting, directory)
                batch = batch.behind(offset)
            self._require()
            if batch.start < batch.end:
                await self._process(batch, membership)
            self._aside.popleft()
        self._arrived.clear()
        self._let_go()

    async def _process(self, batch: Batch, membership: Membership) -> None:
        async with self._producing:
            await process([(self._lane, batch)], membership, lambda: None, self._failed)
        await self._lane.drained()
        self._require()

    async def _go_over(
        self, batch: Batch, membership: Membership, adopting: Adopting, directory: RefoldDirectory
    ) -> None:
        """Commit part after part, each in a transaction; the next part is made while the last one is committed."""
        begun = monotonic()
        opened = self._refold.opened(directory)
        table: RefoldTable = await self._in_thread(opened.__enter__)
        try:
            require_whole(table, adopting.record.offset)
            parts = self._fold.go_over(adopting, table)
            try:
                pairs = await self._commit_parts(batch, membership, adopting, parts)
            finally:
                parts.close()
        finally:
            await self._in_thread(lambda: opened.__exit__(None, None, None))
        self._lane.passed(adopting.record.offset)
        self._is_over = True
        _log.info(
            "the partition has gone over to the new ruleset",
            partition=batch.partition,
            offset=adopting.record.offset,
            ruleset=adopting.rules.name,
            pairs=pairs,
            took_s=round(monotonic() - begun, 1),
        )

    async def _commit_parts(
        self, batch: Batch, membership: Membership, adopting: Adopting, parts: Generator[Folded, None, None]
    ) -> int:
        pairs = 0
        last: Share | None = None
        while True:
            folded = await self._in_thread(lambda: next(parts, None))
            if last is not None:
                assert self._lane.committing is not None  # noqa: S101 - of the last part
                await asyncio.shield(self._lane.committing)
                self._lane.written(last)
                if folded is not None:
                    reach("part")
            if folded is None:
                return pairs
            self._require()
            pairs += len(folded.rewritten)
            at = batch.at(adopting.record, is_applied=not folded.is_halfway)
            last = Share(self._lane, at, folded, list(folded.rows()))
            commit_alone(last, membership, self._failed)

    def _require(self) -> None:
        if self._stopping.is_set():
            raise _StoppedError

    async def _or_stop(self, waiting: Awaitable[_Result]) -> _Result:
        """Wait for a result, or raise when the job has to stop."""
        wanted = asyncio.ensure_future(waiting)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([wanted, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                raise _StoppedError
            return wanted.result()
        finally:
            wanted.cancel()
            stopping.cancel()

    async def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        return await self._lane.in_thread(call)

    def _report(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._stopping.is_set():
            self._failed(error)
