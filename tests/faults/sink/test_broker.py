"""The broker is restarted beside workers and sinks: nobody has to be restarted with it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.embedded import start_broker, stop_broker
from tests.fault_runs.scale import scale
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import tails

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

RESTARTS = scale("SINK_BROKER_RESTARTS", short=1, long=3)
SINKS = 2
MOMENT_S = 1.0
LIMIT_S = 180.0


@pytest.fixture
def broker_directory(tmp_path) -> Path:
    """Where the broker that is restarted keeps its data, and its port."""
    return tmp_path / "broker"


@pytest.fixture
def installation(broker_directory, kafka_cache_dir, tmp_path) -> Iterator[Installation]:
    """An installation on a broker of its own."""
    try:
        servers = start_broker(broker_directory, kafka_cache_dir).bootstrap_servers
        with installed(servers, tmp_path) as found:
            yield found
    finally:
        discard_broker(broker_directory)


@pytest.mark.timeout(300 + 120 * RESTARTS)
def test_the_broker_is_restarted(scene, database, broker_directory, kafka_cache_dir):
    """Sinks and workers wait for it, and go on by themselves."""
    sinks, recovery_s = scene.sinks, []
    for _ in range(SINKS):
        sinks.start()
    sinks.wait_at_work()
    workers = list(scene.workers)
    for _ in range(RESTARTS):
        scene.wait_moment(MOMENT_S)
        assert stop_broker(broker_directory)
        before = sinks.positions()
        start_broker(broker_directory, kafka_cache_dir)
        begun = time.monotonic()
        sinks.wait_beyond(before, limit_s=LIMIT_S)
        recovery_s.append(time.monotonic() - begun)
    scene.erase()
    assert len(sinks.alive) == SINKS
    assert all(worker.exit_code is None for worker in workers), tails(workers)
    scene.conclude(
        f"broker restarted beside sinks, {database}",
        "the broker restarted in order, beside two workers and two sinks",
        held="; no sink and no worker restarted",
        faults=RESTARTS,
        recovery_s=tuple(recovery_s),
    )
