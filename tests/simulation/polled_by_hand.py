"""The transport's thread, with the group, the position and the arriving records under a test's control."""

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.worker.transport.aiokafka_records import Taken
from streams.worker.transport.polling import BatchConsumerThread
from tests.simulation.idle_app import ScriptedThread, idle_app, idle_consumer

POSITION = 7


class Coordinator:
    """A fake group coordinator: the worker is a member, unless a test sets an error."""

    generation = 1
    member_id = "me"

    def __init__(self, error=None):
        self._error = error

    def check_errors(self):
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def fetching(tp, coordinator):
    """A consumer that stands at an offset, with aiokafka's own fetcher, which finds no broker."""
    loop = asyncio.get_running_loop()
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user([TopicPartition(*tp)])
    subscriptions.seek(TopicPartition(*tp), POSITION)
    client = SimpleNamespace(
        _loop=loop,
        _metadata_max_age_ms=60_000,
        cluster=SimpleNamespace(leader_for_partition=lambda _: None),
        force_metadata_update=loop.create_future,
    )
    fetcher = Fetcher(client, subscriptions, auto_offset_reset="none")
    try:
        yield SimpleNamespace(_closed=False, _coordinator=coordinator, _fetcher=fetcher, _subscription=subscriptions)
    finally:
        # One that has failed raises its error once more.
        with suppress(KafkaError):
            await fetcher.close()


class Arrivals:
    """Replaces aiokafka's fetcher: the results of polls are defined beforehand.

    Args:
        tp: the partition.
        subscriptions: its position moves past the records that were found.

    Attributes:
        arrived: the records that the next poll finds.
        bytes_each: the memory that a record takes.
        meanwhile: called while the next poll waits.
    """

    _closed = False
    bytes_each = 0
    meanwhile = None

    def __init__(self, tp, subscriptions):
        self._records = {}
        self._tp = TopicPartition(*tp)
        self._subscriptions = subscriptions
        self.arrived = []

    async def fetched_records(self, tps, timeout, max_records):  # noqa: ASYNC109 - aiokafka's signature
        assert (tps, timeout) == ({self._tp}, 0)
        if self.meanwhile is not None:
            self.meanwhile()
        taken, self.arrived = self.arrived[:max_records], self.arrived[max_records:]
        if not taken:
            return {}
        self._subscriptions.subscription.assignment.state_value(self._tp).consumed_to(taken[-1].offset + 1)
        found = Taken(taken)
        found.size = self.bytes_each * len(taken)
        return {self._tp: found}

    def tell(self):
        """Something was fetched."""
        self._waiter.set_result(None)

    def _create_fetch_waiter(self):
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter


@asynccontextmanager
async def polled_by_hand(tmp_path):
    """The transport's thread for polls of one partition, with group, position and arrivals under control."""
    async with idle_app(tmp_path) as app:
        tp = TP(app.source_topic, 1)
        batch_consumer = idle_consumer(app, ScriptedThread())
        thread = BatchConsumerThread(batch_consumer, loop=asyncio.get_running_loop())
        thread.thread_loop.close()
        thread.thread_loop = asyncio.get_running_loop()
        batch_consumer._thread = thread
        async with fetching(tp, Coordinator()) as kafka:
            fetcher = kafka._fetcher
            kafka._fetcher = arrivals = Arrivals(tp, kafka._subscription)

            async def poll(within_s=0.0):
                found = (await thread._fetch_records(kafka, {tp}, timeout=within_s)).get(tp)
                if found is None:
                    return None
                [batch] = found.batches
                return batch.start, [record.offset for record in batch.records], batch.end

            try:
                yield SimpleNamespace(
                    tp=tp,
                    poll=poll,
                    thread=thread,
                    pacing=batch_consumer.pacing,
                    consumer=batch_consumer,
                    kafka=kafka,
                    arrivals=arrivals,
                    fetcher=fetcher,
                )
            finally:
                kafka._fetcher = fetcher


def records(*offsets):
    return [SimpleNamespace(offset=offset, timestamp=0) for offset in offsets]
