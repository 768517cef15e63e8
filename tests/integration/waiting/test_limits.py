"""How a wait ends that comes to nothing, and what it must not overlook: the worker's part is played by the test."""

import asyncio
import json
import threading
import time

import pytest

from consolidator import ContractError, InfrastructureError, UsageError, Waiter, WaitTimeoutError
from consolidator.keys import event_key
from consolidator.testing import encode, sample_change
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

SOON_S = 2.0


def change_of(partition, offset):
    """A change of which this is the cause, as a worker publishes it."""
    change = json.loads(encode(sample_change("a")))
    change["cause"] |= {"partition": partition, "offset": offset}
    change["version"] = {"partition": partition, "offset": offset}
    return json.dumps(change).encode()


def homely(stage):
    """An application of partition 0."""
    return next(f"app-{n}" for n in range(100) if stage.publisher.home(f"app-{n}") == 0)


def test_without_a_worker_the_groups_offset_is_named(stage, staged_waiter):
    """Nothing committed, and then how far it is from the record."""
    for number in range(3):
        place = stage.publisher.record(f"a/{number}".encode(), b"{}", 0)
    group, topic = stage.installation.name, stage.installation.topics.executions.name
    with pytest.raises(WaitTimeoutError, match=f"group {group} has committed nothing of {topic} partition 0"):
        staged_waiter.wait_for(place, timeout_s=SOON_S)
    stage.commit_group(1)
    with pytest.raises(
        TimeoutError, match=f"group {group} has committed offset 1 of {topic} partition 0, 1 offsets before the record"
    ):
        staged_waiter.wait_for(place, timeout_s=SOON_S)


@pytest.mark.parametrize("kind", ["factor_changes", "factors", "dlq"])
def test_an_open_transaction_is_waited_for_and_named(stage, staged_waiter, kind):
    """The group's offset is readable before the records are: a result is returned only when they are, too."""
    place = stage.publisher.event(1, homely(stage))
    topic = getattr(stage.installation.topics, kind).name
    stranger = stage.transaction()
    stranger.produce(topic, change_of(0, 0), b"a/1", 0)
    assert stranger.flush(LIMIT_S) == 0
    stage.commit_group(1)
    with pytest.raises(WaitTimeoutError, match=rf"a transaction is open on {topic} partition 0 since 20.*: it is read"):
        staged_waiter.wait_for(place, timeout_s=SOON_S)
    results = []
    thread = threading.Thread(target=lambda: results.append(staged_waiter.wait_for(place, timeout_s=LIMIT_S)))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    stranger.commit_transaction(LIMIT_S)
    thread.join(LIMIT_S)
    [result] = results
    assert result.kind == ("applied" if kind == "factor_changes" else "no_change")


def test_an_old_record_is_found_among_many(stage, staged_waiter):
    """The journal is halved until the place is found, whatever tombstones are in between."""
    count = 5_000
    application = homely(stage)
    stage.installation.publish_raw(
        (event_key(application, f"ev-{n}"), stage.publisher.value(n, application), 0) for n in range(count)
    )
    stage.commit_group(count)
    producer = stage.publisher._producer
    for number in range(0, count, 2):
        for _ in range(2):
            value = None if number % 10 == 0 else change_of(0, number)
            producer.produce(stage.installation.topics.factor_changes.name, value, f"a/{number}".encode(), 0)
        producer.poll(0)
    assert producer.flush(LIMIT_S) == 0
    for number in (2, 1_002, 2_222, 4_998):
        result = staged_waiter.wait_for((0, number))
        assert [change.version.offset for change in result.changes] == [number, number]
    assert staged_waiter.wait_for((0, 3)).kind == "no_change"


def test_a_copy_that_is_nowhere_is_an_error(stage, staged_waiter):
    """A worker publishes it in the transaction of its offset; without it something is wrong."""
    place = stage.publisher.record(b"any key", stage.publisher.value(1), 0)
    stage.commit_group(1)
    with pytest.raises(InfrastructureError, match="partition 0 offset 0 stands under another key or partition"):
        staged_waiter.wait_for(place)


def test_a_record_that_nobody_can_read_has_no_result(stage, staged_waiter):
    """That of an aborted transaction: the group passes it, and nothing comes of it."""
    topic = stage.installation.topics.executions.name
    aborted = stage.transaction()
    aborted.produce(topic, b"{}", b"a/1", 0)
    assert aborted.flush(LIMIT_S) == 0
    aborted.abort_transaction(LIMIT_S)
    stage.commit_group(2)
    wait_until(lambda: stage.installation.ends()[0] == 2, "the marker", limit_s=LIMIT_S)
    with pytest.raises(UsageError, match="its transaction was aborted, or compaction has removed it"):
        staged_waiter.wait_for((0, 0))


def test_a_cancelled_wait_ends(stage, staged_waiter):
    """Its thread does not go on asking."""
    place = stage.publisher.record(b"a/1", b"{}", 0)

    async def cancelled():
        task = asyncio.ensure_future(staged_waiter.wait_for_async(place, timeout_s=LIMIT_S))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.monotonic()
    asyncio.run(cancelled())
    staged_waiter.close()
    assert time.monotonic() - began < LIMIT_S / 2


def test_topics_that_are_not_there_are_a_wrong_setting(installation):
    """The message names the settings."""
    servers = str(installation.config["bootstrap.servers"])
    with (
        Waiter(servers, app_id="x", topic_prefix="nobodys.") as waiter,
        pytest.raises(ContractError, match="check CONSOLIDATOR_TOPIC_PREFIX"),
    ):
        waiter.wait_for((0, 0), timeout_s=SOON_S)


def test_a_broker_that_is_not_there_is_an_error_in_time():
    """Not before the limit, and not long after it."""
    with Waiter("127.0.0.1:1") as waiter, pytest.raises(InfrastructureError):
        waiter.wait_for((0, 0), timeout_s=SOON_S)
