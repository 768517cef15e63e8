"""Owns the source partitions of this worker: fences earlier owners, starts, processes and releases partitions."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic

import structlog
from confluent_kafka import KafkaError
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from consolidator.connecting.connection import Connection
from models.errors import InfrastructureError
from models.rows import PartitionMark
from streams.health.report import State
from streams.partition.batch import Batch
from streams.partition.observer import Observer
from streams.partition.partition_fold import PartitionFold
from streams.partition.state.cache_limits import WORKER_CACHE
from streams.partition.state.row_codec import MARK_KEY, decode_row
from streams.runtime.failpoints import reach
from streams.worker.adoption_job import AdoptionJob
from streams.worker.in_flight import InFlight
from streams.worker.lane import Lane
from streams.worker.measuring.facts import Facts
from streams.worker.measuring.rounds import RoundFigures
from streams.worker.process_round import process
from streams.worker.refold.job import RefoldJob, RefoldQueue
from streams.worker.refold.messages import task_of
from streams.worker.refold.table import RefoldDirectory
from streams.worker.round import Membership, Round
from streams.worker.ruleset_adoption import Resumed, Rulesets
from streams.worker.source_watch import SourceWatch
from streams.worker.start_offset import start_offset
from streams.worker.table.store import BatchStore
from streams.worker.transactions.earlier_owners import outwait
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers, RoundTransactions
from streams.worker.transport.consumer import BatchConsumer
from topics.contract.declared import Topics

__all__ = ["Engine"]

_THREADS = 8
"""How many blocking commits can run at a time; others wait. Two cores are busy with fewer."""

_log = structlog.get_logger()


class Engine:
    """The worker's :class:`~streams.worker.transport.consumer.PartitionOwner`.

    Args:
        connection: how to reach Kafka.
        app_id: the consumer group's id and the transactional ids' prefix.
        topics: the declared topics.
        rulesets: the ruleset of this worker, and those in Kafka.
        max_event_bytes: larger events become dead letters.
        patience_s: how long a transaction waits for brokers that are down.
        observer: called for each event.
        store: returns the table's RocksDB, once the table exists.
        refold_dir: directory of the databases of partitions that are folded again with another ruleset.
        on_fatal: called with an error after which the worker must not go on.
        on_client_error: called with errors after which librdkafka's clients try again.
        clock: the time in seconds, for :meth:`facts`.

    Attributes:
        accepted: set when partitions go on with this worker's ruleset.
        figures: durations, and ages of events.
    """

    def __init__(
        self,
        connection: Connection,
        app_id: str,
        topics: Topics,
        rulesets: Rulesets,
        *,
        max_event_bytes: int,
        patience_s: float,
        observer: Observer,
        store: Callable[[], BatchStore],
        refold_dir: Path,
        on_fatal: Callable[[BaseException], None],
        on_client_error: Callable[[KafkaError], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._app_id = app_id
        self._topics = topics
        self._rulesets = rulesets
        self._max_event_bytes = max_event_bytes
        self._patience_s = patience_s
        self._observer = observer
        self._store = store
        self._refold_dir = refold_dir
        self._on_fatal = on_fatal
        self._on_client_error = on_client_error
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        self._source = SourceWatch(connection, topics)
        self._transactions: dict[int, PartitionTransactions] = {}
        self._small_rounds = RoundProducers(connection, app_id, patience_s=patience_s)
        self._small: dict[int, RoundTransactions] = {}
        self._lanes: dict[int, Lane] = {}
        # The number of rounds that are being folded, and whose commit has not begun yet.
        self._rounds = 0
        self._adoptions: dict[int, AdoptionJob] = {}
        self._refolds = RefoldQueue()
        self._producing = asyncio.Lock()
        self._releasing = asyncio.Lock()
        self._in_flight = InFlight()
        self._clock = clock
        # The partitions whose earlier owners are being fenced; and since when the present assignment's stage lasts.
        self._fencing: frozenset[int] = frozenset()
        self._stage_since = clock()
        self.accepted = asyncio.Event()
        self.figures = RoundFigures()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight; from any thread."""
        lanes = list(self._lanes.values())
        return not self._rounds and all(lane.committing is None or lane.committing.done() for lane in lanes)

    def facts(self) -> list[Facts]:
        """What is known of each partition. May be called from any thread: it copies before it looks."""
        fencing, since, lanes = self._fencing, self._stage_since, dict(self._lanes)
        adoptions = {partition: each.progress for partition, each in dict(self._adoptions).items()}
        waiting = {*self._transactions, *fencing} - lanes.keys()
        found = [Facts(one, State.FENCING if one in fencing else State.WAITING, since) for one in waiting]
        found += [lane.facts(adoptions.get(partition)) for partition, lane in lanes.items()]
        return sorted(found, key=lambda one: one.partition)

    def stored(self) -> tuple[dict[int, int], int]:
        """The bytes of each partition's state on the disk, and the memory of all of it; from any thread."""
        return self._store().sizes() if self._lanes else ({}, 0)

    def _enter(self, fencing: set[int]) -> None:
        """Note that a stage of an assignment begins: fencing these partitions, or what follows it."""
        self._fencing, self._stage_since = frozenset(fencing), self._clock()

    async def acquire(self, partitions: set[int]) -> None:
        """Fence every earlier owner of these partitions, before their state is recovered.

        1. Make new producers, all at once. That ends every open transaction of the partitions' own producers.
        2. Wait for open transactions of other producers. An earlier owner may have written into these partitions with
           the producer of another partition, which the owner of that partition fences; see ``docs/decisions/0014``.
        """
        self._enter(fencing=partitions)
        try:
            await self.release_all()
            for partition in partitions:
                self._transactions[partition] = PartitionTransactions(
                    self._connection,
                    self._app_id,
                    partition,
                    patience_s=self._patience_s,
                    confirm=partial(self._small_rounds.confirm, partition),
                    on_error=self._on_client_error,
                )
            # 1.
            loop = asyncio.get_running_loop()
            fenced = loop.run_in_executor(self._executor, self._small_rounds.fence, partitions)
            fences = [self._transactions[partition].fence for partition in partitions]
            await asyncio.gather(fenced, *(loop.run_in_executor(self._executor, fence) for fence in fences))
            self._small |= fenced.result()
            # 2.
            await loop.run_in_executor(self._executor, self._outwait, partitions)
        except Exception as error:
            self._on_fatal(error)
            raise
        self._enter(fencing=set())
        reach("acquired")
        _log.info("partitions acquired", partitions=sorted(partitions))

    async def begin(self, consumer: BatchConsumer, partitions: set[int]) -> Mapping[int, int]:
        """Check the offsets of the state, the group and the topic, and make the lanes.

        Another rebalance may begin meanwhile. Then Faust cancels this call, or the partitions are gone while it waits,
        or another assignment has brought them back; that assignment calls this again.
        """
        acquired = {partition: self._transactions.get(partition) for partition in partitions}
        try:
            # An earlier call that was cancelled may have left some lanes.
            await self._end_adoptions(partitions)
            loop = asyncio.get_running_loop()
            topic_id = await loop.run_in_executor(self._executor, self._source.look)
            tps = {partition: TP(self._topics.executions.name, partition) for partition in partitions}
            changelogs = {partition: TP(self._topics.changelog.name, partition) for partition in partitions}
            everywhere = [*tps.values(), *changelogs.values()]
            thread = consumer.thread
            earliest = await thread.earliest_offsets(*everywhere)
            latest = await thread.end_offsets(everywhere)
            starts, is_own = {}, False
            for partition, tp in tps.items():
                transactions = acquired[partition]
                changelog = changelogs[partition]
                resumed = await self._resumed(partition, transactions)
                is_own = is_own or resumed.catalogue is None
                fold = self._new_fold(partition, resumed, len(partitions), topic_id)
                starts[partition] = start_offset(
                    tp,
                    applied=fold.mark.applied,
                    committed=await thread.committed(tp),
                    earliest=earliest[tp],
                    latest=latest[tp],
                    changelog=self._recovered(changelog, earliest[changelog], latest[changelog]),
                )
                self._lanes[partition] = Lane(
                    partition,
                    fold,
                    self._still(partition, transactions),
                    self._store(),
                    changelog=self._topics.changelog.name,
                    executor=self._executor,
                    start=starts[partition],
                    small=self._small.get(partition),
                    figures=self.figures,
                    clock=self._clock,
                )
                if resumed.catalogue is not None:
                    self._adoptions[partition] = self._adoption(consumer, self._lanes[partition], fold, resumed)
        except RebalanceAgain:
            raise
        except Exception as error:
            self._on_fatal(error)
            raise
        await loop.run_in_executor(
            self._executor, RefoldDirectory.sweep, self._refold_dir, partitions - set(self._adoptions)
        )
        if is_own:
            self.accepted.set()
        _log.info("partitions ready", offsets={str(partition): starts[partition] for partition in sorted(starts)})
        return starts

    async def process(self, together: Round, acknowledge: Callable[[], object]) -> None:
        """Process a round. An error stops the worker, and nothing of the round is acknowledged."""
        self._rounds += 1
        try:
            batches = [
                (self._lanes[batch.partition], batch)
                for batch in together.batches
                if not self._is_set_aside(batch, together.membership)
            ]
            if not batches:
                acknowledge()
                return
            async with self._producing:
                await process(batches, together.membership, acknowledge, self._on_fatal, self._in_flight)
        except Exception as error:
            self._on_fatal(error)
            raise
        finally:
            self._rounds -= 1

    def halt(self, error: BaseException) -> None:
        """End the worker, because the transport cannot continue."""
        self._on_fatal(error)

    async def watch_source(self) -> None:
        """Halt when the source topic is deleted, re-created or given more partitions under the running worker."""
        await self._source.run(self._executor, self._on_fatal)

    async def release(self, partitions: set[int]) -> None:
        """Finish the rounds in flight, and release the partitions."""
        held = partitions & set(self._transactions)
        for partition in held:
            # Do this before waiting: otherwise a start that is under way could make lanes for these partitions
            # meanwhile, which would never be closed.
            # (``test_a_beginning_makes_nothing_of_partitions_that_are_being_released``)
            del self._transactions[partition]
            self._small.pop(partition, None)
        async with self._releasing:
            await self._end_adoptions(held)
            lanes = [self._lanes.pop(partition) for partition in held if partition in self._lanes]
            await asyncio.gather(*(each.close() for each in lanes))
        if held:
            _log.info("partitions released", partitions=sorted(held))

    async def release_all(self) -> None:
        """Release every partition."""
        await self.release(set(self._transactions))

    async def _end_adoptions(self, partitions: set[int]) -> None:
        adoptions = [self._adoptions.pop(partition) for partition in partitions if partition in self._adoptions]
        await asyncio.gather(*(each.stop() for each in adoptions))

    async def close(self) -> None:
        """Release all partitions, for an orderly stop."""
        await self.release_all()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._small_rounds.close)
        self._executor.shutdown()

    def _outwait(self, partitions: set[int]) -> None:
        source, changelog = self._topics.executions.name, self._topics.changelog.name
        outwait(self._connection, self._app_id, source, changelog, partitions, patience_s=self._patience_s)

    def _still(self, partition: int, transactions: PartitionTransactions | None) -> PartitionTransactions:
        """The transactions of a partition, if it has stayed assigned since they were made."""
        if transactions is None or self._transactions.get(partition) is not transactions:
            raise RebalanceAgain
        return transactions

    def _is_set_aside(self, batch: Batch, membership: Membership) -> bool:
        """Whether a batch waits until its partition has gone over to another ruleset. Other partitions go on."""
        adoption = self._adoptions.get(batch.partition)
        return adoption is not None and adoption.takes(batch, membership)

    def _adoption(self, consumer: BatchConsumer, lane: Lane, fold: PartitionFold, resumed: Resumed) -> AdoptionJob:
        """Start the job that takes a partition over to this worker's ruleset."""
        partition = lane.partition
        rules, own = resumed.rules, self._rulesets.own
        # The job ends when the assignment ends. The group's generation ends then, too, so the membership stays valid
        # for as long as the job runs.
        membership = consumer.thread.membership
        task = task_of(
            self._connection.librdkafka(),
            self._topics,
            fold.mark,
            (resumed.catalogue or "", self._rulesets.own_catalogue),
            max_event_bytes=self._max_event_bytes,
            gone_over=fold.gone_over,
            until=resumed.adopted_at,
            taken_over=self._rulesets.taken_over.get(partition, 0),
        )

        def let_go() -> None:
            consumer.pacing.hold(partition, is_held=False)
            consumer.thread.look()

        return AdoptionJob(
            lane,
            fold,
            RefoldJob(
                task,
                (rules.digest, own.digest),
                self._refold_dir,
                partial(self._store().copy, partition),
                lane.in_thread,
            ),
            self._refolds,
            announce=None
            if resumed.adopted_at is not None
            else lambda: self._rulesets.adopt(partition, fold.mark.applied, rules, lane.transactions, membership),
            keep=self._rulesets.keep,
            hold=lambda: consumer.pacing.hold(partition, is_held=True),
            let_go=let_go,
            producing=self._producing,
            failed=self._on_fatal,
        )

    async def _resumed(self, partition: int, transactions: PartitionTransactions | None) -> Resumed:
        """The rules with which a partition continues; see :meth:`~streams.worker.ruleset_adoption.Rulesets.resume`."""
        own = self._still(partition, transactions)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._rulesets.resume, partition, self._mark(partition))
        except InfrastructureError:
            # Another worker, or a new assignment here, may own the partition by now, and have fenced these
            # transactions.
            self._still(partition, own)
            raise

    def _mark(self, partition: int) -> PartitionMark | None:
        """How far the stored state of a partition is applied; None: there is no state."""
        raw = self._store().rows(partition).get(MARK_KEY)
        row = None if raw is None else decode_row(raw, MARK_KEY, partition)
        return row if isinstance(row, PartitionMark) else None

    def _recovered(self, changelog: TP, earliest: int, latest: int) -> str:
        """The end of a partition's changelog, and the state's offset in it, for an error's text."""
        stored = self._store().persisted_offset(changelog)
        return f"{changelog.topic} has offsets {earliest} to {latest - 1}, applied is {stored}"

    def _new_fold(self, partition: int, resumed: Resumed, partitions: int, topic_id: str) -> PartitionFold:
        limits = WORKER_CACHE.shared_among(partitions)
        return PartitionFold(
            partition,
            self._topics,
            resumed.rules,
            self._store().rows(partition),
            max_event_bytes=self._max_event_bytes,
            cached_pairs=limits.pairs,
            cached_weight=limits.weight,
            topic_id=topic_id,
            switches=self._rulesets.switches(partition),
            authority=self._rulesets.erasures,
            observer=self._observer,
        )
