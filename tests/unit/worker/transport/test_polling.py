"""What aiokafka keeps for its own poll comes out of the transport's."""

import asyncio

from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.partition.batch import Batch
from streams.worker.round import Membership, Round
from streams.worker.transport import polling
from streams.worker.transport.pacing import fetch_bytes
from streams.worker.transport.polling import _FETCH_TOGETHER_MS
from tests.simulation.polled_by_hand import polled_by_hand, records


def round_of(tp, *offsets):
    """A round of one small batch."""
    batch = Batch(tp.topic, tp.partition, offsets[0], offsets[-1] + 1, records(*offsets))
    return Round([batch], Membership("app", 1, "me"))


def next_fetch(hand):
    """How long the broker holds the next fetch, and until it has how many bytes: as aiokafka's own fetcher asks."""
    fetcher = hand.fetcher
    fetcher._fetch_max_wait_ms = hand.arrivals._fetch_max_wait_ms
    fetcher._fetch_min_bytes = hand.arrivals._fetch_min_bytes
    fetcher._client.cluster.leader_for_partition = lambda _: 0
    try:
        [(_, request)], *_ = fetcher._get_actions_per_node(hand.kafka._subscription.subscription.assignment)
    finally:
        fetcher._client.cluster.leader_for_partition = lambda _: None
    return request._max_wait_ms, request._min_bytes


def test_what_comes_while_a_batch_commits_is_in_the_next_one(tmp_path):
    """It is read at once, so that aiokafka fetches on, and handed on together when the commit is done."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.arrivals.arrived = records(7)
            assert await hand.poll() == (7, [7], 8)
            hand.pacing.began(before := round_of(hand.tp, 7))
            for offset in (8, 9):
                hand.arrivals.arrived = records(offset)
                assert await hand.poll() is None
            assert hand.arrivals.arrived == []
            hand.pacing.ended(before)
            # The interval between two small batches goes by.
            assert await hand.poll(within_s=5.0) == (8, [8, 9], 10)
            assert await hand.poll() is None

    asyncio.run(scenario())


async def waiting_poll(hand, monkeypatch):
    """A poll that has gathered an event while a round is under way, and does not look by itself; and that round."""
    monkeypatch.setattr(polling, "_LONGEST_WAIT_S", 60.0)
    hand.pacing.began(before := round_of(hand.tp, 6))
    hand.arrivals.arrived = records(7)
    waiting = asyncio.create_task(hand.poll(within_s=60.0))
    await asyncio.wait([waiting], timeout=0.1)
    assert hand.arrivals.arrived == []
    assert not waiting.done()
    return waiting, before


def test_a_poll_that_waits_ends_with_the_commit(tmp_path, monkeypatch):
    """It is told so: neither the next event nor the next look, which are far away here, has to come first."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            waiting, before = await waiting_poll(hand, monkeypatch)
            hand.consumer.ack(hand.consumer._to_message(hand.tp, before))
            assert await asyncio.wait_for(waiting, 5) == (7, [7], 8)

    asyncio.run(scenario())


def test_a_commit_may_end_after_the_consumers_thread(tmp_path):
    """A worker that stops ends its polls first, and its last commits then: nobody waits to be told."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.pacing.began(last := round_of(hand.tp, 6))
            hand.thread.thread_loop = asyncio.new_event_loop()
            hand.thread.thread_loop.close()
            assert hand.consumer.ack(hand.consumer._to_message(hand.tp, last))

    asyncio.run(scenario())


def test_an_end_of_a_round_during_a_look_is_not_missed(tmp_path, monkeypatch):
    """The next round may have been held back a moment before: the poll looks once more at once."""
    monkeypatch.setattr(polling, "_LONGEST_WAIT_S", 60.0)

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.pacing.began(before := round_of(hand.tp, 6))
            hand.arrivals.arrived = records(7)
            set_next_fetch = hand.thread._set_next_fetch

            def end_the_round(fetcher, *, is_urgent):
                hand.consumer.ack(hand.consumer._to_message(hand.tp, before))
                set_next_fetch(fetcher, is_urgent=is_urgent)

            hand.thread._set_next_fetch = end_the_round
            assert await asyncio.wait_for(hand.poll(within_s=60.0), 5) == (7, [7], 8)

    asyncio.run(scenario())


def test_a_poll_that_waits_takes_what_was_fetched_at_once(tmp_path, monkeypatch):
    """Until it is taken, aiokafka fetches no more of its partition."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            waiting, _ = await waiting_poll(hand, monkeypatch)
            hand.arrivals.arrived = records(8)
            hand.arrivals.tell()
            await asyncio.wait([waiting], timeout=0.1)
            assert hand.arrivals.arrived == []
            waiting.cancel()

    asyncio.run(scenario())


def test_a_fetch_is_held_only_while_events_wait_anyway(tmp_path):
    """At rest the first event ends it; while a round is under way it brings what comes to every partition."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            options = hand.thread.app.batch_options
            at_rest, held = (options.fetch_max_wait_ms, 1), (_FETCH_TOGETHER_MS, fetch_bytes(1))
            assert await hand.poll() is None
            assert next_fetch(hand) == at_rest
            hand.arrivals.arrived = records(7)
            assert await hand.poll() == (7, [7], 8)
            assert next_fetch(hand) == held
            hand.pacing.began(before := round_of(hand.tp, 7))
            hand.arrivals.arrived = records(8)
            assert await hand.poll() is None
            assert next_fetch(hand) == held
            hand.pacing.ended(before)
            assert await hand.poll(within_s=5.0) == (8, [8], 9)
            assert await hand.poll() is None
            assert next_fetch(hand) == at_rest

    asyncio.run(scenario())


def test_no_more_is_gathered_than_a_batch_may_have(tmp_path):
    """The rest stays with aiokafka, which then fetches no more of this partition."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            most = hand.thread.app.batch_options.batch_events
            hand.pacing.began(before := round_of(hand.tp, 6))
            hand.arrivals.arrived = records(*range(7, 7 + most + 2))
            assert await hand.poll() is None
            assert await hand.poll() is None
            assert len(hand.arrivals.arrived) == 2
            hand.pacing.ended(before)
            start, offsets, end = await hand.poll()
            assert (start, len(offsets), end) == (7, most, 7 + most)

    asyncio.run(scenario())


def test_no_more_bytes_are_gathered_than_a_batch_may_have(tmp_path):
    """A few large events fill it; the rest stays with aiokafka, and comes when the batch has begun."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.arrivals.bytes_each = hand.pacing.batch_bytes
            hand.pacing.began(before := round_of(hand.tp, 6))
            hand.arrivals.arrived = records(7)
            assert await hand.poll() is None
            hand.arrivals.arrived = records(8)
            assert await hand.poll() is None
            assert hand.arrivals.arrived == records(8)
            hand.pacing.ended(before)
            assert await hand.poll(within_s=5.0) == (7, [7], 8)
            assert await hand.poll(within_s=5.0) == (8, [8], 9)

    asyncio.run(scenario())


def test_what_was_gathered_before_a_seek_or_a_rebalance_is_forgotten(tmp_path):
    """The state may have gone on elsewhere: what counts is read again from where it stands."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.pacing.began(round_of(hand.tp, 6))
            hand.arrivals.arrived = records(7, 8)
            assert await hand.poll() is None
            # Another worker took 7 and 8 over and committed them; then the partition came back.
            hand.kafka._coordinator.generation += 1
            hand.pacing.assigned(1)
            hand.arrivals.arrived = records(9)
            assert await hand.poll() == (9, [9], 10)
            hand.pacing.began(round_of(hand.tp, 9))
            hand.arrivals.arrived = records(10, 11)
            assert await hand.poll() is None
            hand.kafka._subscription.seek(TopicPartition(*hand.tp), 10)
            hand.pacing.assigned(1)
            hand.arrivals.arrived = records(10)
            assert await hand.poll() == (10, [10], 11)

    asyncio.run(scenario())


def test_a_poll_reads_nothing_of_the_next_assignment(tmp_path):
    """A rebalance may be over before a poll that waits looks up: what has come since is for the polls after it."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            waiting = asyncio.create_task(hand.poll(within_s=60.0))
            await asyncio.sleep(0)
            assert not waiting.done()
            hand.thread.app.consumer_generation_id += 1
            hand.arrivals.arrived = records(7)
            assert await asyncio.wait_for(waiting, 5) is None
            assert hand.arrivals.arrived == records(7)

    asyncio.run(scenario())


def test_small_batches_make_a_round_and_a_large_one_is_its_own(tmp_path):
    """What is small begins together, whatever its partition; what is large waits for nobody."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            large = hand.thread.app.batch_options.batch_events
            tps = [TP(hand.tp.topic, partition) for partition in range(4)]
            sizes = dict(zip(tps, (1, large, 0, 2), strict=True))

            async def poll(_consumer, tp, _membership):
                return round_of(tp, *range(sizes[tp])).batches[0] if sizes[tp] else None

            hand.thread._poll = poll
            polled = await hand.thread._fetch_records(hand.kafka, set(tps), timeout=0)
            found = sorted([batch.partition for batch in each.batches] for each in polled.values())
            assert found in ([[0, 3], [1]], [[1], [3, 0]])
            assert all(tp.partition == each.batches[0].partition for tp, each in polled.items())

    asyncio.run(scenario())
