"""A worker that waits at a certain step, so that a rare race is certain to happen.

Run as a program it takes the arguments of ``consolidator``. CONSOLIDATOR_TEST_LINGER names the step:

- ``sought``: recovery is over, Faust has resumed the source and not yet cleared its queues;
- ``beginning``: between the recovery and the look at where state, group and topic stand;
- ``committing``: before the commit of each round.
"""

import asyncio
import os
import time

from streams.cli.main import main
from streams.worker.assignment import Engine
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds.round_transactions import RoundTransactions
from streams.worker.transport.consumer import BatchConsumer
from streams.worker.transport.polling import BatchConsumerThread

AT_THE_END_S = float(os.environ.get("CONSOLIDATOR_TEST_LINGER_S", "3"))
"""At most, if no batch comes to the agents' queues: Faust's fetcher sleeps for a second when nothing is resumed."""

AT_THE_BEGINNING_S = 20.0
"""Longer than it takes another worker to join, which ends it; the first time only."""

IN_A_COMMIT_S = 1.5
"""Longer than it takes the group to call its members together, shorter than it waits for them."""

_seek = BatchConsumer.perform_seek
_process = Engine.process
_end_offsets = BatchConsumerThread.end_offsets
_commit_of = {kind: kind.commit for kind in (PartitionTransactions, RoundTransactions)}


async def _seek_and_linger(consumer):
    """Until a batch waits in an agent's queue, which Faust is about to clear: agents are busy until it has."""

    async def process_later(engine, together, acknowledge):
        while consumer.app.rebalancing:  # noqa: ASYNC110 - Faust has no event for it
            await asyncio.sleep(0.01)
        await _process(engine, together, acknowledge)

    Engine.process = process_later
    await _seek(consumer)
    deadline = time.monotonic() + AT_THE_END_S
    queues = consumer.app.flow_control._queues
    while time.monotonic() < deadline and not any(queue.qsize() for queue in queues):  # noqa: ASYNC110 - nor for this
        await asyncio.sleep(0.01)


async def _linger_and_ask(thread, tps):
    BatchConsumerThread.end_offsets = _end_offsets
    await asyncio.sleep(AT_THE_BEGINNING_S)
    return await _end_offsets(thread, tps)


def _linger_and_commit(transactions, batches, membership):
    time.sleep(IN_A_COMMIT_S)
    return _commit_of[type(transactions)](transactions, batches, membership)


if __name__ == "__main__":
    match os.environ["CONSOLIDATOR_TEST_LINGER"]:
        case "sought":
            BatchConsumer.perform_seek = _seek_and_linger
        case "beginning":
            BatchConsumerThread.end_offsets = _linger_and_ask
        case "committing":
            for kind in _commit_of:
                kind.commit = _linger_and_commit
    main()
