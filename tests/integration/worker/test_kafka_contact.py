"""Kafka goes and comes back under a worker: the log has a line for each, and hardly another."""

import time

import pytest

from streams.broker.embedded import start_broker, stop_broker
from tests.inputs.design_workload import design_workload
from tests.inputs.waiting import slowness
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

REMINDER_LIMIT_S = 60.0
MOST_LINES = 10
"""Of the worker during the outage: lost, still lost, back, and what the rebalance after it has to say."""

GRACE_S = 30.0
NO_KAFKA = 3


@pytest.fixture
def own_kafka(tmp_path, kafka_cache_dir):
    """A broker that the test may stop: its servers, and how to start it again."""
    directory = tmp_path / "kafka"

    def start():
        return start_broker(directory, kafka_cache_dir).bootstrap_servers

    try:
        yield start(), directory, start
    finally:
        discard_broker(directory)


def test_an_outage_is_told_in_a_line_each(own_kafka, tmp_path):
    """One line when Kafka is lost, with what is waited for; one each half a minute; one when it is back; then work."""
    servers, directory, start_again = own_kafka
    with installed(servers, tmp_path / "run", CONSOLIDATOR_SESSION_TIMEOUT_S="10") as installation:
        installation.publish_messages(design_workload(1_000, 50, 76))
        worker = installation.start().wait_ready(installation.partitions)
        installation.wait_consumed(worker)
        before = len(worker.log.splitlines())
        stop_broker(directory)
        worker.wait(lambda: worker.entries("Kafka is still lost"), "a reminder", limit_s=REMINDER_LIMIT_S)
        [lost] = worker.entries("Kafka is lost")
        assert servers in lost["waiting_for"]
        assert lost["since"] <= lost["timestamp"]
        assert "refused" in lost["error"].lower() or "connect" in lost["error"].lower()
        [reminder] = worker.entries("Kafka is still lost")
        assert reminder["waited_s"] >= 30
        assert reminder["since"] == lost["since"]
        start_again()
        worker.wait(lambda: worker.entries("Kafka is back"), "Kafka to be back", limit_s=LIMIT_S)
        installation.publish_messages(design_workload(1_000, 50, 77))
        installation.wait_consumed(worker)
        [back] = worker.entries("Kafka is back")
        assert back["lost_for_s"] >= 30
        others = ("execution failed", "summary")
        told = [entry for entry in worker.entries()[before:] if not entry["event"].startswith(others)]
        assert len(told) <= MOST_LINES, "\n".join(map(str, told))
        worker.stop()
        installation.check_laws()


def test_a_signal_ends_a_worker_that_has_lost_kafka(own_kafka, tmp_path):
    """With nothing in flight it ends in order, long before anybody loses patience: a library's wait is no reason."""
    servers, directory, _ = own_kafka
    with installed(servers, tmp_path / "run") as installation:
        installation.publish_messages(design_workload(500, 50, 78))
        worker = installation.start().wait_ready(installation.partitions)
        installation.wait_consumed(worker)
        stop_broker(directory)
        worker.wait(lambda: worker.entries("Kafka is lost"), "Kafka to be lost", limit_s=LIMIT_S)
        worker.terminate()
        assert worker.wait_exit(limit_s=GRACE_S) == 0, worker.tail()


@pytest.mark.parametrize(
    "moment_s", [0.5, pytest.param(1.0, marks=pytest.mark.thorough), pytest.param(1.5, marks=pytest.mark.thorough)]
)
def test_a_broker_that_goes_while_a_worker_joins_leaves_it_with_its_partitions(own_kafka, tmp_path, moment_s):
    """It was never told of the topics, and is the leader that assigns them: it asks for them before that."""
    servers, directory, start_again = own_kafka
    with installed(servers, tmp_path / "run", CONSOLIDATOR_SESSION_TIMEOUT_S="10") as installation:
        installation.publish_messages(design_workload(500, 50, 79))
        # The group waits for the one that was killed, so the next one joins for some seconds.
        installation.start().wait_ready(installation.partitions).kill()
        worker = installation.start()
        worker.wait(lambda: worker.entries("worker starting"), "the worker to start", limit_s=LIMIT_S)
        # No condition can be waited for: the client tells nobody when it asks for topics. Any moment must do.
        time.sleep(moment_s)
        discard_broker(directory)
        start_again()
        wait_until(
            lambda: worker.exit_code is not None or len(worker.owned()) == installation.partitions,
            "all partitions to be its own",
            limit_s=LIMIT_S * slowness(),
            details=worker.tail,
        )
        if worker.exit_code == NO_KAFKA:
            # On a slow machine it had no answer at all before the broker went; such a start fails.
            worker = installation.start().wait_ready(installation.partitions)
        installation.wait_consumed(worker)
        worker.stop()
        installation.check_laws()
