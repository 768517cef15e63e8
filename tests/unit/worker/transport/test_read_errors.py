"""What ends a poll: partitions that cannot be read, and what aiokafka keeps to itself."""

import asyncio

import pytest
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from faust.types import TP

from models.errors import ConsolidatorError, ContractError, InfrastructureError
from streams.worker.transport.polling import BatchConsumerThread
from streams.worker.transport.read_errors import kept_error
from tests.simulation.idle_app import ScriptedThread, idle_app, idle_consumer
from tests.simulation.polled_by_hand import POSITION, Coordinator, fetching


def raised(tmp_path, error):
    """What a poll of the source raises where the fetcher has kept this error."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            tp = TP(app.source_topic, 1)
            thread = BatchConsumerThread(idle_consumer(app, ScriptedThread()), loop=asyncio.get_running_loop())
            thread.thread_loop.close()
            async with fetching(tp, Coordinator()) as consumer:
                consumer._fetcher._set_error(TopicPartition(*tp), error)
                with pytest.raises((ConsolidatorError, KafkaError)) as caught:
                    await thread._fetch_records(consumer, {tp}, timeout=0)
                return caught.value

    return asyncio.run(scenario())


def test_a_partition_that_cannot_be_read_is_named(tmp_path):
    """A broken record is the infrastructure's failure, with its place; a position that is gone is the contract's."""
    broken = raised(tmp_path / "1", CorruptRecordException("Invalid CRC"))
    assert isinstance(broken, InfrastructureError)
    assert f"executions partition 1 cannot be read at offset {POSITION}" in str(broken)
    assert "Invalid CRC" in str(broken)
    assert isinstance(raised(tmp_path / "2", OffsetOutOfRangeError({})), ContractError)


def test_a_refused_fetch_stays_what_it_is(tmp_path):
    """The runner asks the cluster which permission is missing."""
    assert isinstance(raised(tmp_path, TopicAuthorizationFailedError("executions")), TopicAuthorizationFailedError)


def test_what_ended_the_background_tasks_is_found():
    """Errors of the group's coordination and of the fetching itself are told; a consumer that is well has none."""

    async def scenario():
        tp = TP("executions", 1)
        async with fetching(tp, Coordinator()) as consumer:
            assert kept_error(consumer) is None
            consumer._coordinator = Coordinator(KafkaError("Unexpected error during coordination"))
            assert "during coordination" in str(kept_error(consumer))
            consumer._closed = True
            assert kept_error(consumer) is None
        async with fetching(tp, Coordinator()) as consumer:
            # What no error of aiokafka's is ends its fetching for good.
            consumer._fetcher._client.force_metadata_update = None
            consumer._fetcher._notify(consumer._fetcher._wait_consume_future)
            await asyncio.wait([consumer._fetcher._fetch_task], timeout=5)
            assert isinstance(kept_error(consumer), KafkaError)

    asyncio.run(scenario())
