"""Ten times the normal load: memory stays flat, and the lag drains.

The normal load is taken to be 1,000 events a second. The oracle takes ten times as long as the worker, and keeps
everything: some 10 KB an event, which is 6 GiB in the long form.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from tests.fault_runs.scale import scale
from tests.inputs.design_workload import Message, design_workload
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SECONDS = scale("LOAD_SECONDS", short=12, long=60)
EVENTS_A_SECOND = 10_000
SLICES_A_SECOND = 20
APPLICATIONS = 20_000

GROWTH_LIMIT_MIB = 288.0
"""After the first third. The decoded pairs, some 160 MiB, and RocksDB's blocks, 128 MiB, are still being cached then,
up to some 900,000 events of this load; nothing else may grow with the number of events."""

PEAK_LIMIT_MIB = 768.0
"""However long it takes: 2,000,000 events were seen to end at 680 MiB."""

DRAIN_LIMIT_S = 180.0


def steadily(messages: Iterable[Message]) -> Iterator[Message]:
    """The messages at the rate of the load, a slice at a time."""
    begun = time.monotonic()
    source = iter(messages)
    for number in itertools.count(1):
        yield from itertools.islice(source, EVENTS_A_SECOND // SLICES_A_SECOND)
        if number == SECONDS * SLICES_A_SECOND:
            return
        # The schedule: a slice that was late is made up for, nothing is waited for.
        time.sleep(max(0.0, begun + number / SLICES_A_SECOND - time.monotonic()))


@pytest.mark.timeout(600 + 20 * SECONDS)
def test_ten_times_the_normal_load(installation, conclude):
    """The worker keeps up or catches up, and its memory does not grow with the events that it has seen."""
    events = EVENTS_A_SECOND * SECONDS
    worker = installation.start().wait_ready(installation.partitions)
    published: list[float] = []

    def publish() -> None:
        begun = time.monotonic()
        assert installation.publish_messages(steadily(design_workload(events, APPLICATIONS, 171))) == events
        published.append(time.monotonic() - begun)

    publisher = threading.Thread(target=publish)
    publisher.start()
    peaks = []
    for third in (1, 2, 3):
        worker.wait(
            lambda share=third: (
                sum(installation.committed().values()) >= events * share / 3 or not publisher.is_alive()
            ),
            f"{third}/3 of the events to be committed, or published",
            limit_s=DRAIN_LIMIT_S + 4 * SECONDS,
        )
        peaks.append(worker.peak_memory_mib())
    publisher.join(DRAIN_LIMIT_S)
    assert published, "publishing failed"
    lag = events - sum(installation.committed().values())
    begun = time.monotonic()
    wait_until(
        lambda: worker.exit_code is not None or sum(installation.committed().values()) >= events,
        "the lag to drain",
        limit_s=DRAIN_LIMIT_S,
        details=worker.tail,
    )
    drained_s = time.monotonic() - begun
    peaks.append(worker.peak_memory_mib())
    conclude(
        installation,
        worker,
        scenario="17 ten times the load",
        fault=f"10,000 events a second for {SECONDS} s",
        held="the laws; memory bounded; the lag drains",
        more={
            "events in all": events,
            "published, events/s": round(events / published[0]),
            "lag at the end of publishing": lag,
            "drained in, s": round(drained_s, 1),
            "peak memory after the first third, MiB": round(peaks[0]),
            "peak memory at the end, MiB": round(peaks[-1]),
        },
        state=installation.state_dir,
    )
    assert peaks[-1] < PEAK_LIMIT_MIB
    assert peaks[-1] - peaks[0] < GROWTH_LIMIT_MIB, peaks
