"""A worker that falls ill in a certain way once a file is there, so that its probes can be looked at.

Run as a program it takes the arguments of ``consolidator``. CONSOLIDATOR_TEST_ILL is ``ILLNESS:FILE``:

- ``loop``: the event loop is blocked for as long as the file is there;
- ``partition``: no batch of partition 1 begins while the file is there, and nobody knows why;
- ``slow-recovery``: a recovery takes a few records at a time; it goes on when the file is gone.
"""

import asyncio
import os
import time
from pathlib import Path

from streams.cli.main import main
from streams.worker.probe import WorkerProbe
from streams.worker.transport import polling
from streams.worker.transport.consumer import BatchConsumer

__all__ = ["PARTITION", "VARIABLE"]

VARIABLE = "CONSOLIDATOR_TEST_ILL"
PARTITION = 1
"""The partition that nobody takes."""

ILLNESS, _, FILE = os.environ.get(VARIABLE, "").partition(":")

FEW_RECORDS = 20
A_MOMENT_S = 0.5

_beat = WorkerProbe.beat
_is_held = polling.BatchConsumerThread._is_held
_restore = BatchConsumer._restore


def is_ill():
    return Path(FILE).exists()


def _beat_and_hang(probe):
    _beat(probe)
    while is_ill():
        time.sleep(0.1)


def _is_held_by_illness(thread, tp):
    return _is_held(thread, tp) or (tp.partition == PARTITION and not thread._is_changelog(tp) and is_ill())


async def _restore_slowly(consumer, tp, found):
    await _restore(consumer, tp, found)
    if is_ill():
        await asyncio.sleep(A_MOMENT_S)


if __name__ == "__main__":
    match ILLNESS:
        case "loop":
            WorkerProbe.beat = _beat_and_hang
        case "partition":
            polling.BatchConsumerThread._is_held = _is_held_by_illness
        case "slow-recovery":
            polling._CHANGELOG_RECORDS = FEW_RECORDS
            BatchConsumer._restore = _restore_slowly
    main()
