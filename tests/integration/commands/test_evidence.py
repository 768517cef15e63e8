"""``consolidator evidence`` on a real broker, behind a worker; its check is far from any."""

import json

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from consolidator.keys import parse_event_key
from streams.cli.main import cli
from tests.inputs.workloads import Rates, believable, parse_json, to_json
from tests.oracle.expected import Tombstone
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


@pytest.fixture(scope="module")
def told(kafka, tmp_path_factory):
    """Some applications, consolidated by a worker."""
    with installed(kafka, tmp_path_factory.mktemp("evidence")) as installation:
        installation.publish(believable(901, 20, rates=Rates(missing_event_id=0.0)))
        consolidate(installation)
        yield installation


def consolidate(installation):
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


def run(installation, *arguments, exit_code=0, **variables):
    runner = CliRunner(env=installation.variables | variables)
    result = runner.invoke(cli, ["evidence", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def about(records, application):
    return [record for record in records if parse_event_key(record.key)[0] == application]


def test_what_was_collected_holds_without_kafka(told, tmp_path):
    """All of the application's records are in it, and the check needs neither broker nor settings."""
    application = "app-901-000003"
    directory = tmp_path / "evidence"
    collected = json.loads(run(told, "--out", str(directory), application, "--format", "json").stdout)
    changes, factors, _ = told.published()
    assert collected["records"] == {
        "executions": len(about(told.read(told.topics.executions.name), application)),
        "factor_changes": len(about(changes, application)),
        "factors": len(about(factors, application)),
    }
    assert collected["verification"]["factor_changes"]["equal"] == collected["records"]["factor_changes"]
    checked = run(told, "verify", str(directory), "--seal", collected["seal"], "--format", "json", **NOWHERE)
    assert json.loads(checked.stdout)["verification"] == collected["verification"]
    again = run(told, application, "--out", str(tmp_path / "again"), "--format", "json")
    assert json.loads(again.stdout)["seal"] == collected["seal"]
    table = run(told, "verify", str(directory), **NOWHERE).stdout
    assert table.splitlines()[-1] == f"holds, seal {collected['seal']}"


def test_an_unknown_application_has_no_evidence(told, tmp_path):
    """Exit code 1, a message, and nothing is written."""
    result = run(told, "nobody", "--out", str(tmp_path / "evidence"), exit_code=1)
    assert "has nothing about application nobody" in result.stderr
    assert not (tmp_path / "evidence").exists()


def test_erased_events_are_left_out_and_planted_changes_are_named(installation, tmp_path):
    """No byte of an erased event gets into the files; what no event gives is told, and the exit code is 1."""
    events = believable(902, 1, rates=Rates(missing_event_id=0.0, duplicate=0.0))
    completed = next(one for one in events if one["status"] == "completed")
    application, erased = completed["application_id"], completed["event_id"]
    installation.publish([*events, Tombstone(application, erased)])
    consolidate(installation)
    directory = tmp_path / "evidence"
    result = run(installation, application, "--out", str(directory), "--format", "json")
    collected = json.loads(result.stdout)
    assert collected["erased_events_left_out"] == 1
    assert collected["verification"]["factor_changes"]["unverifiable"] > 0
    source = [json.loads(line) for line in (directory / "executions.jsonl").read_text().splitlines()]
    kept = about(installation.read(installation.topics.executions.name), application)
    assert len(source) == len(kept) - 1
    assert [one["value"] for one in source].count(None) == 1
    change = about(installation.read(installation.topics.factor_changes.name), application)[0]
    forged = to_json(parse_json(change.value) | {"outcome": "cleared"})
    producer = Producer(installation.config)
    producer.produce(change.topic, forged, change.key, change.partition)
    assert producer.flush(LIMIT_S) == 0
    planted = run(installation, application, "--out", str(tmp_path / "planted"), exit_code=1)
    assert "altered: " in planted.stderr
    assert "does NOT hold" in run(installation, "verify", str(tmp_path / "planted"), exit_code=1, **NOWHERE).stdout
