"""Any order of events, crashes, rebalances and compactions: the committed outputs are the oracle's, exactly once.

A state machine drives the product's lane, fold, transactions and RocksDB store on a simulated Kafka, and asks the
checker after each step. The planted defects show that it would notice.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from models.errors import ContractError
from streams.core.compiled import is_compiled
from streams.partition.batch import Batch
from streams.partition.fold import PartitionFold
from streams.partition.result import Folded, StoredRow
from streams.partition.row_codec import MARK_KEY
from streams.worker.lane import Lane, Share
from streams.worker.transactions.librdkafka import PartitionTransactions
from tests.bad_inputs import BAD_INPUTS
from tests.oracle import Tombstone
from tests.simulated_kafka import PartitionLog, SimulatedTransactions
from tests.simulated_worker import PARTITIONS, POINTS, WORKERS, SimulatedStore, Worker
from tests.simulation import Simulation
from tests.strategies import APPLICATION, OTHER_APPLICATION, PROCESSORS, events
from topics.contract.keys import partition_of
from topics.records.record import Record

STEPS = 50

MEMORY = Path("/dev/shm")
"""Linux's file system in memory: RocksDB waits for the disk whenever a database is closed, hundreds of times here."""

_THIRD_APPLICATION = "app-3"
PAIRS = [
    (application, processor)
    for application in (APPLICATION, OTHER_APPLICATION, _THIRD_APPLICATION)
    for processor in (PROCESSORS[0], PROCESSORS[-1])
]
EVENTS = events(pairs=PAIRS, number=0, event_id="named when it is published")
SMALL_BAD_INPUTS = [bad.value for bad in BAD_INPUTS.values() if len(bad.value or b"") < 1_000]

PARTITION = st.integers(0, PARTITIONS - 1)
WORKER = st.integers(0, WORKERS - 1)
OWNERS = st.tuples(*[WORKER] * PARTITIONS)
SEAT = st.integers(0, WORKERS * PARTITIONS - 1)
LIMIT = st.sampled_from([1, 2, 3, 100])


def test_both_partitions_have_applications() -> None:
    """One partition has two applications, the other one."""
    assert len({partition_of(application, PARTITIONS) for application, _ in PAIRS}) == PARTITIONS


class Machine(RuleBasedStateMachine):
    """What may happen to the workers and to Kafka."""

    simulation: type[Simulation] = Simulation

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.sim: Simulation | None = None
        self.events: list[dict[str, Any]] = []
        self.sound = True

    @initialize(cached_pairs=st.sampled_from([0, 1, 100]), lingering=st.booleans(), owners=OWNERS)
    def begin(self, cached_pairs: int, lingering: bool, owners: tuple[int, ...]) -> None:  # noqa: FBT001
        self.sim = self.simulation(Path(self.directory.name), cached_pairs=cached_pairs, producers_linger=lingering)
        self.sim.rebalance(owners, unaware=False)

    # -- the source

    @rule(new=st.lists(EVENTS, min_size=1, max_size=4), pair=st.sampled_from(PAIRS))
    def publish(self, new: list[dict[str, Any]], pair: tuple[str, str]) -> None:
        """Some events of one pair."""
        self._publish(new, pair)

    def _publish(self, new: list[dict[str, Any]], pair: tuple[str, str]) -> None:
        for event in new:
            named = event | {"application_id": pair[0], "processor": pair[1], "event_id": f"e{len(self.events)}"}
            self.events.append(named)
            self.sim.producers.publish(named)

    @precondition(lambda self: self.events)
    @rule(which=st.integers(0, 99))
    def publish_again(self, which: int) -> None:
        self.sim.producers.publish(self.events[which % len(self.events)])

    @rule(event=EVENTS, old=st.booleans(), canonical=st.sampled_from([(False, True), (False, False), (True, False)]))
    def publish_foreign(self, event: dict[str, Any], old: bool, canonical: tuple[bool, bool]) -> None:  # noqa: FBT001
        if old and self.events:
            named = self.events[-1]
        else:
            named = event | {"event_id": f"e{len(self.events)}"}
            self.events.append(named)
        self.sim.producers.publish_foreign(named, canonical_key=canonical[0], canonical_partition=canonical[1])

    @rule(which=st.integers(0, 99), application=st.sampled_from([APPLICATION, OTHER_APPLICATION]))
    def erase(self, which: int, application: str) -> None:
        """A tombstone of a published event, or of the one that comes next."""
        number = which % (len(self.events) + 1)
        if number < len(self.events):
            application = self.events[number]["application_id"]
        self.sim.producers.publish(Tombstone(application, f"e{number}"))

    @rule(partition=PARTITION, value=st.sampled_from(SMALL_BAD_INPUTS))
    def publish_bad(self, partition: int, value: bytes | None) -> None:
        self.sim.producers.publish_bad(partition, value)

    @rule(event=EVENTS)
    def publish_aborted(self, event: dict[str, Any]) -> None:
        self.sim.producers.publish_aborted(event | {"event_id": "aborted"})

    @rule(partition=PARTITION)
    def compact_source(self, partition: int) -> None:
        self.sim.compact_source(partition)

    @rule(partition=PARTITION)
    def compact_changelog(self, partition: int) -> None:
        self.sim.compact_changelog(partition)

    # -- the workers

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, limit=LIMIT, times=st.integers(1, 3))
    def deliver(self, seat: int, limit: int, times: int) -> None:
        """Batches that are folded while earlier ones are still to be committed."""
        worker, partition = self._seat(seat)
        for _ in range(times):
            if partition in worker.seats:
                self.sim.deliver(worker, partition, limit)

    @precondition(lambda self: self.sim.seats())
    @rule(new=st.lists(EVENTS, min_size=2, max_size=3), pair=st.sampled_from(PAIRS))
    def fold_ahead(self, new: list[dict[str, Any]], pair: tuple[str, str]) -> None:
        """Each event of a pair in a batch of its own, folded before the last one is in RocksDB."""
        partition = partition_of(pair[0], PARTITIONS)
        for worker, owned in self.sim.seats():
            if owned == partition:
                self.sim.deliver(worker, partition, 100)
        self._publish(new, pair)
        for worker in self.sim.workers:
            for _ in new:
                if partition in worker.seats:
                    self.sim.deliver(worker, partition, 1)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT)
    def commit(self, seat: int) -> None:
        self.sim.commit(*self._seat(seat))

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, limit=LIMIT)
    def work(self, seat: int, limit: int) -> None:
        """A batch from its delivery to its acknowledgement."""
        self._work(seat, limit)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, point=st.sampled_from(POINTS[1:]), passes=st.integers(0, 2))
    def crash(self, seat: int, point: str, passes: int) -> None:
        """A worker dies at a point of its work; if not in this batch, in a later one or in a recovery."""
        worker, _ = self._seat(seat)
        worker.doom = (point, passes)
        self._work(seat, 100)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, point=st.sampled_from(["offsets", "flush", "commit", "committed", "written"]))
    def lose_partitions_in_a_commit(self, seat: int, point: str) -> None:
        """Held up in its commit until the other has taken over, a worker goes on as if nothing had happened."""
        worker, partition = self._seat(seat)
        other = 1 - self.sim.workers.index(worker)
        worker.meanwhile = (point, lambda: self.sim.rebalance((other,) * PARTITIONS, unaware=True))
        self._work(seat, 100)
        worker.meanwhile = None
        self._do(self.sim.workers[other], partition, 100)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, limit=LIMIT, committed=st.booleans())
    def work_in_a_round(self, seat: int, limit: int, committed: bool) -> None:  # noqa: FBT001
        """Batches of all partitions of a worker in one transaction; they are committed, or left for later."""
        worker, partition = self._seat(seat)
        self._do_round(worker, partition, limit, committed=committed)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, point=st.sampled_from(POINTS[1:]), passes=st.integers(0, 3))
    def crash_in_a_round(self, seat: int, point: str, passes: int) -> None:
        worker, partition = self._seat(seat)
        worker.doom = (point, passes)
        self._do_round(worker, partition, 100)

    @rule(
        number=WORKER,
        leader=PARTITION,
        point=st.sampled_from(["offsets", "flush", "commit", "committed", "written"]),
        late=st.none() | PARTITION,
        new=st.lists(EVENTS, min_size=1, max_size=2),
    )
    def lose_partitions_in_a_round(
        self, number: int, leader: int, point: str, late: int | None, new: list[dict[str, Any]]
    ) -> None:
        """Held up in a round until another worker has taken over, all partitions or all but one, it goes on."""
        self.sim.rebalance((number,) * PARTITIONS, unaware=False)
        for application in (APPLICATION, OTHER_APPLICATION, _THIRD_APPLICATION):
            self._publish(new, (application, PROCESSORS[0]))
        worker, other = self.sim.workers[number], 1 - number
        owners = tuple(None if partition == late else other for partition in range(PARTITIONS))
        worker.meanwhile = (point, lambda: self.sim.rebalance(owners, unaware=True))
        self._do_round(worker, leader, 100)
        worker.meanwhile = None
        for partition in range(PARTITIONS):
            self._do(self.sim.workers[other], partition, 100)

    @rule(owners=OWNERS, unaware=st.booleans())
    def rebalance(self, owners: tuple[int, ...], unaware: bool) -> None:  # noqa: FBT001
        self.sim.rebalance(owners, unaware=unaware)

    @rule(number=WORKER, point=st.sampled_from(["fenced", "written"]), passes=st.integers(0, 2))
    def crash_in_a_recovery(self, number: int, point: str, passes: int) -> None:
        worker = self.sim.workers[number]
        self.sim.kill(worker)
        worker.doom = (point, passes)
        self.sim.rebalance((number,) * PARTITIONS, unaware=False)

    @rule(number=WORKER)
    def kill(self, number: int) -> None:
        self.sim.kill(self.sim.workers[number])

    @rule(number=WORKER)
    def lose_disk(self, number: int) -> None:
        self.sim.lose_disk(self.sim.workers[number])

    @rule(owners=OWNERS)
    def restart_from_nothing(self, owners: tuple[int, ...]) -> None:
        for worker in self.sim.workers:
            self.sim.lose_disk(worker)
        self.sim.rebalance(owners, unaware=False)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, back=st.integers(1, 9))
    def redeliver(self, seat: int, back: int) -> None:
        self.sim.redeliver(*self._seat(seat), back)

    @rule(partition=PARTITION, back=st.none() | st.integers(1, 9))
    def set_group_back(self, partition: int, back: int | None) -> None:
        self.sim.set_back(partition, back)

    @rule(partition=PARTITION)
    def transaction_times_out(self, partition: int) -> None:
        self.sim.expire(partition)

    # -- the laws

    @invariant()
    def exactly_once(self) -> None:
        if self.sim is not None and self.sound:
            self.sound = False
            self.sim.verify()
            self.sound = True

    def teardown(self) -> None:
        try:
            if self.sim is not None:
                try:
                    if self.sound:
                        self.sim.finish()
                finally:
                    self.sim.close()
        finally:
            self.directory.cleanup()

    def _seat(self, number: int) -> Any:
        seats = self.sim.seats()
        return seats[number % len(seats)]

    def _work(self, number: int, limit: int) -> None:
        self._do(*self._seat(number), limit)

    def _do_round(self, worker: Worker, leader: int, limit: int, *, committed: bool = True) -> None:
        self.sim.deliver_round(worker, leader, limit)
        for partition in range(PARTITIONS):
            if committed and partition in worker.seats:
                self.sim.commit(worker, partition)

    def _do(self, worker: Worker, partition: int, limit: int) -> None:
        if partition in worker.seats:
            self.sim.deliver(worker, partition, limit)
        if partition in worker.seats:
            self.sim.commit(worker, partition)


def test_any_history_is_folded_exactly_once() -> None:
    """Whatever happens in whatever order, outputs, state and disks are the oracle's, and at the end nothing lacks."""
    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=STEPS))


# -- planted defects


class _WrittenBeforeCommit(Simulation):
    class lane(Lane):  # noqa: N801
        def produce(self, share: Share, transactions: PartitionTransactions) -> None:
            db = self._store._db_for_partition(self._partition)
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

        def commit(self, batches: Sequence[Batch]) -> Mapping[int, int]:
            offsets = super().commit(batches)
            self.begin()
            super().produce(self.outgoing)
            super().commit(batches)
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

        def commit(self, batches: Sequence[Batch]) -> Mapping[int, int]:
            return {**self.before, **super().commit(batches)}


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
        """Nothing is waited for: the fence of the partition's own producer is all there is."""


class _OnlyRecordsOutwaited(Simulation):
    def outwait(self, partition: int) -> None:
        """What has offsets and no records yet is not waited for."""
        for identity in self.kafka.open_in(self.changelog(partition)):
            self.kafka.fence(identity)


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
        def fold(self, batch: Batch) -> Folded:
            applied = self.mark.applied
            self.mark = msgspec.structs.replace(self.mark, applied=-1)
            folded = super().fold(batch)
            self.mark = folded.mark = msgspec.structs.replace(self.mark, applied=max(applied, batch.end - 1))
            return folded


class _NothingPinned(Simulation):
    class fold(PartitionFold):  # noqa: N801
        def fold(self, batch: Batch) -> Folded:
            folded = super().fold(batch)
            self._rows._pairs.shrink([])
            return folded


class _UncommittedRead(Simulation):
    def poll(self, log: PartitionLog, start: int, limit: int) -> tuple[list[Record], int]:
        return log.poll(start, limit, committed_only=False)


class _MarkEndsAtLastRecord(Simulation):
    class fold(PartitionFold):  # noqa: N801
        def fold(self, batch: Batch) -> Folded:
            folded = super().fold(batch)
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
    "the mark is not in the changelog": _NoMark,
    "the recovery ends one record early": _RecoveryEndsEarly,
    "records that the state contains are folded again": _AppliedFoldedAgain,
    "what is not yet in RocksDB is forgotten": _NothingPinned,
    "aborted and open transactions are read": _UncommittedRead,
    "the mark ends where the records do, not the batch": _MarkEndsAtLastRecord,
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect: str) -> None:
    """Each defect has a counterexample among the first histories."""
    if is_compiled() and DEFECTS[defect].fold is not PartitionFold:
        pytest.skip("the defect takes the place of a compiled part")
    machine = type("DefectiveMachine", (Machine,), {"simulation": DEFECTS[defect]})
    quickly = settings(
        max_examples=1_000,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((AssertionError, ContractError)):
        run_state_machine_as_test(machine, settings=quickly)
