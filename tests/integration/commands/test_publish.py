"""``consolidator publish`` on a real broker: all of a file or nothing, under canonical keys, acknowledged."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from consolidator.keys import event_key, partition_of
from streams.cli.main import cli
from tests.inputs.workloads import to_json
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = pytest.mark.kafka

LINES = 5_000


def event(number, *, application=None, **more):
    return {
        "event_id": f"evt-{number}",
        "application_id": application or f"app-{number % 50}",
        "execution_id": f"e{number}",
        "processor": "credit_check",
        "status": "failed",
        "occurred_at": "2025-03-03T09:00:00Z",
    } | more


@pytest.fixture
def publish(installation):
    """Run the command with lines as its stdin, and return its result."""
    runner = CliRunner(env=installation.variables)

    def run(lines, *arguments, file="-"):
        data = b"\n".join(line if isinstance(line, bytes) else to_json(line) for line in lines)
        return runner.invoke(cli, ["publish", file, *arguments], input=data, catch_exceptions=False)

    return run


def published(installation):
    return installation.read(installation.topics.executions.name)


def test_a_file_is_published_and_every_event_acknowledged(installation, publish, tmp_path):
    """What the command says it published is in the topic when it returns, every event once, byte for byte."""
    lines = [to_json(event(number)) for number in range(LINES)]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n\n")
    result = publish([], "--format", "json", file=str(file))
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "published": LINES,
        "skipped": 0,
        "topic": installation.topics.executions.name,
    }
    assert result.stderr == ""
    assert sorted(record.value for record in published(installation)) == sorted(lines)


def test_key_partition_and_headers_are_canonical(installation, publish):
    """Keys are application and event id, partitions follow the application alone, CloudEvents headers say the rest."""
    strange = event(1, application="a/b%c")
    nameless = {name: value for name, value in event(2).items() if name != "event_id"}
    assert publish([strange, nameless, event(3)]).exit_code == 0
    records = published(installation)
    assert len(records) == 3
    for record in records:
        payload = json.loads(record.value)
        headers = dict(record.headers)
        identity = headers["ce_id"].decode()
        assert payload.get("event_id") in {None, identity}
        assert record.key == event_key(payload["application_id"], identity)
        assert record.partition == partition_of(payload["application_id"], installation.partitions)
        assert headers == {
            "content-type": b"application/json",
            "ce_specversion": b"1.0",
            "ce_id": identity.encode(),
            "ce_type": b"consolidator.execution.failed",
            "ce_source": b"/consolidator/publish",
            "ce_subject": payload["application_id"].encode(),
        }


def test_events_of_an_application_keep_their_order(installation, publish):
    """The order of the file is the order of the log, within each application."""
    publish([event(number) for number in range(LINES)])
    by_application = {}
    for record in published(installation):
        payload = json.loads(record.value)
        by_application.setdefault(payload["application_id"], []).append(int(payload["execution_id"][1:]))
    assert len(by_application) == 50
    assert all(numbers == sorted(numbers) for numbers in by_application.values())


MISTYPED = [
    event(1, status="completed", output={"factor": {"f_credit_score": 700}}),
    event(2),
    event(3, status="completed", outputs={"factors": {"f_credit_score": 700}}),
    event(4, processor="Credit_Check"),
    event(5, application="app-5 "),
]


def test_mistyped_lines_are_published_with_a_warning(installation, publish):
    """Each with its number and what was probably meant; the output says how many."""
    result = publish(MISTYPED, "--format", "json")
    assert result.exit_code == 0
    *warnings, note = map(json.loads, result.stderr.splitlines())
    assert [each["line"] for each in warnings] == [1, 3, 4, 5]
    for each, word in zip(warnings, ('"factors"?', '"output"?', '"credit_check"?', "white space"), strict=True):
        assert word in each["warning"]
    assert "built-in sample" in note["note"]
    assert (json.loads(result.stdout)["published"], json.loads(result.stdout)["mistyped"]) == (5, 4)
    assert len(published(installation)) == 5


def test_strict_publishes_nothing_that_looks_mistyped(installation, publish):
    """Exit code 2, the warnings, and an empty topic."""
    result = publish(MISTYPED, "--strict", "--skip-invalid")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == "4 of 5 events look mistyped, nothing was published"
    assert published(installation) == []
    assert publish([event(1)], "--strict").exit_code == 0


BAD = [b"{", event(1), b"", event(2, status="done"), event(3), to_json(event(4)).replace(b"}", b',"status":"failed"}')]


def test_one_bad_line_and_nothing_is_published(installation, publish):
    """Every bad line is told with its number and reason, the exit code is 2, and the topic stays empty."""
    result = publish(BAD)
    assert result.exit_code == 2
    assert result.stdout == ""
    *told, summary = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["line 1", "invalid_json"],
        ["line 4", "unknown_status"],
        ["line 6", "duplicate_key"],
    ]
    assert summary == "3 of 5 events are bad, nothing was published"
    assert published(installation) == []


def test_the_good_lines_are_published_when_bad_ones_may_be_skipped(installation, publish):
    """--skip-invalid publishes the good ones, still tells the bad ones, and succeeds."""
    result = publish(BAD, "--skip-invalid")
    assert result.exit_code == 0
    assert result.stdout == f"published 2 events to {installation.topics.executions.name}, skipped 3\n"
    assert "line 4: unknown_status" in result.stderr
    assert {json.loads(record.value)["event_id"] for record in published(installation)} == {"evt-1", "evt-3"}


def test_a_dry_run_checks_without_kafka(installation, publish):
    """What would be published is told, what is bad as ever; the topic stays empty, and no broker is asked."""
    nowhere = ("--bootstrap-servers", "127.0.0.1:1", "--dry-run")
    result = publish(BAD, "--skip-invalid", *nowhere)
    topic = installation.topics.executions.name
    assert (result.exit_code, result.stdout) == (0, f"dry run: 2 events would be published to {topic}, 3 skipped\n")
    assert publish(BAD, *nowhere).exit_code == 2
    told = json.loads(publish(MISTYPED, *nowhere, "--format", "json").stdout)
    assert told == {"published": 0, "would_publish": 5, "skipped": 0, "topic": topic, "mistyped": 4}
    assert publish(MISTYPED, "--strict", *nowhere).exit_code == 2
    assert published(installation) == []


def test_what_the_worker_would_refuse_for_its_time_is_bad(installation, publish):
    """More than a day ahead of now: it would be a dead letter."""
    result = publish([event(1, occurred_at="9999-01-01T00:00:00Z")])
    assert result.exit_code == 2
    assert "line 1: far_future: occurred_at is more than 24 h after" in result.stderr
    assert published(installation) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps(event(1), indent=2).encode(), "jq -c . -"),
        (json.dumps([event(1)]).encode(), "jq -c '.[]' -"),
        (gzip.compress(to_json(event(1)), mtime=0), "zcat"),
        (to_json(event(1)).decode().encode("utf-16"), "iconv"),
    ],
)
def test_a_file_of_another_kind_gets_a_way_out(publish, content, told):
    """No line of it is an event: what it is, and how it becomes one that can be published."""
    result = publish([content], "--dry-run")
    assert result.exit_code == 2
    [note] = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert told in note


def test_a_pipe_is_read(installation):
    """As a program at the end of a pipe: stdin cannot be read twice, and need not be."""
    done = subprocess.run(
        [str(CONSOLIDATOR), "publish", "-", "--format", "json"],
        input=b"\n".join(to_json(event(number)) for number in range(10)),
        env=os.environ | installation.variables,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["published"] == 10
    assert len(published(installation)) == 10


def test_no_input_publishes_nothing(installation, publish):
    """An empty input is no error."""
    result = publish([])
    assert (result.exit_code, result.stdout) == (0, f"published 0 events to {installation.topics.executions.name}\n")


def test_a_file_that_cannot_be_read_is_a_usage_error(publish, tmp_path):
    """Exit code 2, and the message names the file."""
    missing = tmp_path / "none.jsonl"
    result = publish([], file=str(missing))
    assert result.exit_code == 2
    assert Path(missing).name in result.stderr


def test_topics_that_do_not_exist_are_refused(kafka, tmp_path):
    """Publishing creates no topics: exit code 2 by way of an error that says what to run."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CONSOLIDATOR_TOPIC_PREFIX": "nowhere.",
        "CONSOLIDATOR_STATE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [str(CONSOLIDATOR), "publish", "-"],
        input=to_json(event(1)),
        env=os.environ | environment,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert b"consolidator topics apply" in done.stderr
