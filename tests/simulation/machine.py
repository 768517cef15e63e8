"""A state machine of events that may happen to the workers and to Kafka: the laws have to hold in every history."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consolidator.keys import partition_of
from tests.inputs.bad_inputs import BAD_INPUTS
from tests.inputs.strategies import APPLICATION, OTHER_APPLICATION, PROCESSORS, events
from tests.oracle.expected import Tombstone
from tests.simulation.simulation import Simulation
from tests.simulation.worker import PARTITIONS, POINTS, WORKERS, Worker

__all__ = ["PAIRS", "Machine"]

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


class Machine(RuleBasedStateMachine):
    """The events that may happen to the workers and to Kafka."""

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
        """A tombstone of a published event, or of the next event."""
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
        """A worker dies at a point of its work: in this batch, in a later one, or in a recovery."""
        worker, _ = self._seat(seat)
        worker.doom = (point, passes)
        self._work(seat, 100)

    @precondition(lambda self: self.sim.seats())
    @rule(seat=SEAT, point=st.sampled_from(["offsets", "flush", "commit", "committed", "written"]))
    def lose_partitions_in_a_commit(self, seat: int, point: str) -> None:
        """A worker is blocked in its commit until another one has taken over; then it continues, unaware of that."""
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
        """A worker is blocked in a round until another one has taken over all partitions, or all but one."""
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

    @rule(partition=PARTITION)
    def leader_falls_silent(self, partition: int) -> None:
        """A leader becomes silent, until a step waits for it."""
        self.sim.changelog(partition).silent = True

    @rule(number=WORKER, leader=PARTITION, new=st.lists(EVENTS, min_size=1, max_size=2), late=st.booleans())
    def lose_partitions_to_a_silent_leader(
        self,
        number: int,
        leader: int,
        new: list[dict[str, Any]],
        late: bool,  # noqa: FBT001
    ) -> None:
        """A round is committed, one changelog's leader falls silent before its marker, and the worker dies."""
        self.sim.rebalance((number,) * PARTITIONS, unaware=False)
        for application in (APPLICATION, OTHER_APPLICATION, _THIRD_APPLICATION):
            self._publish(new, (application, PROCESSORS[0]))
        worker, other, follower = self.sim.workers[number], 1 - number, 1 - leader
        worker.meanwhile = ("commit", lambda: self.leader_falls_silent(follower))
        self._do_round(worker, leader, 100)
        self.sim.kill(worker)
        owners = tuple(None if late and partition == leader else other for partition in range(PARTITIONS))
        self.sim.rebalance(owners, unaware=True)

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
