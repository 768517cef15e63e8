"""Recovery of the table from a transactional changelog.

Faust ends a recovery when it has seen the record before the high watermark. In a transactional changelog the last
offset is a commit marker, which no reader ever sees, and Faust would wait for ever. Here a partition is recovered when
the position after the rows that were *written* has reached the high watermark. Rows are written once for each poll.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.runtime.clock import system_ms
from streams.worker.table.age import too_old_because

__all__ = ["BatchRecovery", "BatchTableManager"]


class BatchRecovery(Recovery):
    """Faust's recovery. The transport reports its progress once for each poll, and not for each record."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading = False
        self._read_to: dict[TP, int] = {}
        # By partition of the changelog, for those who watch: the offsets that were read since the start.
        self._restored: Counter[int] = Counter()

    @property
    def restored(self) -> dict[int, int]:
        """How many offsets of each partition's changelog were read since the start; from any thread."""
        return dict(self._restored)

    def remaining(self) -> dict[int, int]:
        """How many offsets of each active partition's changelog are still to be read; from any thread."""
        applied = dict(self.active_offsets)
        return {
            tp.partition: max(end - (-1 if (at := applied.get(tp)) is None else at), 0)
            for tp, end in dict(self.active_highwaters).items()
            if end is not None
        }

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Clear the signal of an earlier recovery's end, so that it does not end the recovery that now begins."""
        self._reading = False
        self._read_to.clear()
        await super().on_rebalance(*args, **kwargs)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ARG002, ASYNC109 - Faust's signature
        """Wait for a step of the recovery without a limit: the transport has time limits for its requests.

        Faust treats a step that takes too long like a stop of the service: the recovery ends silently, and the worker
        keeps its partitions and does nothing. (``test_a_recovery_does_not_end_on_a_leader_that_is_silent``)
        """
        await super()._wait(coro)

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Mapping[TP, int], title: str) -> None:
        """Seek past the last applied record; from here on the recovery can end.

        Faust seeks *to* it, reads it again, and for an empty partition turns -1 into 0: the same off-by-one, which in
        a changelog that starts later than 0 is an offset out of range.

        Faust clears the signal of a recovery's end only every 5 s, and marks a recovery as started before it has the
        high watermarks. A recovery soon after another one would end at once, because of the earlier one's signal or
        watermarks. (``test_no_recovery_ends_before_it_has_sought`` and those beside it)
        """
        starts = {tp: offsets[tp] + 1 for tp in tps}
        await consumer.seek_wait(starts)
        self._read_to.update(starts)
        if title == "active":
            self.signal_recovery_end.clear()
            self._reading = True

    async def _build_offsets(self, consumer: Any, tps: set[TP], destination: Any, title: str) -> None:
        """Wipe local state that does not fit its changelog, then continue as with an empty disk.

        A worker writes its database after the commit, so it is never ahead of the changelog. If it is, the changelog
        was re-created or truncated, or the directory belongs to another installation. Faust raises a
        ``ConsistencyError``, at every start again. (``test_damaged_databases_are_wiped_and_rebuilt``)

        A database that was unused for too long would miss removals of rows: see :mod:`streams.worker.table.age`.
        Standbys are checked, too, because they become active without another check.
        """
        ends = await consumer.highwaters(*tps)
        retention_ms = await self.app.changelog_retention.ask() if tps else 0
        for tp in tps:
            stored, store = destination[tp], self.tp_to_table[tp].data
            if stored is None:
                continue
            end = ends[tp] or 0
            if stored >= end:
                reason: str | None = f"that ends at {end}"
            else:
                as_of_ms, now_ms = store.as_of_ms(tp.partition), system_ms()
                reason = too_old_because(stored, as_of_ms, end=end, now_ms=now_ms, retention_ms=retention_ms)
            if reason is not None:
                store.discard(
                    tp.partition, f"it stands at offset {stored} of {tp.topic} partition {tp.partition}, and {reason}"
                )
                destination[tp] = None
        await super()._build_offsets(consumer, tps, destination, title)

    def expected(self, tp: TP) -> int | None:
        """The offset at which the next rows of a changelog partition have to start; None: nothing is read of it."""
        return self._read_to.get(tp)

    def applied(self, tp: TP, end: int) -> None:
        """Note that the rows of a changelog partition up to a position are in RocksDB."""
        self._restored[tp.partition] += max(end - self._read_to.get(tp, end), 0)
        self._read_to[tp] = end
        offsets = self.active_offsets if tp in self.active_tps else self.standby_offsets
        offsets[tp] = max(end - 1, offsets[tp] or -1)

    def signal_when_complete(self) -> None:
        """End the recovery once the rows of every active partition are applied up to its high watermark.

        Called after each poll: if Faust clears the signal before it waits for it, the next poll sets it again.
        """
        if self.in_recovery and self._reading and self.active_highwaters and not self.need_recovery():
            self.signal_recovery_end.set()


class BatchTableManager(TableManager):
    """Faust's table manager with :class:`BatchRecovery`."""

    _recovery: BatchRecovery | None

    @property
    def recovery(self) -> BatchRecovery:
        """The recovery service; Faust has no setting for its class."""
        if self._recovery is None:
            self._recovery = BatchRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
