"""What a probe sees of a worker: before its application is there, and of one that is not in its group yet."""

import asyncio

import pytest
from structlog.testing import capture_logs

from streams.health.probes import livez, readyz
from streams.health.report import State
from streams.runtime.contact import KafkaContact
from streams.worker.group_watch import GroupFacts
from streams.worker.measuring.counts import EventCounts
from streams.worker.measuring.facts import Facts
from streams.worker.probe import WorkerProbe
from tests.oracle.folds import topics_of
from tests.simulation.idle_app import idle_app


class Offsets:
    """Where partitions end, without Kafka."""

    ends = {0: 12}  # noqa: RUF012 - it is never changed
    leaderless = None

    def values(self):
        return {"consolidator_open_transaction_seconds": [(("executions",), 3.0)]}


@pytest.fixture
def probe():
    return WorkerProbe("app", topics_of(), KafkaContact(), EventCounts({"p": 1}), patience_s=300.0)


def test_a_worker_that_starts_is_alive_and_not_ready(probe, tmp_path):
    """From the first moment on it says what it does, and every count is there."""
    found = probe.look()
    assert (livez(found).status, readyz(found).status) == (200, 503)
    assert "the worker is starting" in readyz(found).body.decode()
    assert dict(found.values["consolidator_events_total"])["folded",] == 0
    probe.use(tmp_path / "worker-3")
    assert probe.look().worker.endswith("/worker-3")


def test_a_worker_that_is_not_in_its_group_says_so(probe, tmp_path):
    """Its loop runs, and it waits for the group: alive and not ready; the metrics of what it asks for are there."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            probe.attach(app, Offsets())
            probe.beat()
            return probe.look(), probe.owned()

    found, owned = asyncio.run(scenario())
    assert owned == []
    assert (livez(found).status, readyz(found).status) == (200, 503)
    assert "group: NOT OK, waits for the consumer group" in readyz(found).body.decode()
    assert found.values["consolidator_open_transaction_seconds"] == [(("executions",), 3.0)]
    assert sum(found.histograms["consolidator_fold_seconds"][0]) == 0


def test_a_mistake_about_the_group_does_not_end_the_watch(probe, tmp_path, monkeypatch):
    """It reads private parts of libraries, in a task whose end is the worker's: the loop's sign is given still."""

    def broken(_app):
        raise AttributeError("_coordinator")

    monkeypatch.setattr("streams.worker.probe.group_facts", broken)

    async def scenario():
        async with idle_app(tmp_path) as app:
            probe.attach(app, Offsets())
            probe.beat()
            return probe.look()

    with capture_logs() as lines:
        found = asyncio.run(scenario())
    assert [line["error"] for line in lines if "error" in line] == ["AttributeError('_coordinator')"]
    assert "event_loop: ok, last sign" in livez(found).body.decode()


def test_the_metrics_of_a_partition_are_those_of_its_view(probe, tmp_path, monkeypatch):
    """Position, committed offset, end, lag and state, by the partition's number; and the summary's lag."""

    async def scenario():
        async with idle_app(tmp_path) as app:
            facts = Facts(0, State.RUNNING, probe.clock(), position=11, committed=10)
            monkeypatch.setattr(app, "partition_owner", _Owner(app.partition_owner, [facts]))
            probe.attach(app, Offsets())
            probe.beat()
            found, totals = probe.look(), probe.totals()
            monkeypatch.undo()
            return found, totals

    found, totals = asyncio.run(scenario())
    values = {name: dict(labelled) for name, labelled in found.values.items()}
    assert values["consolidator_partition_position"]["0",] == 11
    assert values["consolidator_partition_committed_offset"]["0",] == 10
    assert values["consolidator_partition_end_offset"]["0",] == 12
    assert values["consolidator_partition_lag_offsets"]["0",] == 2
    assert values["consolidator_partition_state"]["0", "running"] == 1
    assert values["consolidator_partition_state"]["0", "stuck"] == 0
    assert (totals.partitions, totals.lag, totals.standing_still) == ([0], 2, [])


def test_a_missing_leader_is_why_a_partition_stands_still(probe, tmp_path, monkeypatch):
    """Other brokers answer, and the missing one is forgotten: without this a restart would be asked for."""
    offsets = Offsets()
    offsets.leaderless = "a leader that answers: executions: Kafka gave no offset for partition 0"

    async def scenario():
        async with idle_app(tmp_path) as app:
            facts = Facts(0, State.RUNNING, probe.clock(), position=11, committed=10)
            monkeypatch.setattr(app, "partition_owner", _Owner(app.partition_owner, [facts]))
            monkeypatch.setattr("streams.worker.probe.group_facts", lambda _app: GroupFacts(None, is_member=True))
            probe.attach(app, offsets)
            probe.beat()
            probe.look()
            later = probe.clock() + 3_600
            monkeypatch.setattr(probe, "clock", lambda: later)
            found = probe.look()
            monkeypatch.undo()
            return found

    [partition] = asyncio.run(scenario()).partitions
    assert (partition.state, partition.waits_for) == ("stalled", offsets.leaderless)


class _Owner:
    """The owner of partitions, with facts of the test's own."""

    def __init__(self, owner, facts):
        self.figures = owner.figures
        self.facts = lambda: facts

    def stored(self):
        return {0: 4_096}, 1_024
