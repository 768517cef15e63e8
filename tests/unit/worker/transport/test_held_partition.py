"""A source partition that goes over to another ruleset is not read meanwhile; the others are."""

import asyncio
from types import SimpleNamespace

from faust.types import TP

from streams.worker.transport.polling import BatchConsumerThread
from tests.simulation.idle_app import ScriptedThread, idle_app, idle_consumer
from tests.simulation.polled_by_hand import Coordinator


def test_a_partition_that_is_held_is_not_read_until_it_is_let_go(tmp_path):
    """Its changelog is: of the same number, but recovered before anything else."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            [changelog] = app.tables.changelog_topics
            held, other, recovered = TP(app.source_topic, 0), TP(app.source_topic, 1), TP(changelog, 0)
            thread = BatchConsumerThread(idle_consumer(app, ScriptedThread()), loop=asyncio.get_running_loop())
            thread.thread_loop.close()
            asked = []

            async def poll(_consumer, tp, _membership):
                asked.append(tp)

            thread._poll = poll
            fetcher = SimpleNamespace(_closed=False)
            kafka = SimpleNamespace(_closed=False, _fetcher=fetcher, _coordinator=Coordinator())
            for is_held in (True, False):
                thread.consumer.pacing.hold(0, is_held=is_held)
                await thread._fetch_records(kafka, {held, other, recovered}, timeout=0)
                polled, asked[:] = sorted(asked), []
                assert polled == sorted({held, other, recovered} - ({held} if is_held else set()))

    asyncio.run(scenario())
