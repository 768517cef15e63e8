"""What ``/livez``, ``/readyz`` and ``/metrics`` answer to a snapshot."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.health.exposition import metrics
from streams.health.names import METRICS, Kind, metrics_of
from streams.health.probes import livez, readyz
from streams.health.report import Check, State
from tests.unit.health.snapshots import partition, snapshot

DEADLY = Check("event_loop", ok=False, says="blocked", deadly=True, needed=True)
NEEDED = Check("kafka", ok=False, says="lost", needed=True)
TOLD = Check("log", ok=False, says="nobody reads it")


@pytest.mark.parametrize(
    ("checks", "states", "alive", "ready"),
    [
        ([], [], 200, 200),
        ([], [State.IDLE, State.RUNNING, State.ADOPTING], 200, 200),
        ([TOLD], [State.IDLE], 200, 200),
        ([NEEDED], [State.IDLE], 200, 503),
        ([DEADLY], [State.IDLE], 503, 503),
        ([], [State.RUNNING, State.STALLED], 200, 503),
        ([], [State.RUNNING, State.STUCK], 503, 503),
        ([], [State.RECOVERING], 200, 503),
        ([], [State.FENCING], 200, 503),
        ([], [State.WAITING], 200, 503),
    ],
)
def test_dead_is_what_a_restart_may_mend_and_ready_is_what_works(checks, states, alive, ready):
    """A worker without partitions is ready; what is only said changes neither answer."""
    found = snapshot(*(partition(number, state) for number, state in enumerate(states)), checks=checks)
    assert (livez(found).status, readyz(found).status) == (alive, ready)


def test_the_body_can_be_read():
    """A line for each check and each partition: state, offsets, last progress, and what is waited for."""
    found = snapshot(
        partition(3, position=1204, committed=1204, last_progress_seconds=2.2),
        partition(4, State.STALLED, position=9, committed=7, lag=1_200, last_progress_seconds=31.0, waits_for="Kafka"),
        partition(5, State.FENCING, waits_for="transactions of earlier owners"),
        checks=[NEEDED],
    )
    assert readyz(found).body.decode().splitlines() == [
        "not ok",
        "kafka: NOT OK, lost",
        "partition 3: running, position 1204, committed 1204, last progress 2 s ago, waits for nothing",
        "partition 4: stalled, position 9, committed 7, 1,200 behind, last progress 31 s ago, waits for Kafka",
        "partition 5: fencing, no progress yet, waits for transactions of earlier owners",
    ]
    assert livez(found).body.decode().splitlines()[0] == "ok"


def test_the_same_as_json():
    """For programs: the members that `status` reads."""
    found = json.loads(livez(snapshot(partition(3, lag_seconds=1.26), checks=[NEEDED]), as_json=True).body)
    assert found["checks"] == [{"name": "kafka", "ok": False, "says": "lost"}]
    assert {name: found[name] for name in ("healthy", "role", "version", "app_id", "worker")} == {
        "healthy": True,
        "role": "worker",
        "version": "1.2",
        "app_id": "app",
        "worker": "host/worker-0",
    }
    [one] = found["partitions"]
    assert one == {
        "topic": "executions",
        "partition": 3,
        "state": "running",
        "position": None,
        "committed": None,
        "end": None,
        "lag": None,
        "lag_seconds": 1.3,
        "last_progress_seconds": None,
        "waits_for": None,
    }


def families(found):
    answer = metrics(found)
    assert answer.status == 200
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


@pytest.mark.parametrize("role", ["worker", "sink"])
def test_every_metric_is_described_from_the_first_scrape_on(role):
    """Also those of which there is nothing to say yet; and no metric of the other program."""
    found = families(snapshot(role=role))
    expected = {metric.name.removesuffix("_total"): metric.kind.value for metric in metrics_of(role)}
    assert {name: family.type for name, family in found.items()} == expected


def test_names_are_those_of_prometheus_conventions():
    """A counter ends with _total, nothing else does; a duration is in seconds, a size in bytes."""
    for metric in METRICS.values():
        assert metric.name.startswith("consolidator_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert not metric.name.endswith(("_ms", "_mib", "_count", "_sum", "_bucket"))
        assert not {"application", "application_id", "execution_id", "factor"} & set(metric.labels)


def test_numbers_labels_and_buckets():
    """A code may have any characters; a histogram's buckets are cumulative and end with all."""
    found = families(
        snapshot(
            values={"consolidator_execution_failures_total": [(("p", 'a"b\\c\nd'), 3.0)]},
            histograms={"consolidator_batch_records": ([1, 0, 2, *[0] * 8, 4], 99.5)},
        )
    )
    [failures] = found["consolidator_execution_failures"].samples
    assert (failures.labels, failures.value) == ({"processor": "p", "code": 'a"b\\c\nd'}, 3.0)
    samples = found["consolidator_batch_records"].samples
    buckets = {one.labels["le"]: one.value for one in samples if one.name.endswith("_bucket")}
    assert (buckets["1.0"], buckets["5.0"], buckets["10.0"], buckets["16000.0"], buckets["+Inf"]) == (1, 1, 3, 3, 7)
    assert {one.name.rpartition("_")[2]: one.value for one in samples if "le" not in one.labels} == {
        "count": 7,
        "sum": 99.5,
    }
