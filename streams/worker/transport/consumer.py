"""The consumer that hands the agent one fetched batch of one partition at a time.

Faust's own delivers record by record, at some 100 µs each (tasks, queues, sensors, acknowledgements). Here a source
partition's poll is *one* message whose value is a :class:`~streams.worker.batch.Batch`; everything else of Faust -
agent, table, assignor, recovery, standbys - stays. The changelog goes straight from the poll into RocksDB.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import aiokafka
from aiokafka.errors import ConsumerStoppedError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from models.errors import ContractError
from streams.worker.batch import Batch, Membership
from streams.worker.failpoints import reach
from streams.worker.transport.records import read_any_header_name

__all__ = ["BatchConsumer", "BatchConsumerThread", "BatchTransport", "PartitionOwner"]

Polled = dict[TP, Any]
"""By partition: a :class:`Batch` for the source, a list of records for the changelog."""

_CHANGELOG_RECORDS = 10_000
"""Changelog records of one partition in one poll: a write batch of a few megabytes."""

_QUIET_S = 1.0
"""How long nothing readable has to come after markers or aborted records before their offsets are committed alone.
Under load the next records take them along; at rest a lag that never becomes zero would alarm whoever watches it."""


@dataclass(frozen=True, slots=True)
class _Skipped:
    """Offsets without a readable record: transaction markers, aborted records, what compaction removed.

    Attributes:
        start: the first one.
        end: one past the last one.
        since: when they were met, in monotonic seconds.
    """

    start: int
    end: int
    since: float


class PartitionOwner(Protocol):
    """Who processes the source partitions: told when they come, may start, and go."""

    async def acquire(self, partitions: set[int]) -> None:
        """Fence every earlier owner of these partitions, before their state is recovered."""

    async def begin(self, consumer: "BatchConsumer", partitions: set[int]) -> Mapping[int, int]:
        """Make ready after recovery; returns the offset at which each partition goes on."""

    async def release(self, partitions: set[int]) -> None:
        """Finish what is in flight and give the partitions up."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a read-committed consumer and polls by partition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turn = 0
        # Where a poll found markers or aborted records only, the next batch starts before them.
        self._skipped: dict[TP, _Skipped] = {}
        self.positions: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """Create the consumer, like Faust but for three things.

        Faust reads uncommitted unless its own, broken, ``exactly_once`` is on; it waits 1.5 s in a fetch that finds
        nothing, which every recovery pays; and it offers no way to set either. It also goes silently to the beginning
        where an offset is out of range: here every position comes from a seek, and one that is gone is an error.
        (``test_events_removed_before_a_running_worker_read_them_halt_it``)
        """
        read_any_header_name()
        conf = self.app.conf
        options = self.app.batch_options
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=options.fetch_max_wait_ms,
            max_partition_fetch_bytes=options.fetch_bytes,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            check_crcs=conf.broker_check_crcs,
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,  # noqa: ARG002 - Faust's signature
    ) -> Polled:
        """Poll every partition in turn, each for its own share.

        aiokafka fills one poll from its first partition with data and may never come to the last one
        (``test_no_partition_starves``). Starting one further each time keeps the order fair as well.
        """
        deadline = monotonic() + (timeout or 0)
        fetcher = consumer._fetcher  # noqa: SLF001
        while self.consumer.flow_active:
            if consumer._closed or fetcher._closed:  # noqa: SLF001
                raise ConsumerStoppedError
            self._turn += 1
            ordered = sorted(active_partitions)
            first = self._turn % len(ordered) if ordered else 0
            polled: Polled = {}
            for tp in ordered[first:] + ordered[:first]:
                found = await self._poll(consumer, tp)
                if found is not None:
                    polled[tp] = found
            left = deadline - monotonic()
            if polled or left <= 0 or any(self._is_changelog(tp) for tp in active_partitions):
                if not polled and left > 0:
                    await self._wait_for_data(fetcher, min(left, 0.01))
                return polled
            await self._wait_for_data(fetcher, left)
        return {}

    async def _poll(self, consumer: aiokafka.AIOKafkaConsumer, tp: TP) -> Any:
        start = _position(consumer, tp)
        if start is None:
            return None
        if consumer._coordinator.generation < 0 and not self._is_changelog(tp):  # noqa: SLF001
            # Out of the group and not in again: the broker would take a batch's offsets without a look at them.
            return None
        fetcher = consumer._fetcher  # noqa: SLF001
        limit = _CHANGELOG_RECORDS if self._is_changelog(tp) else self.app.batch_options.batch_events
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001
            try:
                drained = await fetcher.fetched_records({tp}, timeout=0, max_records=limit)
            except OffsetOutOfRangeError as error:
                raise self._gone(tp, start) from error
        end = _position(consumer, tp)
        if end is None:
            return None
        self.positions[tp] = end
        records = drained.get(tp)
        if self._is_changelog(tp):
            return records
        since = monotonic()
        skipped = self._skipped.pop(tp, None)
        if skipped is not None and skipped.end == start:
            start = skipped.start
            since = skipped.since
        if not records and (end == start or monotonic() - since < _QUIET_S):
            if end > start:
                self._skipped[tp] = _Skipped(start, end, since)
            return None
        return Batch(tp.topic, tp.partition, start, end, records or (), self._membership(consumer))

    def _gone(self, tp: TP, position: int) -> ContractError:
        where = f"{tp.topic} partition {tp.partition}: there is no offset {position} any more"
        if self._is_changelog(tp):
            return ContractError(
                f"{where}: the changelog was truncated or re-created under the running worker. Start it again: it "
                "compares its state with what is left"
            )
        return ContractError(
            f"{where}, and it is the next to fold: the events from there on were removed unfolded (retention? deleted "
            "records?), or the topic was truncated or re-created. Restore them, or begin anew under another "
            "CONSOLIDATOR_APP_ID"
        )

    def _membership(self, consumer: aiokafka.AIOKafkaConsumer) -> Membership:
        coordinator = consumer._coordinator  # noqa: SLF001
        conf = self.app.conf
        return Membership(conf.id, coordinator.generation, coordinator.member_id, conf.consumer_group_instance_id)

    def _is_changelog(self, tp: TP) -> bool:
        return tp.topic in self.app.tables.changelog_topics

    async def _wait_for_data(self, fetcher: Any, seconds: float) -> None:
        waiter = fetcher._create_fetch_waiter()  # noqa: SLF001
        await asyncio.wait([waiter], timeout=seconds)
        if waiter.done():
            waiter.result()
        else:
            waiter.cancel()

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset of a partition."""
        offset: int | None = await self.call_thread(self._ensure_consumer().committed, tp)
        return offset

    async def end_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """The last stable offsets, one past the last committed record or marker."""
        offsets: Mapping[TP, int] = await self.call_thread(self._ensure_consumer().end_offsets, list(tps))
        return offsets


def _position(consumer: aiokafka.AIOKafkaConsumer, tp: TP) -> int | None:
    subscription = consumer._subscription.subscription  # noqa: SLF001
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or tp not in assignment.tps:
        return None
    state = assignment.state_value(tp)
    return state.position if state.has_valid_position else None


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
        await super().on_partitions_assigned(assigned)


class BatchConsumer(driver.Consumer):
    """Faust's consumer, delivering batches and committing nothing: the transaction is the only committer."""

    RebalanceListener = BatchRebalanceListener

    _polled_in = 0
    """The generation of the group in which the last poll began."""

    @property
    def owner(self) -> PartitionOwner:
        """Who processes the source partitions."""
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
        """Fence the earlier owners *before* Faust looks at the changelog.

        With a dead owner's transaction still open, the changelog's end is its last stable offset: recovery would end
        too early and the committed offset be the old one; then the fence commits or aborts the transaction and the
        state lacks events. Later hooks are too late, and ``Store.assign_partitions`` sees newly assigned partitions
        only, which is none for a zombie that gets its own back. (``tests/integration/test_worker_crash.py``)
        """
        await self.owner.acquire({tp.partition for tp in self._sources(assigned)})
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let Faust wait for the batches in flight, then close their transactions before returning."""
        await super().on_partitions_revoked(revoked)
        await self.owner.release({tp.partition for tp in self._sources(revoked)})

    async def perform_seek(self) -> None:
        """Place each source partition where its state ends, after recovery.

        Faust seeks to the committed offsets and starts silently over where there are none.
        """
        sources = self._sources(self.assignment())
        starts = await self.owner.begin(self, {tp.partition for tp in sources})
        positions = {tp: starts[tp.partition] for tp in sources}
        if positions:
            await self._thread.seek_wait(positions)
        self._read_offset.update(positions)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Polled:
        """Fetch nothing from the source while it is held back."""
        active = set(active_partitions or ())
        self._polled_in = self.app.consumer_generation_id
        if self._is_source_held():
            active -= self._sources(active)
        if not active:
            await asyncio.sleep(0.01)
            return {}
        polled: Polled = await super()._getmany(active, timeout)
        return polled

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield one message for each source batch; write changelog records to RocksDB at once.

        What was polled before a rebalance is dropped after it, and read again. The generation is the one of the poll
        itself: Faust waits here for a rebalance to be over, and the first rows of the recovery after it would be taken
        for rows of before, with the position past them. (``test_the_first_rows_of_a_recovery_are_written``)
        """
        polled, _active = await self._wait_next_records(timeout)
        for tp, found in (polled or {}).items():
            if self.should_stop or self.app.consumer_generation_id != self._polled_in:
                return
            if isinstance(found, Batch):
                if self.flow_active and not self._is_source_held():
                    yield tp, self._to_message(tp, found)
            else:
                self._restore(tp, found)
        self.app.tables.recovery.signal_when_complete(self._thread.positions)

    def _is_source_held(self) -> bool:
        """Whether a rebalance or recovery is under way, so that source batches may neither be fetched nor yielded.

        Faust resumes the partitions and the fetcher before it clears the agents' queues, so batches delivered in
        between vanish (``test_no_batch_vanishes_at_the_end_of_a_recovery``).
        """
        held: bool = self.app.rebalancing
        return held

    def _restore(self, tp: TP, records: list[Any]) -> None:
        recovery = self.app.tables.recovery
        table = recovery.tp_to_table.get(tp)
        if table is None or tp not in recovery.active_tps | recovery.standby_tps:
            return
        last = records[-1].offset
        table.data.write_rows(tp.partition, [(record.key, record.value) for record in records], last)
        recovery.applied(tp, last)
        reach("restored")

    def _to_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.end - 1,
            batch.records[-1].timestamp / 1000 if batch.records else 0.0,
            None,  # the type of the timestamp
            (),
            None,
            batch,
            None,
            None,
            None,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Message) -> bool:
        """Acknowledge a batch: it is committed already.

        Faust lists every acknowledged offset, fills gaps with intervals (marking the record *after* a gap as
        acknowledged), and commits what is consecutive. All of that is for a consumer that commits.
        """
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Go on polling a partition whose batches wait for the agent: the full queue itself holds the consumer back.

        Faust takes the partition out until the queue drains, and sleeps for a second when none is left, which a queue
        of two batches brings about all the time.
        """

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Remember no gaps: nothing is committed from here."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002 - Faust's signature
        """Commit nothing: a plain commit could move the group behind the transaction's offset.

        (``test_no_acknowledgement_leads_to_a_commit``)
        """
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing of streams that look stuck: Faust judges by acknowledged offsets, which are not kept here."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with :class:`BatchConsumer`."""

    Consumer = BatchConsumer
