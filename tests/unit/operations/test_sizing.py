"""How much an installation needs: two cases computed by hand, and laws of the calculation."""

import json
from dataclasses import replace
from uuid import UUID

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from consolidator.keys import event_key
from streams.cli.output.operations.size_page import bytes_in_words, size_json
from streams.configuration.settings import Settings
from streams.operations.sizing import Plan, size_of
from topics.contract.declared import declare

A_MILLION = Plan(1_000_000)

plans = st.builds(
    Plan,
    events_per_day=st.integers(1, 10**10),
    applications_per_day=st.none() | st.integers(1, 10**10),
    event_bytes=st.integers(1, 1024 * 1024),
    retention_months=st.integers(1, 120),
    replicas=st.integers(1, 5),
    peak_factor=st.floats(1, 100),
)


def topics_of(size):
    return {topic.topic: topic.bytes for topic in size.brokers.topics}


def test_a_million_events_a_day():
    """By hand: 761 days, 761 million events of 450 bytes, 38.05 million applications, 149.46 million pairs."""
    size = size_of(A_MILLION)
    assert (A_MILLION.days, A_MILLION.kept_events, A_MILLION.applications) == (761, 761_000_000, 38_050_000)
    assert pytest.approx(149_460_400, abs=1) == A_MILLION.pairs
    assert topics_of(size) == {
        # 761 million of 450 + 75 + 73 bytes.
        "executions": 455_078_000_000,
        # 0.4674 changes an event, of 1,089.1 bytes and 75 + 78 of framing.
        "factor-changes": pytest.approx(441_804_287_940, abs=10),
        # The pairs of 717.4 + 153 bytes, a tenth of the log superseded, and an hour of 208,333 events on top.
        "factors": pytest.approx(144_629_568_711, abs=1_000),
        # 116.3 bytes an event and 153 a pair, a tenth superseded, and an hour of 611 + 153 bytes an event on top.
        "changelog": pytest.approx(123_905_545_778, abs=1_000),
        # Of 30 days a thousandth, of 450 + 1,000 bytes.
        "executions.dlq": 43_500_000,
    }
    assert size.brokers.bytes == pytest.approx(1_165_460_902_429, abs=3_000)
    assert size.brokers.bytes_with_replicas == pytest.approx(3_496_382_707_287, abs=10_000)
    # 30 % stay free.
    assert size.brokers.to_provide_bytes == pytest.approx(4_994_832_438_986, abs=20_000)
    assert size.brokers.per_broker_bytes == pytest.approx(1_664_944_146_329, abs=10_000)


def test_the_workers_of_a_million_events_a_day():
    """58 events/s at the peak are little for a process: two, so that one may be away; the state decides the rest."""
    workers = size_of(A_MILLION).workers
    assert pytest.approx(57.87, abs=0.01) == A_MILLION.peak_events_per_s
    assert (workers.processes, workers.partitions, workers.memory_mib_each) == (2, 8, 1_024)
    assert workers.state_bytes == 73_208_200_000
    # 149.46 million records at 169,681 a second, a tenth of the log superseded: a standby is worth it.
    assert workers.rebuild_s == pytest.approx(978.7, abs=0.1)
    assert workers.standbys == 1
    assert workers.disk_bytes_each == pytest.approx(418_332_571_429, abs=10)
    assert workers.catch_up_s == pytest.approx(0.88, abs=0.01)
    # 58 rounds a second of 2.7 ms, and 42.8 s for a million events; the brokers take 7.6 ms and 10.8 s.
    assert workers.cores_at_peak == pytest.approx(0.1587, abs=0.0001)
    assert size_of(A_MILLION).brokers.cores_at_peak == pytest.approx(0.4404, abs=0.0001)


def test_a_record_of_executions_is_never_larger_than_said():
    """Kafka's own writer packs an event alone in its batch, with a key of two UUIDs, into no more than that."""
    key, value = event_key(str(UUID(int=1)), str(UUID(int=2))), bytes(450)
    batch = DefaultRecordBatchBuilder(2, 0, 1, 1, 1, 0, 1 << 20)
    batch.append(offset=0, timestamp=1_700_000_000_000, key=key, value=value, headers=[])
    plan = Plan(1, event_bytes=len(value), retention_months=1)
    assert topics_of(size_of(plan))["executions"] == plan.days * (450 + 75 + len(key))
    assert len(batch.build()) <= 450 + 75 + len(key)


def test_a_busy_month():
    """By hand: 28,935 events/s at the peak are three processes at half of 23,742 each, with 16 partitions."""
    size = size_of(Plan(500_000_000, 10_000_000, event_bytes=1_000, retention_months=1, replicas=1))
    assert size.plan.days == 31
    assert (size.workers.processes, size.workers.partitions) == (3, 16)
    assert topics_of(size)["executions"] == 500_000_000 * 31 * 1_148
    assert size.plan.applications == 310_000_000
    # 13,524 changes/s at the peak, at half of 8,095 each.
    assert size.sinks.processes == 4
    assert size.brokers.bytes_with_replicas == size.brokers.bytes


def test_many_partitions_of_a_process_take_more_memory():
    """16 processes have 64 partitions; where 64 of a process were measured, its limit is 289 MiB above that of 16."""
    workers = size_of(Plan(3_000_000_000)).workers
    each = -(-workers.partitions // (workers.processes - 1))
    assert workers.memory_mib_each == 1_024 + max(0, -(-(each - 16) * 289 // 48))


@given(plans, st.sampled_from(["events_per_day", "event_bytes", "retention_months", "replicas", "peak_factor"]))
def test_more_never_needs_less(plan, what):
    """Of disks, state, processes, partitions and cores, whatever grows."""
    more = replace(plan, **{what: getattr(plan, what) * 2})
    before, after = size_of(plan), size_of(more)
    assert all(topics_of(after)[topic] >= size for topic, size in topics_of(before).items())
    assert after.brokers.to_provide_bytes >= before.brokers.to_provide_bytes
    assert after.brokers.cores_at_peak >= before.brokers.cores_at_peak
    for name in ("processes", "partitions", "state_bytes", "cores_at_peak"):
        assert getattr(after.workers, name) >= getattr(before.workers, name)
    assert after.sinks.processes >= before.sinks.processes


@given(plans)
def test_what_is_needed_is_always_something(plan):
    """No topic is empty, no worker without a disk; partitions suffice for the processes; all of it can be JSON."""
    size = size_of(plan)
    assert all(topic.bytes > 0 for topic in size.brokers.topics)
    assert size.brokers.per_broker_bytes * plan.replicas >= size.brokers.to_provide_bytes
    assert size.workers.disk_bytes_each > 0
    assert size.workers.partitions >= 4 * size.workers.processes
    assert size.workers.catch_up_s >= 0
    assert plan.pairs <= plan.kept_events
    assert json.loads(json.dumps(size_json(size)))["plan"]["events_per_day"] == plan.events_per_day


@given(plans)
def test_more_applications_never_need_less(plan):
    """They have more pairs; there are never more applications than events."""
    few, many = (size_of(replace(plan, applications_per_day=number)) for number in (10, 10_000))
    assert all(topics_of(many)[topic] >= size for topic, size in topics_of(few).items())
    assert many.plan.applications <= many.plan.kept_events


def test_it_computes_with_what_is_declared():
    """The retention of dead letters, the part of a compacted topic that is superseded, its segments, the window."""
    topics = declare("", app_id="a", partitions=1, replication_factor=1, audit_window_days=1, max_event_bytes=1_024)
    assert topics.dlq.config["retention.ms"] == str(30 * 24 * 3_600_000)
    for view in (topics.factors, topics.changelog):
        assert view.config["min.cleanable.dirty.ratio"] == "0.1"
        assert view.config["segment.bytes"] == str(64 * 1024 * 1024)
    assert Settings.model_fields["audit_window_days"].default == A_MILLION.days


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        (455_078_000_000, "424 GiB"),
        (1_664_944_146_329, "1.51 TiB"),
        (2**70, "1,024 EiB"),
    ],
)
def test_bytes_in_words(count, words):
    """Three digits are enough to order a disk by."""
    assert bytes_in_words(count) == words
