"""A database from which factors really are cleared: the mission's scenarios in SQL, on real Kafka."""

import os
import subprocess

import pytest

from streams.demo.scenarios import SCENARIOS
from streams.sink.repository import LegacySqlExecutionRepository, SqlExecutionRepository
from tests.inputs.workloads import Rates, believable, parse_json
from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = pytest.mark.kafka

FACTORS = "SELECT processor, factor, value FROM factors WHERE application_id = :id ORDER BY factor"


def publish_scenarios(installation) -> None:
    installation.publish([parse_json(line) for one in SCENARIOS for line in one.lines()])


def test_the_scenarios_in_sql(installation, model):
    """(2) leaves no row, and the journal says when, by which event and why; (1) and (3) as in the mission."""
    publish_scenarios(installation)
    worker = installation.start()
    installation.wait_consumed(worker)
    sink = model.start()
    model.wait_through(sink)
    for scenario in SCENARIOS:
        found = {row["factor"]: row["value"] for row in model.rows(FACTORS, id=scenario.application_id)}
        assert found == scenario.factors
    assert model.rows("SELECT * FROM factors WHERE application_id = 'scenario-2'") == []
    journal = model.rows(
        "SELECT previous_outcome, outcome, cause_status, cause_execution_id, cause_event_id, occurred_at"
        " FROM factor_changes WHERE application_id = 'scenario-2' AND outcome = 'cleared' ORDER BY version_offset"
    )
    assert [(row["cause_status"], row["cause_event_id"]) for row in journal] == [
        ("failed", "scenario-2-1-failed"),
        ("failed", "scenario-2-2-failed"),
    ]
    assert (journal[0]["previous_outcome"], journal[0]["occurred_at"]) == ("in_progress", "2025-03-04T09:02:30.000000Z")
    proposed, before = SqlExecutionRepository(model.engine), LegacySqlExecutionRepository(model.engine)
    assert [one.status for one in proposed.get_active_executions("scenario-2", "credit_check")] == ["failed", "failed"]
    assert before.get_active_executions("scenario-2", "credit_check") == []
    [rate] = model.rows("SELECT failed, active FROM processor_statistics WHERE processor = 'credit_check'")
    assert rate == {"failed": 2, "active": 2}
    model.check()
    sink.stop()


def test_a_factor_that_is_there_is_cleared(installation, model):
    """A success gives a row; its failed retry deletes it, while the sink runs."""
    event = {
        "application_id": "cleared-1",
        "execution_id": "e-1",
        "processor": "credit_check",
        "occurred_at": "2025-03-04T09:00:00Z",
    }
    worker, sink = installation.start(), model.start()
    installation.publish(
        [event | {"event_id": "1", "status": "completed", "output": {"factors": {"f_credit_score": 710}}}]
    )
    installation.wait_consumed(worker)
    model.wait_through(sink)
    assert [row["value"] for row in model.rows(FACTORS, id="cleared-1")] == ["710"]
    installation.publish([event | {"event_id": "2", "status": "failed", "attempt": 2}])
    installation.wait_consumed(worker)
    model.wait_through(sink)
    assert model.rows(FACTORS, id="cleared-1") == []
    [change] = model.rows("SELECT changed FROM factor_changes WHERE outcome = 'cleared'")
    assert parse_json(change["changed"]) == [{"factor": "f_credit_score", "op": "cleared", "before": 710}]


def test_everything_that_happens_is_in_the_rows(installation, model):
    """Copies, tombstones, late copies, foreign keys, dead letters and reruns, with the sink killed in between."""
    worker = installation.start()
    for number in range(4):
        sink = model.start()
        installation.publish(believable(900 + number, 60, rates=Rates(erased=0.05)))
        installation.publish_raw((b"k", b"no JSON", partition) for partition in range(installation.partitions))
        if number % 2:
            wait_until(lambda: sum(model.positions().values()) > 0, "rows", limit_s=60, details=sink.tail)
        sink.kill()
    installation.wait_consumed(worker)
    sink = model.start()
    model.wait_through(sink)
    model.check()


def test_an_erased_application_is_in_no_table(installation, model):
    """Within a batch of the erasure; its late event stays out, and the others' rows stay."""
    worker, sink = installation.start(), model.start()
    publish_scenarios(installation)
    installation.wait_consumed(worker)
    model.wait_through(sink)
    assert model.mentions("scenario-1") > 0
    subprocess.run(
        [CONSOLIDATOR, "erase", "scenario-1", "--yes"],
        env=os.environ | installation.variables,
        check=True,
        capture_output=True,
        timeout=120,
    )
    late = parse_json(next(iter(SCENARIOS[0].lines()))) | {"event_id": "late"}
    installation.publish([late])
    installation.wait_consumed(worker)
    model.wait_through(sink)
    assert model.mentions("scenario-1") == 0
    assert model.mentions("scenario-3") > 0
    model.check()


def test_a_frozen_sink_writes_nothing_more(installation, model):
    """Another one takes over; thawed, the first one has an earlier epoch: nothing is lost or doubled by it."""
    worker, frozen = installation.start(), model.start()
    installation.publish(believable(921, 30))
    installation.wait_consumed(worker)
    model.wait_through(frozen)
    frozen.freeze()
    other = model.start()
    installation.publish(believable(922, 30))
    installation.wait_consumed(worker)
    model.wait_through(other)
    owners = model.epochs()
    assert all(owner.endswith(f":{other.pid}") for _, owner in owners.values())
    frozen.cont()
    installation.publish(believable(923, 30))
    installation.wait_consumed(worker)
    model.wait_through(frozen, other)
    model.check()


def test_two_share_the_partitions(installation, model):
    """Each has some, together all; when one ends the other has all."""
    worker = installation.start()
    first, second = model.start(), model.start()
    installation.publish(believable(931, 40))
    installation.wait_consumed(worker)

    def shared() -> bool:
        owners = [owner for _, owner in model.epochs().values()] if model.positions() else []
        return len(owners) == installation.partitions and len(set(owners)) == 2

    wait_until(shared, "two owners", limit_s=60, details=lambda: first.tail() + second.tail())
    model.wait_through(first, second)
    first.stop()
    installation.publish(believable(932, 40))
    installation.wait_consumed(worker)
    model.wait_through(second)
    model.check()
