"""``factors`` and ``history`` from the database and from Kafka: the same bytes, and without Kafka where SQL has all."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from consolidator.keys import event_key, parse_event_key, partition_of
from models.events import rfc3339
from streams.cli.main import cli
from streams.demo.scenarios import SCENARIOS
from tests.databases.model import LIMIT_S
from tests.inputs.workloads import parse_json
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.thorough]

NOBODY_LISTENS = "127.0.0.1:1"
EVENT = {"processor": "credit_check", "occurred_at": "2025-03-04T09:00:00Z", "status": "completed"}


def event(application: str, event_id: str, score: str) -> dict:
    output = {"factors": {"f_credit_score": parse_json(score.encode())}}
    return EVENT | {
        "application_id": application,
        "execution_id": f"x-{event_id}",
        "event_id": event_id,
        "output": output,
    }


def other_at_home_with(application: str, partitions: int) -> str:
    """Another application of the same partition."""
    wanted = partition_of(application, partitions)
    return next(name for number in range(1_000) if partition_of(name := f"other-{number}", partitions) == wanted)


@pytest.fixture
def told(installation, model):
    """The scenarios, a copy of an event, an application with a tombstone, and one that was erased: markers."""
    scenarios = [parse_json(line) for one in SCENARIOS for line in one.lines()]
    erased = other_at_home_with("scenario-1", installation.partitions)
    worker, sink = installation.start(), model.start()
    installation.publish(scenarios)
    installation.publish([event(erased, "1", "700"), event("with-tombstone", "1", "700.50")])
    installation.wait_consumed(worker)
    installation.publish([scenarios[0], event("with-tombstone", "2", "1e-20")])
    home = partition_of("with-tombstone", installation.partitions)
    installation.publish_raw([(event_key("with-tombstone", "1"), None, home)])
    assert run(model, "erase", erased, "--yes").exit_code == 0
    installation.wait_consumed(worker)
    ends = installation.stable_ends(installation.topics.executions.name)
    wait_until(
        lambda: model.positions() == ends,
        f"rows at {ends}",
        limit_s=LIMIT_S,
        details=lambda: f"{model.positions()}\n{sink.tail()}",
    )
    yield model
    sink.stop()


def run(model, *arguments: str, **variables: str) -> Result:
    env = model.installation.variables | {"CONSOLIDATOR_SINK_URL": model.url} | variables
    return CliRunner(env=env).invoke(cli, arguments)


def first_questions() -> list[list[str]]:
    """What is asked of every application."""
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    asked = [["factors"], ["factors", "--why"], ["history"], ["history", "--order", "occurred"]]
    asked += [["factors", "--at", soon], ["factors", "--at", "2025-03-04T09:02:00Z"]]
    true = ["factors", "--at", "2025-03-04T09:02:00Z", "--as-of", "true"]
    return [*asked, [*true, "--why"], [*true, "--compare", soon]]


def further_questions(model, application: str) -> list[list[str]]:
    """As of each of its offsets, and as of just before, at, and after the times of its partition's records."""
    records = model.installation.read(model.installation.topics.executions.name)
    partition = partition_of(application, model.installation.partitions)
    there = [one for one in records if one.partition == partition]
    asked = []
    for one in there:
        if (parse_event_key(one.key or b"") or ("",))[0] == application:
            place = f"{partition}:{one.offset}"
            asked += [["factors", "--at-offset", place, "--why"], ["factors", "--at-offset", place, "--compare", "now"]]
    for time in sorted({one.timestamp_ms for one in there}):
        asked += [["factors", "--at", rfc3339((time + shift) * 1_000)] for shift in (-1, 0, 1)]
    return asked


def assert_equal(model, application: str, question: list[str], form: str) -> None:
    """Both give the same bytes; the database with brokers at which nobody listens."""
    command, *options = question
    line = (command, application, *options, "--format", form)
    by_kafka = run(model, *line, "--source", "kafka")
    by_sql = run(model, *line, KAFKA_BOOTSTRAP_SERVERS=NOBODY_LISTENS)
    assert by_kafka.exit_code in {0, 1}, by_kafka.output
    said = by_sql.stderr.splitlines(keepends=True)
    source = [one for one in said if "answered by the database: " in one]
    assert len(source) == 1, (line, by_sql.stderr, by_sql.exception)
    assert (by_sql.stdout, by_sql.exit_code) == (by_kafka.stdout, by_kafka.exit_code), line
    assert "".join(one for one in said if one not in source) == by_kafka.stderr, line


def test_equal_byte_for_byte_and_without_kafka(told):
    """Of one application everything that can be asked, of others what is asked of each; in JSON and as text."""
    for question in first_questions():
        for application in ("scenario-1", "scenario-2", "scenario-3", "nobody"):
            assert_equal(told, application, question, "json")
        assert_equal(told, "scenario-1", question, "table")
    for question in further_questions(told, "scenario-1"):
        assert_equal(told, "scenario-1", question, "json")


def test_what_the_database_must_not_hold_is_answered_by_kafka(told):
    """An application with a tombstone, and one that is erased: the same answer, and it is said who gave it."""
    erased = other_at_home_with("scenario-1", told.installation.partitions)
    for application in ("with-tombstone", erased):
        for line in (("factors", application, "--why"), ("history", application)):
            by_kafka = run(told, *line, "--format", "json", "--source", "kafka")
            found = run(told, *line, "--format", "json")
            assert (found.stdout, found.exit_code) == (by_kafka.stdout, by_kafka.exit_code)
            assert "answered by Kafka: the log of application" in found.stderr
            refused = run(told, *line, "--source", "sql")
            assert "the log of application" in str(refused.exception)
    fates = [
        json.loads(line)["fate"]
        for line in run(told, "history", "with-tombstone", "--format", "json").stdout.splitlines()
    ]
    assert fates == ["folded", "folded", "tombstone"]


def test_brokers_on_the_command_line_are_asked(told):
    """Whoever names brokers means them; so does another installation's database, or none, leave it to Kafka."""
    servers = told.installation.variables["KAFKA_BOOTSTRAP_SERVERS"]
    named = run(told, "factors", "scenario-1", "--bootstrap-servers", servers)
    assert "answered by" not in named.stderr
    none = run(told, "factors", "scenario-1", CONSOLIDATOR_SINK_URL="sqlite:////nowhere/model.db")
    assert (none.stdout, none.exit_code) == (named.stdout, 0)
    assert "answered by Kafka: there is no file /nowhere/model.db" in none.stderr
    copied = next(
        one for one in map(json.loads, run(told, "history", "scenario-1", "--format", "json").stdout.splitlines()[::-1])
    )
    assert copied["fate"] == "copy"
