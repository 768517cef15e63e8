"""What the consumer does with a poll while Faust rebalances and recovers around it."""

import asyncio
from types import SimpleNamespace

from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Membership, Round
from streams.worker.transport.polling import ChangelogRead
from tests.simulation.idle_app import ScriptedThread, idle_app, idle_consumer
from topics.contract.declared import TABLE_NAME

RECORD = SimpleNamespace(offset=7, key=b"row", value=b"bytes", timestamp=0)


def places(app):
    """Partition 1 of the source and of the changelog."""
    return TP(app.source_topic, 1), TP(app.tables[TABLE_NAME].changelog_topic.get_topic_name(), 1)


def batch_of(source):
    return {source: Round([Batch(source.topic, source.partition, 7, 8, [RECORD])], Membership("app", 1, "me"))}


def read_of(changelog, record):
    """What a poll finds that reads one row."""
    return {changelog: ChangelogRead(record.offset, record.offset + 1, [record])}


async def recovering_from(app, changelog, offset):
    """A recovery is under way, and its state ends before that offset."""
    app.tables.recovery.add_active(app.tables[TABLE_NAME], changelog)
    app.tables.recovery.active_offsets[changelog] = offset - 1
    await app.tables.recovery._seek_offsets(ScriptedThread(), {changelog}, {changelog: offset - 1}, "active")


async def yielded(consumer):
    return [message async for _, message in consumer.getmany(timeout=0)]


def test_nothing_is_fetched_from_the_source_until_a_rebalance_is_over(tmp_path):
    """While the application rebalances only the changelog is polled; afterwards both are."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            source, changelog = places(app)
            thread = ScriptedThread(dict, dict)
            consumer = idle_consumer(app, thread)
            consumer.resume_partitions({source, changelog})
            app.rebalancing = True
            await yielded(consumer)
            app.rebalancing = False
            await yielded(consumer)
            assert thread.asked == [{changelog}, {source, changelog}]

    asyncio.run(scenario())


def test_a_batch_is_not_handed_on_in_a_rebalance_that_began_during_its_poll(tmp_path):
    """A batch that was under way when a rebalance began would vanish with the agents' queues: it is dropped here."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            source, _ = places(app)

            def rebalance_begins():
                app.rebalancing = True
                return batch_of(source)

            consumer = idle_consumer(app, ScriptedThread(lambda: batch_of(source), rebalance_begins))
            consumer.resume_partitions({source})
            assert [message.offset for message in await yielded(consumer)] == [7]
            assert await yielded(consumer) == []

    asyncio.run(scenario())


def test_what_was_polled_in_an_earlier_generation_is_dropped(tmp_path):
    """Batches of before a rebalance go to nobody after it, though it is over already."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            source, _ = places(app)

            def rebalanced():
                app.consumer_generation_id += 1
                return batch_of(source)

            consumer = idle_consumer(app, ScriptedThread(rebalanced))
            consumer.resume_partitions({source})
            assert await yielded(consumer) == []

    asyncio.run(scenario())


def test_the_first_rows_of_a_recovery_are_written(tmp_path):
    """A poll that waited for a rebalance to be over is of the generation after it: its rows are the recovery's."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            _, changelog = places(app)
            table = app.tables[TABLE_NAME]
            await recovering_from(app, changelog, RECORD.offset)
            consumer = idle_consumer(app, ScriptedThread(lambda: read_of(changelog, RECORD)))
            consumer.resume_partitions({changelog})
            consumer.stop_flow()
            waiting = asyncio.create_task(yielded(consumer))
            # As far as it goes: to the wait for the flow.
            await asyncio.sleep(0)
            app.consumer_generation_id += 1
            consumer.resume_flow()
            await waiting
            assert table.data.rows(changelog.partition).get(RECORD.key) == RECORD.value
            assert table.data.persisted_offset(changelog) == RECORD.offset

    asyncio.run(scenario())


def test_what_went_to_nobody_is_read_again(tmp_path):
    """Rows that do not start where the state ends are not written, and end no recovery: the changelog is read again."""
    later = SimpleNamespace(offset=8, key=b"row", value=b"later bytes", timestamp=0)

    async def scenario():
        async with idle_app(tmp_path) as app:
            _, changelog = places(app)
            table, recovery = app.tables[TABLE_NAME], app.tables.recovery
            await recovering_from(app, changelog, RECORD.offset)
            recovery.active_highwaters[changelog] = later.offset
            recovery._set_recovery_started()
            polls = [read_of(changelog, later), read_of(changelog, RECORD), read_of(changelog, later)]
            thread = ScriptedThread(*(lambda found=found: found for found in polls))
            consumer = idle_consumer(app, thread)
            consumer.resume_partitions({changelog})
            await yielded(consumer)
            assert thread.sought == {changelog: RECORD.offset}
            assert table.data.rows(changelog.partition).get(RECORD.key) is None
            assert not recovery.signal_recovery_end.is_set()
            await yielded(consumer)
            await yielded(consumer)
            assert table.data.rows(changelog.partition).get(RECORD.key) == later.value
            assert recovery.signal_recovery_end.is_set()

    asyncio.run(scenario())


def test_no_acknowledgement_leads_to_a_commit(tmp_path):
    """Faust's commits, by timer, at a stop or a revocation, reach no broker: the transaction is the only committer."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            source, _ = places(app)
            thread = ScriptedThread(lambda: batch_of(source))
            consumer = idle_consumer(app, thread)
            consumer.resume_partitions({source})
            for message in await yielded(consumer):
                consumer.track_message(message)
                assert consumer.ack(message)
            assert not consumer.unacked
            await consumer.commit()
            assert await consumer._commit({source: 8})
            assert thread.committed == []

    asyncio.run(scenario())
