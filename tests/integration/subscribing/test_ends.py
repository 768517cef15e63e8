"""How a subscription ends: closed, interrupted, cancelled, or at a record that cannot be read; and what is no end."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer, TopicPartition

import consolidator
from consolidator import CaughtUp, Changed, Current, MustRefetch, Progress, Revoked, UnreadableRecordError
from consolidator.keys import change_key
from consolidator.testing import encode
from tests.inputs.repository import ROOT
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.subscribing import View, Watched

pytestmark = pytest.mark.kafka

APPLICATIONS = [f"app-{number}" for number in range(6)]
WAITS_S = 0.3
CLOSED_BY_A_SIGNAL = """
import signal, sys, consolidator
subscription = consolidator.subscribe(sys.argv[1], topic_prefix=sys.argv[2])
signal.signal(signal.SIGTERM, lambda *_: subscription.close())
for item in subscription:
    print(type(item).__name__, flush=True)
print("closed")
"""
PROGRAM = """
import sys, consolidator
with consolidator.subscribe(sys.argv[1], topic_prefix=sys.argv[2]) as subscription:
    for item in subscription:
        print(type(item).__name__, flush=True)
"""


def test_a_subscription_is_closed_in_the_middle(published, subscribed, is_async):
    """Another thread closes it while it waits: the iteration ends, soon, and without an error."""
    with Watched(subscribed(), is_async=is_async) as watched:
        watched.wait_kind(CaughtUp)
        watched.subscription.close()
        assert watched.ended() is None
        watched.subscription.close()
    assert [*watched.subscription] == []


def signalled(program, kafka, installation, number):
    """The program's exit code, stdout and stderr after a signal that comes while it waits for changes."""
    command = [sys.executable, "-c", program, kafka, f"{installation.name}."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        while running.stdout.readline().strip() != "CaughtUp":
            assert running.poll() is None
        began = time.monotonic()
        running.send_signal(number)
        printed, problems = running.communicate(timeout=LIMIT_S)
    assert time.monotonic() - began < LIMIT_S / 2
    return running.returncode, printed, problems


def test_a_signals_handler_may_close_it(kafka, published, installation):
    """It runs in the middle of a look at Kafka: the loop ends as at any other close, and the program goes on."""
    code, printed, problems = signalled(CLOSED_BY_A_SIGNAL, kafka, installation, signal.SIGTERM)
    assert (code, printed.splitlines()[-1], problems) == (0, "closed", "")


def test_an_interrupt_ends_it_at_once(kafka, published, installation):
    """Ctrl-C in a loop that waits ends the program as any other."""
    code, _, problems = signalled(PROGRAM, kafka, installation, signal.SIGINT)
    assert problems.rstrip().endswith("KeyboardInterrupt")
    assert code == -signal.SIGINT


def test_a_cancelled_task_loses_nothing(published, subscribed):
    """A task that waits for an item is cancelled; another one goes on with what came meanwhile."""
    published.change(*APPLICATIONS)

    async def taken(subscription, items, is_enough):
        """Iterate in a task of its own, which is cancelled while it waits for an item."""
        arrived = asyncio.Event()

        async def take():
            async for item in subscription:
                items.append(item)
                if is_enough():
                    arrived.set()

        task = asyncio.create_task(take())
        async with asyncio.timeout(LIMIT_S):
            await arrived.wait()
        # It waits for Kafka by now.
        await asyncio.sleep(WAITS_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def run():
        items = []
        async with subscribed() as subscription:
            for _ in range(4):
                await taken(subscription, items, lambda: View().take(items).agrees(published.expected))
                await asyncio.to_thread(published.change, *APPLICATIONS)
            await taken(subscription, items, lambda: View().take(items).agrees(published.expected))
        return items

    items = asyncio.run(run())
    assert View().take(items).agrees(published.expected)
    places = [
        (type(item).__name__, item.partition, item.offset) for item in items if isinstance(item, Changed | Current)
    ]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("which", [0, 1], ids=["the journal", "factors"])
def test_a_record_that_cannot_be_read(published, subscribed, which, is_async):
    """It is named, with what to do; what comes before it is yielded; another loop meets it again."""
    partition = 2
    published.change(published.application(partition))
    published.raw([(published.names[which], partition, b"app-9/x", b"{}")])
    subscription = subscribed(until="caught-up", start=("beginning", "snapshot")[which])
    with subscription:
        for count in range(2):
            watched = Watched(subscription, is_async=is_async)
            watched._thread.start()
            assert isinstance(error := watched.ended(), UnreadableRecordError)
            assert f"{published.names[which]} partition {partition} offset 2: the value is not what" in str(error)
            assert "To do:" in str(error)
            assert len([one for one in watched.items if isinstance(one, Changed | Current)]) == (count == 0)


def test_a_newer_record_asks_for_an_upgrade(published, read):
    """A record of a later schema version is never skipped."""
    change = published.make(published.application(0))
    newer = encode(change).replace(b'"schema_version":1', b'"schema_version":7')
    published.raw([(published.names[0], 0, change_key(change.application_id, change.id), newer)])
    with pytest.raises(UnreadableRecordError, match=r"schema_version 7.*install a later version") as caught:
        read(start="beginning")
    assert caught.value.newer_version == 7


def test_a_huge_record_of_a_stranger_breaks_nothing_but_itself(published, read):
    """A batch of many megabytes that is packed small is read; its records are filtered out without being decoded."""
    published.change(*APPLICATIONS)
    settings = {"compression.type": "zstd", "linger.ms": 2_000, "batch.size": 100_000_000}
    large = {"message.max.bytes": 100_000_000, "batch.num.messages": 10, "queue.buffering.max.kbytes": 200_000}
    producer = Producer({**published.installation.config, **settings, **large})
    partition = consolidator.partition_of(APPLICATIONS[0], published.partitions)
    for number in range(10):
        producer.produce(published.names[0], b"x" * 7_000_000, f"stranger/{number}".encode(), partition)
    assert producer.flush(LIMIT_S) == 0
    published.change(*APPLICATIONS)
    items = read(start="beginning", applications=[APPLICATIONS[0]])
    assert [item.change.application_id for item in items if isinstance(item, Changed)] == [APPLICATIONS[0]] * 2
    with pytest.raises(UnreadableRecordError):
        read(start="beginning")


@pytest.mark.parametrize("group", [None, "stuck"])
def test_a_consumer_that_fetches_no_more_is_opened_anew(published, subscribed, installation, group):
    """A partition that librdkafka does not fetch, without a word, is found out: nothing is lost or repeated."""
    tokens = {}
    alone = {} if group is None else {"group": f"{installation.name}-{group}", "stored": lambda _: dict(tokens)}

    def take(item):
        if group is not None and not isinstance(item, Progress | Revoked):
            tokens.update(dict.fromkeys(getattr(item, "partitions", None) or (item.partition,), item.token))

    published.change(*APPLICATIONS)
    with Watched(subscribed(progress_s=0.2, stall_s=1.0, **alone), take=take) as watched:
        watched.wait_kind(CaughtUp, 1 if group is None else published.partitions)
        journal = watched.subscription._engine.journal
        journal.consumer.pause([TopicPartition(published.names[0], one) for one in journal.positions])
        published.change(*APPLICATIONS)
        watched.wait_kind(Changed, len(APPLICATIONS))
    assert View().take(watched.items).agrees(published.expected)
    assert len(watched.of(Changed)) == len(APPLICATIONS)
    assert not watched.of(MustRefetch)


def test_a_service_in_a_few_lines(published, arguments):
    """The documentation's loop keeps a table right; it is left by the caller."""
    published.change(*APPLICATIONS)
    table = {}
    with consolidator.subscribe(**arguments) as subscription:
        for item in subscription:
            match item:
                case consolidator.Current(factors) | consolidator.Changed(factors):
                    table[factors.application_id, factors.processor] = factors.values()
                case consolidator.Erased(application_id):
                    table = {pair: values for pair, values in table.items() if pair[0] != application_id}
                case consolidator.CaughtUp():
                    break
    assert table == {pair: change.values() for pair, change in published.expected.items()}
