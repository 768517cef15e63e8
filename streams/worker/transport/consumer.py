"""The consumer that gives the agent the fetched records, a round of batches at a time.

Faust's own delivers record by record, at some 100 µs each (tasks, queues, sensors, acknowledgements). Here polled
source records are *one* message whose value is a :class:`~streams.worker.round.Round`. All other parts of Faust are
used: agent, table, assignor, recovery and standbys. The changelog goes straight from the poll into RocksDB.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from typing import Any, Protocol

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from streams.runtime.failpoints import reach
from streams.worker.round import Round
from streams.worker.transport.pacing import Pacing
from streams.worker.transport.polling import BatchConsumerThread, ChangelogRead, Polled

__all__ = ["BatchConsumer", "BatchTransport", "PartitionOwner"]

_log = structlog.get_logger()


class PartitionOwner(Protocol):
    """Processes the source partitions. It is called when they are assigned, may start, and are revoked."""

    async def acquire(self, partitions: set[int]) -> None:
        """Fence every earlier owner of these partitions, before their state is recovered."""

    async def begin(self, consumer: "BatchConsumer", partitions: set[int]) -> Mapping[int, int]:
        """Prepare the partitions after recovery; return the offset at which each one continues."""

    async def release(self, partitions: set[int]) -> None:
        """Finish the rounds in flight, and release the partitions."""

    def halt(self, error: BaseException) -> None:
        """End the worker: it cannot read any further, or is no longer a member of the group."""


class BatchRebalanceListener(driver.ConsumerRebalanceListener):
    """Faust's listener, whose member stays alive while earlier owners are fenced."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Begin the heartbeats before the partitions are taken over.

        aiokafka begins them only when this callback has returned, and the first one a heartbeat interval later. Fencing
        many partitions, or waiting for a dead owner's transaction, would outlast the session: the broker evicts the
        member, whose first commit fails as "Unknown member".
        (``test_64_partitions_are_opened_and_taken_over_on_the_same_disk``)
        """
        self._thread._ensure_consumer()._coordinator._start_heartbeat_task()  # noqa: SLF001
        await self._watched(super().on_partitions_assigned(assigned))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Awaitable[None]:
        """Supervise the revocation, because Faust starts it before it is awaited."""
        return self._watched(super().on_partitions_revoked(revoked))

    async def _watched(self, work: Awaitable[Any]) -> None:
        """End the worker when a rebalance fails: aiokafka only logs a listener's exception, and continues."""
        try:
            await work
        except Exception as error:
            self._thread.app.supervision.fail_unless_stopping(error)
            raise


class BatchConsumer(driver.Consumer):
    """Faust's consumer. It delivers batches and commits no offsets: only transactions do."""

    RebalanceListener = BatchRebalanceListener

    polled_in = 0
    """The generation of the group in which the last poll began."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pacing = Pacing(self.app.batch_options.batch_events)

    @property
    def owner(self) -> PartitionOwner:
        """The owner of the source partitions, which processes them."""
        owner: PartitionOwner = self.app.partition_owner
        return owner

    @property
    def thread(self) -> BatchConsumerThread:
        """The consumer thread, for those who need committed and end offsets."""
        thread: BatchConsumerThread = self._thread
        return thread

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _sources(self, tps: Iterable[TP]) -> set[TP]:
        return {tp for tp in tps if tp.topic == self.app.source_topic}

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fence the earlier owners *before* Faust reads the changelog's end.

        With a dead owner's transaction still open, the changelog's end is its last stable offset: recovery would end
        too early and the committed offset be the old one; then the fence commits or aborts the transaction and the
        state lacks events. Later hooks are too late, and ``Store.assign_partitions`` sees newly assigned partitions
        only, which is none for a zombie that gets its own back. (``tests/integration/worker/test_crash.py``)
        """
        await self.owner.acquire({tp.partition for tp in self._sources(assigned)})
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let Faust wait for the batches in flight, then close their transactions before returning."""
        await super().on_partitions_revoked(revoked)
        await self.owner.release({tp.partition for tp in self._sources(revoked)})

    async def perform_seek(self) -> None:
        """Seek each source partition to the offset after its state, after recovery.

        Faust would seek to the committed offsets, and silently start from the beginning if there are none.
        """
        sources = self._sources(self.assignment())
        starts = await self.owner.begin(self, {tp.partition for tp in sources})
        positions = {tp: starts[tp.partition] for tp in sources}
        self.pacing.assigned(len(positions))
        if positions:
            await self._thread.seek_wait(positions)
        self._read_offset.update(positions)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Polled:
        """Fetch nothing from source partitions while they are held back."""
        active = set(active_partitions or ())
        self.polled_in = self.app.consumer_generation_id
        if self._is_source_held():
            active -= self._sources(active)
        if not active:
            await asyncio.sleep(0.01)
            return {}
        polled: Polled = await super()._getmany(active, timeout)
        return polled

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield one message for each round; write changelog records to RocksDB at once.

        Records that were polled before a rebalance are dropped after it, and read again. The generation is taken at the
        poll itself: Faust waits here until a rebalance is over. Otherwise the first rows of the recovery after it would
        be dropped as rows from before, and the position would be after them.
        (``test_the_first_rows_of_a_recovery_are_written``)
        """
        polled, _active = await self._wait_next_records(timeout)
        for tp, found in (polled or {}).items():
            if self.should_stop or self.app.consumer_generation_id != self.polled_in:
                return
            if isinstance(found, Round):
                if self.flow_active and not self._is_source_held():
                    self.pacing.began(found)
                    yield tp, self._to_message(tp, found)
            else:
                await self._restore(tp, found)
        self.app.tables.recovery.signal_when_complete()

    def _is_source_held(self) -> bool:
        """Whether a rebalance or recovery is under way, so that source batches may neither be fetched nor yielded.

        Faust resumes the partitions and the fetcher before it clears the agents' queues, so batches delivered in
        between vanish (``test_no_batch_vanishes_at_the_end_of_a_recovery``).
        """
        held: bool = self.app.rebalancing
        return held

    async def _restore(self, tp: TP, found: ChangelogRead) -> None:
        """Write changelog records if they start where the last ones ended; otherwise seek back to that offset.

        Without this check, a lost poll would leave an unnoticed gap in the state.
        """
        recovery = self.app.tables.recovery
        expected = recovery.expected(tp)
        if expected is None or tp not in recovery.active_tps | recovery.standby_tps:
            return
        if found.start != expected:
            _log.warning(
                "the changelog is read again from where the state ends",
                topic=tp.topic,
                partition=tp.partition,
                offset=expected,
                read_from=found.start,
            )
            await self._thread.seek_wait({tp: expected})
            return
        if found.records:
            rows = [(record.key, record.value) for record in found.records]
            last = found.records[-1]
            store = recovery.tp_to_table[tp].data
            store.write_rows(tp.partition, rows, last.offset, as_of_ms=last.timestamp)
        recovery.applied(tp, found.end)
        reach("restored")

    def _to_message(self, tp: TP, together: Round) -> ConsumerMessage:
        first = together.batches[0]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            first.end - 1,
            first.records[-1].timestamp / 1000 if first.records else 0.0,
            None,  # the type of the timestamp
            (),
            None,
            together,
            None,
            None,
            None,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Message) -> bool:
        """Acknowledge a round, which is committed already.

        Faust lists every acknowledged offset, fills gaps with intervals (marking the record *after* a gap as
        acknowledged), and commits consecutive offsets. This consumer commits nothing, so it needs none of that.
        """
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self.pacing.ended(message.value)
        self.thread.look()
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Keep polling a partition whose batches wait for the agent: the full queue limits the consumer anyway.

        Faust would pause the partition until the queue is empty, and sleep for a second when all are paused. With a
        queue of two batches that would happen all the time.
        """

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Remember no gaps, because this consumer commits nothing."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002 - Faust's signature
        """Commit nothing: a plain commit could set the group to another offset than the transaction's.

        (``test_no_acknowledgement_leads_to_a_commit``)
        """
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do not report stuck streams: Faust detects them by acknowledged offsets, which are not kept here."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with :class:`BatchConsumer`."""

    Consumer = BatchConsumer
