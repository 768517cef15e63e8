"""Planted defects: workers that each break one rule. The simulation has to find a counterexample for each."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from streams.partition.result import Folded, StoredRow
from streams.partition.state.row_codec import MARK_KEY
from streams.worker.lane import Lane, Share
from streams.worker.round import Membership
from streams.worker.transactions.partition_transactions import PartitionTransactions
from tests.simulation.kafka import SimulatedTransactions
from tests.simulation.log import PartitionLog
from tests.simulation.simulation import Simulation
from tests.simulation.worker import SimulatedStore
from topics.records.record import Record

__all__ = ["DEFECTS"]


class _WrittenBeforeCommit(Simulation):
    class lane(Lane):  # noqa: N801
        def produce(self, share: Share, transactions: PartitionTransactions) -> None:
            db = self._store._db_for_partition(self.partition)
            for key, value in share.rows:
                db.put(key, value)
            super().produce(share, transactions)


class _OffsetApart(Simulation):
    class store(SimulatedStore):  # noqa: N801
        def write_rows(self, partition: int, rows: Any, changelog_offset: int) -> None:
            self._db_for_partition(partition).put(self.offset_key, str(changelog_offset).encode())
            self.reach("written")
            super().write_rows(partition, rows, changelog_offset)


class _OutputsAfterCommit(Simulation):
    class transactions(SimulatedTransactions):  # noqa: N801
        outgoing: Any = ()

        def produce(self, outgoing: Any) -> None:
            self.outgoing = outgoing

        def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
            offsets = super().commit(batches, membership)
            self.begin()
            super().produce(self.outgoing)
            super().commit(batches, membership)
            return offsets


class _OutputsBeforeCommit(Simulation):
    class transactions(SimulatedTransactions):  # noqa: N801
        before: Mapping[int, int] = {}

        def produce(self, outgoing: Any) -> None:
            super().produce(outgoing)
            if outgoing:
                self._guarded("commit_transaction", self._producer.commit_at_once)
                self.before = {**self.before, **self._changelog_offsets}
                self.begin()

        def commit(self, batches: Sequence[Batch], membership: Membership) -> Mapping[int, int]:
            return {**self.before, **super().commit(batches, membership)}


class _FencedLate(Simulation):
    """The new producer comes with the first batch, and nothing is waited for: either alone would do."""

    def outwait(self, partition: int) -> None:
        """Not at all."""

    class transactions(SimulatedTransactions):  # noqa: N801
        fenced = False

        def fence(self) -> None:
            """Not yet."""

        def begin(self) -> None:
            if not self.fenced:
                super().fence()
                self.fenced = True
            super().begin()


class _NotOutwaited(Simulation):
    def outwait(self, partition: int) -> None:
        """This worker waits for no transaction: it only fences the partition's own producer."""


class _OnlyRecordsOutwaited(Simulation):
    def outwait(self, partition: int) -> None:
        """This worker does not wait for transactions that have offsets, but no records yet."""
        for identity in self.kafka.open_in(self.changelog(partition)):
            self.kafka.fence(identity)


class _SilenceIsAnEnd(Simulation):
    def ask_end(self, log: PartitionLog, *, committed_only: bool) -> int:
        """This new owner uses -1001 as an end, below which no transaction can be open."""
        return log.told_end(committed_only=committed_only)


class _NoMark(Simulation):
    class transactions(SimulatedTransactions):  # noqa: N801
        def produce_rows(self, changelog: str, partition: int, rows: Sequence[StoredRow]) -> None:
            super().produce_rows(changelog, partition, [row for row in rows if row[0] != MARK_KEY] or rows)


class _RecoveryEndsEarly(Simulation):
    def restore(self, store: SimulatedStore, partition: int, records: list[Record]) -> None:
        end = max((record.offset for record in self.changelog(partition).history()), default=0)
        super().restore(store, partition, [record for record in records if record.offset < end])


class _AppliedFoldedAgain(Simulation):
    class fold(PartitionFold):  # noqa: N801
        def fold(self, batch: Batch, room: int = sys.maxsize) -> Folded:
            applied = self.mark.applied
            self.mark = msgspec.structs.replace(self.mark, applied=-1)
            folded = super().fold(batch, room)
            self.mark = folded.mark = msgspec.structs.replace(self.mark, applied=max(applied, folded.end - 1))
            return folded


class _NothingPinned(Simulation):
    class fold(PartitionFold):  # noqa: N801
        def fold(self, batch: Batch, room: int = sys.maxsize) -> Folded:
            folded = super().fold(batch, room)
            self._rows._pairs.shrink([])
            return folded


class _UncommittedRead(Simulation):
    def poll(self, log: PartitionLog, start: int, limit: int) -> tuple[list[Record], int]:
        return log.poll(start, limit, committed_only=False)


class _MarkEndsAtLastRecord(Simulation):
    class fold(PartitionFold):  # noqa: N801
        def fold(self, batch: Batch, room: int = sys.maxsize) -> Folded:
            folded = super().fold(batch, room)
            before = self.mark.applied
            self.mark = folded.mark = msgspec.structs.replace(self.mark, applied=min(before, batch.records[-1].offset))
            return folded


DEFECTS: dict[str, type[Simulation]] = {
    "RocksDB is written before the commit": _WrittenBeforeCommit,
    "the changelog offset is not in the batch of rows": _OffsetApart,
    "outputs are committed after the offset": _OutputsAfterCommit,
    "outputs are committed before the state": _OutputsBeforeCommit,
    "earlier owners are fenced by the first batch only, and not outwaited": _FencedLate,
    "what another partition's producer left open is not waited for": _NotOutwaited,
    "offsets whose records are still on their way are not waited for": _OnlyRecordsOutwaited,
    "a new owner takes -1001 as an end": _SilenceIsAnEnd,
    "the mark is not in the changelog": _NoMark,
    "the recovery ends one record early": _RecoveryEndsEarly,
    "records that the state contains are folded again": _AppliedFoldedAgain,
    "what is not yet in RocksDB is forgotten": _NothingPinned,
    "aborted and open transactions are read": _UncommittedRead,
    "the mark ends where the records do, not the batch": _MarkEndsAtLastRecord,
}
