"""A round has one membership of the group, taken at the start of the pass that read it."""

import asyncio

import pytest
from aiokafka.structs import TopicPartition

from streams.worker.round import Membership
from tests.simulation.polled_by_hand import polled_by_hand, records


def test_a_round_is_of_the_member_that_read_it(tmp_path):
    """The broker refuses its offsets once the group has gone on without that member."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.arrivals.arrived = records(7)
            found = await hand.thread._fetch_records(hand.kafka, {hand.tp})
            hand.kafka._coordinator.generation += 1
            assert found[hand.tp].membership == Membership(hand.thread.app.conf.id, 1, "me")

    asyncio.run(scenario())


@pytest.mark.parametrize("generation", [-1, 2])
def test_a_pass_reads_nothing_of_a_generation_that_began_meanwhile(tmp_path, generation):
    """What it has read in the last generation is in no batch of the next one, which reads it again if it is its own."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            hand.arrivals.meanwhile = lambda: setattr(hand.kafka._coordinator, "generation", generation)
            hand.arrivals.arrived = records(7)
            assert await hand.poll() is None
            hand.arrivals.meanwhile = None
            # After a rebalance the state says where the partition goes on.
            hand.kafka._coordinator.generation = 3
            hand.kafka._subscription.seek(TopicPartition(*hand.tp), 7)
            hand.arrivals.arrived = records(7, 8)
            found = await hand.thread._fetch_records(hand.kafka, {hand.tp})
            [batch] = found[hand.tp].batches
            assert (batch.start, batch.end, found[hand.tp].membership.generation) == (7, 9, 3)

    asyncio.run(scenario())


def test_the_partitions_behind_a_new_generation_wait_for_the_next_pass(tmp_path):
    """A round has one membership: batches of two generations are never in one."""

    async def scenario():
        async with polled_by_hand(tmp_path) as hand:
            membership = hand.thread._membership(hand.kafka)
            hand.kafka._coordinator.generation += 1
            hand.arrivals.arrived = records(7)
            assert await hand.thread._poll(hand.kafka, hand.tp, membership) is None
            assert hand.arrivals.arrived == records(7)
            assert await hand.poll() == (7, [7], 8)

    asyncio.run(scenario())
