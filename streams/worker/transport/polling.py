"""The consumer's thread. It polls each partition separately, with a read-committed consumer."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiokafka
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from models.errors import InfrastructureError
from streams.partition.batch import Batch
from streams.worker.round import Membership, Round
from streams.worker.transport.aiokafka_records import FetchResult, Taken, adapt_aiokafka
from streams.worker.transport.coordinator import adapt_coordinator
from streams.worker.transport.gathered import Gathered
from streams.worker.transport.offset_questions import Asking, ask_for_offsets, ask_once, look_for_leaders
from streams.worker.transport.pacing import FETCHED_BYTES, fetch_bytes
from streams.worker.transport.read_errors import kept_error, not_unpacked, unreadable

__all__ = ["BatchConsumerThread", "ChangelogRead", "Polled"]

_CHANGELOG_RECORDS = 10_000
"""Changelog records of one partition in one poll: a write batch of a few megabytes."""

_CHANGELOG_BYTES = 16 * 1024 * 1024
"""Most bytes of the changelog, in all partitions together, in one poll: a row may have 1.5 MB."""

_FETCH_TOGETHER_MS = 2
"""How long the broker holds a fetch that is not full while events wait for their round anyway. A fetch that ends with
the first event brings one event, and taking it costs more than folding it."""

_NEVER_MS = 100 * 365 * 24 * 3_600_000
"""Longer than any worker runs: a hundred years."""

_LOOK_S = 1.0
"""Seconds between two checks that aiokafka's background tasks still run."""

_LONGEST_WAIT_S = 0.1
"""How often a waiting poll checks its assignment: the next recovery waits until the poll has ended."""


@dataclass(frozen=True, slots=True)
class ChangelogRead:
    """The result of one poll of a changelog partition.

    Attributes:
        start: the position before the poll.
        end: the position after it. Markers and aborted records may lie between the last record and it.
        records: the records, in order; empty if only markers or aborted records were read.
    """

    start: int
    end: int
    records: Sequence[Any]


Polled = dict[TP, Round | ChangelogRead]
"""The result of a poll: for the source, a round by its first partition; for the changelog, the records by partition."""


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a read-committed consumer and polls by partition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turn = 0
        self._gathered: dict[TP, Gathered] = {}
        # For each partition with events whose batch may not begin yet: the remaining time, as of the last check.
        self._held_back_s: list[float] = []
        self._changelog_room = 0
        # It is set in the thread's loop, and cleared before a check, so that no end of a round is missed.
        self._round_ended = asyncio.Event()

    def look(self) -> None:
        """Wake a waiting poll, because a round has ended and the next one may begin. May be called from any thread."""
        # The last commits may end after this thread, when its loop is closed already.
        with suppress(RuntimeError):
            self.thread_loop.call_soon_threadsafe(self._round_ended.set)

    async def on_start(self) -> None:
        """Start the consumer. It joins the group later, when Faust subscribes to the topics."""
        self.app.supervision.watch_loop(asyncio.get_running_loop())
        await super().on_start()
        adapt_coordinator(
            self._ensure_consumer()._coordinator,  # noqa: SLF001
            instance=self.app.conf.consumer_group_instance_id,
            patience_s=self.app.batch_options.patience_s,
            halt=self._halt,
        )

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Do nothing: the crash ends the worker, which logs the reason. mode would print a traceback."""

    @Service.task  # type: ignore[untyped-decorator]  # mode's
    async def _end_on_kept_errors(self) -> None:
        while not self.should_stop:
            await self.sleep(_LOOK_S)
            error = kept_error(self._ensure_consumer())
            if error is not None and not self.should_stop:
                self._halt(error)

    def _halt(self, error: BaseException) -> None:
        self.parent_loop.call_soon_threadsafe(self.consumer.owner.halt, error)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """Create the consumer as Faust does, with four differences.

        Faust reads uncommitted records, unless its own, broken, ``exactly_once`` is on. It waits 1.5 s in an empty
        fetch, which delays every recovery. Neither can be set. And if an offset is out of range, it silently goes to
        the beginning. Here every position comes from a seek, and an offset that no longer exists is an error.
        (``test_events_removed_before_a_running_worker_read_them_halt_it``)

        A member that takes no records for 1,000 s would leave the group, and not join it again before it takes some.
        A worker without partitions takes none, and one in a rebalance may wait longer for brokers. Whether a worker
        gets on is judged by its health instead. (``test_a_spare_worker_is_there_after_a_long_wait``)
        """
        adapt_aiokafka(self.app.conf.tabledir)
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
            fetch_max_bytes=FETCHED_BYTES,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=_NEVER_MS,
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

        Batches begin as :class:`~streams.worker.transport.pacing.Pacing` lets them. A pass over the partitions has one
        membership, which is taken at its start: if the group's generation changes meanwhile, nothing more is read in
        this pass. (``test_a_pass_reads_nothing_of_a_generation_that_began_meanwhile``)

        A poll ends with its assignment. Otherwise it could outlive a quick rebalance, and read on after the next
        assignment's seek. Its records would be dropped as those of an earlier generation, and the position would be
        after them. (``test_a_poll_reads_nothing_of_the_next_assignment``)

        aiokafka fills one poll from its first partition with data and may never come to the last one
        (``test_no_partition_starves``). Each pass starts one partition further, so that the order is fair, too.
        """
        deadline = monotonic() + (timeout or 0)
        fetcher = consumer._fetcher  # noqa: SLF001
        while self._goes_on():
            if consumer._closed or fetcher._closed:  # noqa: SLF001
                raise ConsumerStoppedError
            self._turn += 1
            membership = self._membership(consumer)
            self._round_ended.clear()
            self._held_back_s = []
            ordered = sorted(tp for tp in active_partitions if not self._is_held(tp))
            first = self._turn % len(ordered) if ordered else 0
            polled: Polled = {}
            small: list[Batch] = []
            self._changelog_room = _CHANGELOG_BYTES
            fetcher._max_partition_fetch_bytes = fetch_bytes(len(ordered))  # noqa: SLF001
            for tp in ordered[first:] + ordered[:first]:
                found = await self._poll(consumer, tp, membership) if self._goes_on() else None
                if isinstance(found, Batch) and self.consumer.pacing.is_small(found):
                    small.append(found)
                elif found is not None:
                    polled[tp] = Round([found], membership) if isinstance(found, Batch) else found
            if small:
                polled[TP(small[0].topic, small[0].partition)] = Round(small, membership)
            self._set_next_fetch(fetcher, is_urgent=not (polled or self._held_back_s))
            left = deadline - monotonic()
            if polled or left <= 0 or any(self._is_changelog(tp) for tp in active_partitions):
                if not polled and left > 0:
                    await self._wait(fetcher, min(left, 0.01))
                return polled
            await self._wait(fetcher, min(left, _LONGEST_WAIT_S, *self._held_back_s))
        return {}

    def _goes_on(self) -> bool:
        """Whether the assignment is still the one with which the poll began, and its partitions may be read."""
        return bool(self.consumer.flow_active and self.app.consumer_generation_id == self.consumer.polled_in)

    def _is_held(self, tp: TP) -> bool:
        """Whether a source partition has other work to do before its next batch, which may take long."""
        return bool(self.consumer.pacing.is_held(tp.partition)) and not self._is_changelog(tp)

    async def _poll(self, consumer: Any, tp: TP, membership: Membership) -> Batch | ChangelogRead | None:
        start = _position(consumer, tp)
        if start is None:
            return None
        if self._is_changelog(tp):
            return await self._poll_changelog(consumer, tp, start)
        if not _is_current(consumer, membership):
            return None
        gathered = await self._gather(consumer, tp, start, membership.generation)
        if gathered is None or not gathered.is_due or not _is_current(consumer, membership):
            return None
        pause_s = self.consumer.pacing.pause_s(tp, len(gathered.records), gathered.size)
        if pause_s > 0:
            self._held_back_s.append(pause_s)
            return None
        del self._gathered[tp]
        return Batch(tp.topic, tp.partition, gathered.start, gathered.end, gathered.records, gathered.size)

    async def _poll_changelog(self, consumer: aiokafka.AIOKafkaConsumer, tp: TP, start: int) -> ChangelogRead | None:
        """Read some of a changelog partition, while the limit for one poll of all partitions is not reached."""
        if self._changelog_room <= 0:
            return None
        records = await self._read(consumer, tp, start, _CHANGELOG_RECORDS, self._changelog_room)
        self._changelog_room -= records.size
        end = _position(consumer, tp)
        return None if end is None or end == start else ChangelogRead(start, end, records)

    async def _gather(self, consumer: Any, tp: TP, start: int, generation: int) -> Gathered | None:
        """Add fetched records, even while the last batch commits: aiokafka fetches no more until they are taken."""
        earlier = self._gathered.get(tp)
        pacing = self.consumer.pacing
        limit = pacing.batch_events - (0 if earlier is None else len(earlier.records))
        everywhere = sum(gathered.size for gathered in self._gathered.values())
        room = pacing.room(tp, 0 if earlier is None else earlier.size, everywhere)
        records = await self._read(consumer, tp, start, limit, room) if limit > 0 and room > 0 else Taken()
        end = _position(consumer, tp)
        if end is None:
            return None
        later = Gathered(generation, start, end, records, monotonic(), records.size)
        self._gathered[tp] = gathered = later if earlier is None else earlier.followed_by(later)
        return gathered

    async def _read(self, consumer: aiokafka.AIOKafkaConsumer, tp: TP, start: int, limit: int, room: int) -> Taken:
        """Take the fetched records of a partition.

        Args:
            consumer: aiokafka's consumer.
            tp: the partition.
            start: its position.
            limit: the greatest number of records.
            room: the greatest number of bytes. One record is taken in any case, and the rest of its piece counts, too.
        """
        fetcher = consumer._fetcher  # noqa: SLF001
        fetched = fetcher._records.get(tp)  # noqa: SLF001
        if isinstance(fetched, FetchResult):
            fetched.room = room
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001
            try:
                drained = await fetcher.fetched_records({tp}, timeout=0, max_records=limit)
            except KafkaError as error:
                raise unreadable(tp, start, error, is_changelog=self._is_changelog(tp)) from error
            except OSError as error:
                raise not_unpacked(tp, start, error) from error
        taken: Taken = drained.get(tp) or Taken()
        return taken

    @property
    def membership(self) -> Membership:
        """The group member as which the worker owns its partitions now. May be read from any thread."""
        return self._membership(self._ensure_consumer())

    def _membership(self, consumer: aiokafka.AIOKafkaConsumer) -> Membership:
        coordinator = consumer._coordinator  # noqa: SLF001
        conf = self.app.conf
        return Membership(conf.id, coordinator.generation, coordinator.member_id, conf.consumer_group_instance_id)

    def _is_changelog(self, tp: TP) -> bool:
        return tp.topic in self.app.tables.changelog_topics

    def _set_next_fetch(self, fetcher: Any, *, is_urgent: bool) -> None:
        """Set how long the broker holds the next fetch: until the first event, or for some milliseconds.

        In aiokafka this setting is fixed for a consumer's life.
        (``test_a_fetch_is_held_only_while_events_wait_anyway``)
        """
        options = self.app.batch_options
        full = fetcher._max_partition_fetch_bytes  # noqa: SLF001
        fetcher._fetch_min_bytes = 1 if is_urgent else full  # noqa: SLF001
        fetcher._fetch_max_wait_ms = options.fetch_max_wait_ms if is_urgent else _FETCH_TOGETHER_MS  # noqa: SLF001

    async def _wait(self, fetcher: Any, seconds: float) -> None:
        """Wait until records were fetched, a round has ended, or the time is over."""
        fetched = fetcher._create_fetch_waiter()  # noqa: SLF001
        ended = asyncio.ensure_future(self._round_ended.wait())
        try:
            await asyncio.wait([fetched, ended], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            fetched.cancel()
        if not fetched.cancelled():
            fetched.result()

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset of a partition."""
        offset: int | None = await self.call_thread(self._ensure_consumer().committed, tp)
        return offset

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The first offset of each partition.

        Faust's method, and the two below, return aiokafka's result, which may lack answers: see
        ``offset_questions.py``. (``test_a_recovery_does_not_end_on_a_leader_that_is_silent``)
        """
        return await self._offsets(lambda tps: self._ensure_consumer().beginning_offsets(list(tps)), partitions)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The offsets up to which the changelog is recovered: its last stable offsets."""
        return await self.end_offsets(partitions)

    async def end_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """The last stable offsets, one past the last committed record or marker."""
        return await self._offsets(lambda tps: self._ensure_consumer().end_offsets(list(tps)), tps)

    async def _offsets(self, question: Asking, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Ask until there is an answer for each partition; the worker ends if that takes too long."""

        async def ask(wanted: Sequence[TP]) -> Mapping[TP, int]:
            offsets: Mapping[TP, int] = await self.call_thread(_ask_once, question, wanted)
            return offsets

        async def leaders(wanted: Sequence[TP]) -> Mapping[TP, str]:
            named: Mapping[TP, str] = await self.call_thread(look_for_leaders, self._ensure_consumer(), wanted)
            return named

        try:
            return await ask_for_offsets(ask, tps, patience_s=self.app.batch_options.patience_s, leaders=leaders)
        except InfrastructureError as error:
            self.consumer.owner.halt(error)
            raise


async def _ask_once(question: Asking, tps: Sequence[TP]) -> Mapping[TP, int]:
    """Ask in the consumer's thread: aiokafka's requests belong to its event loop."""
    return await ask_once(question(tps))


def _is_current(consumer: aiokafka.AIOKafkaConsumer, membership: Membership) -> bool:
    """Whether the worker is in the group, in the generation in which the pass began.

    The broker does not check offsets with generation -1, which a member has that is not in the group.
    """
    return bool(consumer._coordinator.generation == membership.generation >= 0)  # noqa: SLF001


def _position(consumer: aiokafka.AIOKafkaConsumer, tp: TP) -> int | None:
    subscription = consumer._subscription.subscription  # noqa: SLF001
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or tp not in assignment.tps:
        return None
    state = assignment.state_value(tp)
    return state.position if state.has_valid_position else None
