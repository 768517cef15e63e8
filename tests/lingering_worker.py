"""A worker that lingers at a certain step of taking partitions over, so that a race elsewhere is certain here.

Run as a program it takes the arguments of ``consolidator``. CONSOLIDATOR_TEST_LINGER says where:

- ``sought``: recovery is over, Faust has resumed the source and not yet cleared its queues;
- ``beginning``: between the recovery and the look at where state, group and topic stand.
"""

import asyncio
import os

from streams.cli.main import main
from streams.worker.transport.consumer import BatchConsumer, BatchConsumerThread

AT_THE_END_S = 0.5
"""Many polls long, and shorter than the work that is waiting."""

AT_THE_BEGINNING_S = 20.0
"""Longer than it takes another worker to join, which ends it; the first time only."""

_seek = BatchConsumer.perform_seek
_end_offsets = BatchConsumerThread.end_offsets


async def _seek_and_linger(consumer):
    await _seek(consumer)
    await asyncio.sleep(AT_THE_END_S)


async def _linger_and_ask(thread, tps):
    BatchConsumerThread.end_offsets = _end_offsets
    await asyncio.sleep(AT_THE_BEGINNING_S)
    return await _end_offsets(thread, tps)


if __name__ == "__main__":
    match os.environ["CONSOLIDATOR_TEST_LINGER"]:
        case "sought":
            BatchConsumer.perform_seek = _seek_and_linger
        case "beginning":
            BatchConsumerThread.end_offsets = _linger_and_ask
    main()
