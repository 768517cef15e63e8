"""A sink's probes and metrics: at work, without Kafka's or its own loop's progress, and when it is stopped."""

import time

import pytest

from streams.health.process_figures import BLOCKED_S
from tests.databases.model import sqlite_url
from tests.inputs.design_workload import design_workload
from tests.real_kafka.health_probe import NO_ANSWER, HealthProbe
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]


FROZEN_S = BLOCKED_S + 8.0
"""Longer than a loop may be blocked: by the clock on the wall the sink is dead when it goes on."""

SESSION_S = 90
"""The sink keeps its partitions meanwhile: taking them over would begin their time anew."""

LAST_CUT = "consolidator_sink_last_cut_seconds"


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
    assert probe.metric("consolidator_sink_lag_offsets", topic=installation.topics.executions.name, partition="0") == 0
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
        str(CONSOLIDATOR),
        "sink",
        "run",
        CONSOLIDATOR_SINK_URL=sqlite_url(tmp_path),
        CONSOLIDATOR_SESSION_TIMEOUT_S=str(SESSION_S),
        **probe.variables,
    )
    everything = dict.fromkeys(range(installation.partitions), "idle")
    probe.wait(lambda seen: seen.states == everything, "the sink to be idle", limit_s=LIMIT_S)
    asked, before_s = time.monotonic(), probe.metric(LAST_CUT, partition="0")
    sink.freeze()
    frozen = time.monotonic()
    assert probe.asked("/livez")[0] == NO_ANSWER
    time.sleep(max(0.0, frozen + FROZEN_S - time.monotonic()))
    sink.cont()
    thawed = time.monotonic()
    seen = probe.wait(lambda seen: seen.livez != NO_ANSWER, "an answer", limit_s=LIMIT_S)
    assert seen.livez == 200
    passed_s = probe.metric(LAST_CUT, partition="0") - before_s
    awake_s = frozen - asked + time.monotonic() - thawed
    # The clock counts a few seconds at most of the time in which nobody ran; and the partition is still the same.
    assert 0 <= passed_s < awake_s + FROZEN_S / 2
    assert len(sink.entries("partition taken over")) == installation.partitions
    sink.terminate()
    assert sink.wait_exit() == 0
