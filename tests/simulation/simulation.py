"""Workers on a simulated Kafka, one step at a time: the product's lane, fold, transactions and RocksDB store.

Nothing happens by itself: a batch is fetched, its commit runs, a worker dies or the group is rebalanced when a test
says so, and always in the same order. Faust's steps around the lane are done here, in the order of ``assignment.py``
and ``consumer.py``: fence, recover from the changelog after the stored offset, continue after the state.

A worker can die, or something else can happen, at each of the ``POINTS`` that it reaches.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from faust.types import TP

from consolidator.connecting.offsets import unanswered
from models.errors import InfrastructureError
from streams.partition.batch import Batch
from streams.partition.partition_fold import PartitionFold
from streams.worker.in_flight import InFlight
from streams.worker.lane import Lane
from streams.worker.process_round import process
from streams.worker.round import Membership
from streams.worker.start_offset import start_offset
from tests.oracle import folds
from tests.oracle.folds import MAX_EVENT_BYTES
from tests.simulation.kafka import SimulatedKafka, SimulatedTransactions, small_transactional_id, transactional_id
from tests.simulation.laws import CHANGELOG, RULES, SOURCE, TOPICS, Laws
from tests.simulation.log import PartitionLog
from tests.simulation.producers import SimulatedProducers
from tests.simulation.worker import WORKERS, Killed, Seat, SimulatedStore, StepExecutor, Worker
from topics.records.record import Record

__all__ = ["Simulation"]


_CACHED_WEIGHT = 1_000_000
_FEW_RECORDS = 2
"""So that both kinds of transactions follow each other in a partition."""


class Simulation(Laws):
    """Kafka, the workers, and the history of the simulation.

    The classes and the steps that have a name are what a planted defect replaces.

    Args:
        directory: for the disks.
        cached_pairs: of each fold.
        producers_linger: whether produced records reach the broker only when they are flushed.
    """

    lane = Lane
    fold = PartitionFold
    transactions = SimulatedTransactions
    store = SimulatedStore
    round_bytes = 10**9
    """That may come of one transaction."""

    def __init__(self, directory: Path, *, cached_pairs: int, producers_linger: bool) -> None:
        self.kafka = SimulatedKafka(producers_linger=producers_linger)
        self.producers = SimulatedProducers(self.kafka, SOURCE)
        self.workers = [Worker(f"worker-{number}", directory / f"worker-{number}") for number in range(WORKERS)]
        self._cached_pairs = cached_pairs
        self._loop = asyncio.new_event_loop()
        self._verified = 0

    # -- the source

    def source(self, partition: int) -> PartitionLog:
        return self.kafka.log(SOURCE, partition)

    def changelog(self, partition: int) -> PartitionLog:
        return self.kafka.log(CHANGELOG, partition)

    def compact_source(self, partition: int) -> None:
        """Do not compact records in flight, so that it is clear which records were read."""
        in_flight = [
            start
            for worker in self.workers
            if partition in worker.seats
            for start in worker.seats[partition].unfinished
        ]
        log = self.source(partition)
        log.compact(below=min(in_flight, default=log.end), read=self.kafka.furthest[partition])

    def compact_changelog(self, partition: int) -> None:
        log = self.changelog(partition)
        log.compact(below=log.end, read=log.end)

    # -- the group

    def seats(self) -> list[tuple[Worker, int]]:
        """Every partition at every worker that is alive, be it the owner or a zombie."""
        return [(worker, partition) for worker in self.workers for partition in sorted(worker.seats)]

    def rebalance(self, owners: tuple[int | None, ...], *, unaware: bool) -> None:
        """Give each partition to a worker, which is started if it is dead.

        Args:
            owners: by partition, the worker's number; None: its new owner does not take it over yet.
            unaware: whether a worker that gets no partitions does not learn of it, and keeps its own: a zombie.
        """
        aware = [worker for number, worker in enumerate(self.workers) if number in owners or not unaware]
        for worker in aware:
            self._release(worker)
        self.kafka.rebalanced({worker.name for worker in aware})
        for number in sorted({owner for owner in owners if owner is not None}):
            worker = self.workers[number]
            partitions = [partition for partition, owner in enumerate(owners) if owner == number]
            try:
                self._acquire(worker, partitions)
            except Killed:
                self.kill(worker)

    def redeliver(self, worker: Worker, partition: int, back: int) -> None:
        """Assign the partition to its owner again, some records before the end of the state: they must be skipped."""
        others = [each for each in worker.seats if each != partition]
        self._release(worker)
        if worker.store is None or worker.name not in self.kafka.members:
            return
        try:
            self._acquire(worker, [partition, *others], back=back)
        except Killed:
            self.kill(worker)

    def set_back(self, partition: int, back: int | None) -> None:
        """The group's offset goes back, or is gone."""
        committed = self.kafka.committed.pop(partition, None)
        if committed is not None and back is not None:
            self.kafka.committed[partition] = max(0, committed - back)

    def expire(self, partition: int) -> None:
        """The broker aborts a partition's transactions that took too long, and fences their producers."""
        self.kafka.fence(transactional_id(partition))
        self.kafka.fence(small_transactional_id(partition))

    def kill(self, worker: Worker) -> None:
        """The process ends at once; the disk stays."""
        for seat in worker.seats.values():
            for task in (seat.processing, seat.lane.committing):
                if task is not None:
                    task.cancel()
        self._settle_loop()
        worker.seats.clear()
        worker.failure = worker.doom = worker.meanwhile = None
        if worker.store is not None:
            self._require_not_ahead(worker.store)
            worker.store.close()
            worker.store = None

    def lose_disk(self, worker: Worker) -> None:
        self.kill(worker)
        shutil.rmtree(worker.directory, ignore_errors=True)

    # -- a worker's steps

    def deliver(self, worker: Worker, partition: int, limit: int) -> None:
        """Give the lane its next batch: it is folded, and produced once the last one is committed."""
        seat = worker.seats[partition]
        # A round may be several transactions, and the next one comes when it is done with all but the last.
        while seat.processing is not None and not seat.processing.done():
            self.commit(worker, partition)
            if worker.seats.get(partition) is not seat:
                return
        batch = self._poll(seat, partition, limit)
        if batch is None:
            return
        self._process(worker, partition, [(seat, batch)])

    def deliver_round(self, worker: Worker, leader: int, limit: int) -> None:
        """Give a worker small batches of all its partitions at once, if none of theirs is under way.

        Args:
            worker: the worker.
            leader: the partition that comes first.
            limit: the greatest number of records in a batch.
        """
        for partition in sorted(worker.seats):
            while partition in worker.seats and worker.seats[partition].unfinished:
                self.commit(worker, partition)
        batches = []
        for partition in sorted(worker.seats, key=lambda each: (each != leader, each)):
            seat = worker.seats[partition]
            batch = self._poll(seat, partition, limit)
            if batch is not None:
                batches.append((seat, batch))
        if batches:
            self._process(worker, batches[0][1].partition, batches)

    def _process(self, worker: Worker, partition: int, batches: list[tuple[Seat, Batch]]) -> None:
        leader, _ = batches[0]

        def acknowledge() -> None:
            for seat, batch in batches:
                seat.unfinished.remove(batch.start)

        lanes, room = [(seat.lane, batch) for seat, batch in batches], InFlight(round_bytes=self.round_bytes)
        rounds = process(lanes, leader.membership, acknowledge, lambda error: _fail(worker, error), room)
        processing = self._loop.create_task(rounds)
        for seat, batch in batches:
            seat.unfinished.append(batch.start)
            seat.leader, seat.processing = leader, processing
        self._settle(worker, partition)

    def commit(self, worker: Worker, partition: int) -> None:
        """Run the waiting commit: offsets, commit, RocksDB, acknowledgement.

        It may wait for a round that another partition leads.
        """
        for seat in (worker.seats[partition].committer, *worker.seats.values()):
            if seat.executor.run():
                self._settle(worker, partition)
                return

    def poll(self, log: PartitionLog, start: int, limit: int) -> tuple[list[Record], int]:
        """Read as a read-committed consumer."""
        return log.poll(start, limit)

    def fence(self, transactions: dict[int, SimulatedTransactions], recover: Callable[[], None]) -> None:
        """Fence all partitions, wait for open transactions in them, then recover them."""
        for each in transactions.values():
            each.fence()
        for partition in transactions:
            self.outwait(partition)
        recover()

    def outwait(self, partition: int) -> None:
        """End open transactions of another partition's producer: its new owner fences it, or the broker aborts them."""
        for identity in self.kafka.offered(partition):
            self.kafka.fence(identity)
        changelog = self.changelog(partition)
        end = self.ask_end(changelog, committed_only=False)
        if self.ask_end(changelog, committed_only=True) < end:
            for identity in self.kafka.open_in(changelog):
                self.kafka.fence(identity)
            changelog.wait_marked()

    def ask_end(self, log: PartitionLog, *, committed_only: bool) -> int:
        """Ask for a partition's end until there is an answer, by the product's judgement."""
        while unanswered({log.partition: log.told_end(committed_only=committed_only)}, [log.partition]):
            log.silent = False
        return log.told_end(committed_only=committed_only)

    def recover(self, store: SimulatedStore, partition: int) -> None:
        """Write the changelog beyond the stored offset to RocksDB, poll by poll."""
        log = self.changelog(partition)
        stored = store.persisted_offset(TP(CHANGELOG, partition))
        position = 0 if stored is None else stored + 1
        # Faust's question for it is not answered before the leader does.
        log.silent = False
        end = log.stable_end
        while position < end:
            records, position = self.poll(log, position, 3)
            self.restore(store, partition, records)

    def restore(self, store: SimulatedStore, partition: int, records: list[Record]) -> None:
        """Write the changelog records of one poll."""
        if records:
            rows = [(record.key or b"", record.value) for record in records]
            store.write_rows(partition, rows, records[-1].offset)

    def _poll(self, seat: Seat, partition: int, limit: int) -> Batch | None:
        records, end = self.poll(self.source(partition), seat.next, limit)
        if not records:
            return None
        start, seat.next = seat.next, end
        read = tuple(folds.Record(each.offset, each.key, each.value, headers=each.headers) for each in records)
        return Batch(SOURCE, partition, start, end, read)

    def _acquire(self, worker: Worker, partitions: list[int], *, back: int = 0) -> None:
        store = worker.store = worker.store or self.store(worker.directory, worker.reach)
        transactions = {each: self.transactions(self.kafka, each, worker.reach) for each in partitions}

        def recover() -> None:
            for partition in partitions:
                self.recover(store, partition)

        self.fence(transactions, recover)
        for partition in partitions:
            self._require_recovered(store, partition)
            worker.seats[partition] = self._seat(worker, store, transactions[partition], partition, back)

    def _seat(
        self, worker: Worker, store: SimulatedStore, transactions: SimulatedTransactions, partition: int, back: int
    ) -> Seat:
        fold = self.fold(
            partition,
            TOPICS,
            RULES,
            store.rows(partition),
            max_event_bytes=MAX_EVENT_BYTES,
            cached_pairs=self._cached_pairs,
            cached_weight=_CACHED_WEIGHT,
        )
        start = start_offset(
            TP(SOURCE, partition),
            applied=fold.mark.applied,
            committed=self.kafka.committed.get(partition),
            earliest=0,
            latest=self.source(partition).stable_end,
            changelog=f"{CHANGELOG} has everything, simulated",
        )
        start = max(0, start - back)
        executor = StepExecutor()
        lane = self.lane(
            partition,
            fold,
            transactions,
            store,
            changelog=CHANGELOG,
            executor=executor,
            start=start,
            small=transactions.small,
            few_records=_FEW_RECORDS,
        )
        return Seat(lane, transactions, executor, Membership("app", self.kafka.generation, worker.name), start)

    def _release(self, worker: Worker) -> None:
        """Finish the rounds in flight, then release the partitions and close their databases."""
        # The last transaction of a round that is cut may be another partition's than the ones before.
        while waiting := [each for each, seat in sorted(worker.seats.items()) if seat.executor._submitted]:
            self.commit(worker, waiting[0])
        for partition in sorted(worker.seats):
            seat = worker.seats[partition]
            closing = self._loop.create_task(seat.lane.close())
            self._settle_loop()
            seat.executor.run()
            self._settle_loop()
            assert closing.done()
            closing.result()
        worker.seats.clear()
        if worker.store is not None:
            self._require_not_ahead(worker.store)
            worker.store.close()

    def _settle(self, worker: Worker, partition: int) -> None:
        """Let the event loop come to rest; a worker that failed is dead."""
        self._settle_loop()
        seat = worker.seats.get(partition)
        if seat is None:
            return
        if seat.processing is not None and seat.processing.done():
            ended = seat.processing
            failure = ended.exception()
            for each in worker.seats.values():
                if each.processing is ended:
                    each.processing = None
            if failure is not None:
                _fail(worker, failure)
        if worker.failure is None:
            return
        error = worker.failure
        if not isinstance(error, Killed):
            if not isinstance(error, InfrastructureError):
                raise error
            stale = seat.membership.generation != self.kafka.generation or worker.name not in self.kafka.members
            fenced = any(not each.transactions.is_current for each in worker.seats.values())
            assert stale or fenced, f"refused without a reason: {error}"
        self.kill(worker)

    def _settle_loop(self) -> None:
        while self._loop._ready:  # type: ignore[attr-defined]
            self._loop.run_until_complete(asyncio.sleep(0))

    # -- the laws

    def close(self) -> None:
        """Release the disks and the event loop."""
        for worker in self.workers:
            for seat in worker.seats.values():
                for task in (seat.processing, seat.lane.committing):
                    if task is not None:
                        task.cancel()
            if worker.store is not None:
                worker.store.close()
        self._settle_loop()
        self._loop.close()


def _fail(worker: Worker, error: BaseException) -> None:
    worker.failure = worker.failure or error
