"""A sink's probes and metrics: at work, without Kafka's or its own loop's progress, and when it is stopped."""

import pytest

from tests.databases.model import sqlite_url
from tests.inputs.design_workload import design_workload
from tests.real_kafka.health_probe import NO_ANSWER, HealthProbe
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture
def probe():
    return HealthProbe()


def test_a_sink_is_idle_counts_its_rows_and_answers_no_more_when_it_is_stopped(installation, probe, tmp_path):
    """Ready with its partitions; rows by table; the log's lines name it; after SIGTERM nobody answers."""
    worker = installation.start()
    installation.publish_messages(design_workload(500, 50, 101))
    worker.wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    sink = installation.start_program(
        str(CONSOLIDATOR), "sink", "run", CONSOLIDATOR_SINK_URL=sqlite_url(tmp_path), **probe.variables
    )
    everything = dict.fromkeys(range(installation.partitions), "idle")
    seen = probe.wait(lambda seen: seen.states == everything, "the sink to be idle", limit_s=LIMIT_S)
    assert (seen.livez, seen.readyz) == (200, 200)
    assert seen.checks["database"]
    assert seen.checks["kafka"]
    assert probe.metric("consolidator_sink_rows_total", table="lifecycle_events") == 500
    assert probe.metric("consolidator_sink_cuts_total") > 0
    assert probe.metric("consolidator_sink_lag_records", topic=installation.topics.executions.name, partition="0") == 0
    assert probe.metric("consolidator_sink_lag_seconds", partition="0") == 0
    assert not [name for name, _ in probe.metrics() if name.startswith("consolidator_partition_")]
    assert all(entry["worker"].endswith("/sink") for entry in sink.entries("partition taken over"))
    sink.terminate()
    assert sink.wait_exit() == 0
    assert probe.look().livez == NO_ANSWER
    worker.stop()


def test_a_frozen_sink_answers_nothing_and_is_well_again_afterwards(installation, probe, tmp_path):
    """The connection is not answered, which kills a pod; what was suspended did not stand still."""
    sink = installation.start_program(
        str(CONSOLIDATOR), "sink", "run", CONSOLIDATOR_SINK_URL=sqlite_url(tmp_path), **probe.variables
    )
    everything = dict.fromkeys(range(installation.partitions), "idle")
    probe.wait(lambda seen: seen.states == everything, "the sink to be idle", limit_s=LIMIT_S)
    sink.freeze()
    assert probe.asked("/livez")[0] == NO_ANSWER
    sink.cont()
    seen = probe.wait(lambda seen: seen.livez != NO_ANSWER, "an answer", limit_s=LIMIT_S)
    assert seen.livez == 200
    sink.terminate()
    assert sink.wait_exit() == 0
