"""Reading Kafka as a bystander: many partitions, giant batches, topics that are not there."""

import time

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from consolidator.keys import event_key, partition_of
from models.errors import ContractError, InfrastructureError
from streams.cli.main import cli
from streams.runtime.exit_codes import exit_code_of
from tests.inputs.cases import ok
from tests.inputs.waiting import slowness
from tests.inputs.workloads import parse_json, to_json
from tests.real_kafka.installation import LIMIT_S, Installation
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = 31
VERIFICATION_S = 2.0
TRIES = 5
EVENT_BYTES = 200_000
BATCH_EVENTS = 300


@pytest.fixture
def run(installation):
    """Run a command against the installation."""
    runner = CliRunner(env=installation.variables)

    def invoke(*arguments):
        return runner.invoke(cli, arguments)

    return invoke


def consolidated(installation, count):
    installation.create_topics()
    installation.publish(ok("e1", 1, application_id=f"app-{n}", event_id=f"event-{n}") for n in range(count))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


@pytest.mark.parametrize("partitions", [4, 48])
def test_a_verification_waits_for_nothing(kafka, tmp_path, partitions):
    """Thirty-one records take less than two seconds of an idle machine, the best of a few tries, in any partitions."""
    installation = Installation(kafka, tmp_path, CONSOLIDATOR_PARTITIONS=str(partitions))
    try:
        consolidated(installation, EVENTS)
        runner = CliRunner(env=installation.variables)
        tries = []
        for _ in range(TRIES):
            slower, began = slowness(), time.monotonic()
            result = runner.invoke(cli, ["replay", "--verify"], catch_exceptions=False)
            tries.append((time.monotonic() - began, slower))
            assert result.exit_code == 0
            assert parse_json(result.stdout)["factor_changes"]["equal"] == EVENTS
            if tries[-1][0] < VERIFICATION_S * slower:
                return
        pytest.fail(f"seconds, and how much slower the machine was: {tries}")
    finally:
        installation.close()


@pytest.fixture
def giant(installation):
    """One batch of 60 MB that takes less than a megabyte on the wire, between two events of another application."""
    giant, other = (
        "giant",
        next(
            name
            for name in (f"app-{number}" for number in range(1_000))
            if partition_of(name, installation.partitions) == partition_of("giant", installation.partitions)
        ),
    )
    installation.publish([ok("e1", 1, application_id=other, event_id="first")])
    producer = Producer(
        installation.config
        | {
            "compression.type": "zstd",
            "linger.ms": 5_000,
            "batch.size": 500_000_000,
            "message.max.bytes": 500_000_000,
            "batch.num.messages": BATCH_EVENTS,
            "queue.buffering.max.kbytes": 500_000,
        }
    )
    topic, partition = installation.topics.executions.name, partition_of(giant, installation.partitions)
    for number in range(BATCH_EVENTS):
        event = ok(f"e{number}", 1, {"x": "x" * EVENT_BYTES}, application_id=giant, event_id=f"giant-{number}")
        producer.produce(topic, to_json(event), event_key(giant, event["event_id"]), partition)
    assert producer.flush(LIMIT_S) == 0
    installation.publish([ok("e2", 2, application_id=other, event_id="last")])
    return other


def test_a_giant_batch_hides_nothing_that_stands_beside_it(installation, run, giant):
    """Replay, tail, history and erase come past it, for any application."""
    replayed = run("replay", "--application", giant, "--format", "json")
    assert (replayed.exit_code, '"completed":2' in replayed.stdout) == (0, True), replayed.output
    tailed = run("tail", "executions", "--from", "beginning", "--until-end", "--application", giant)
    assert (tailed.exit_code, len(tailed.stdout.splitlines())) == (0, 2), tailed.output
    told = run("history", giant, "--format", "json")
    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 2), told.output
    surveyed = run("erase", giant)
    assert surveyed.exit_code == 0, surveyed.output


def test_what_cannot_be_unpacked_is_said_at_once(installation, giant):
    """The error names the place and librdkafka's reason, and no half minute is waited first."""
    assert giant
    small = {"message.max.bytes": 1_000_000, "fetch.max.bytes": 1_000_000, "receive.message.max.bytes": 10_000_000}
    began = time.monotonic()
    with (
        TopicReader(installation.config | small, installation.topics.executions.name, Beginning()) as reader,
        pytest.raises(InfrastructureError, match=r"partition \d+ offset 1 cannot be read: _BAD_COMPRESSION"),
    ):
        list(reader.until_end())
    assert time.monotonic() - began < LIMIT_S / 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "--verify"),
        ("replay", "--verify", "--application", "app"),
        ("evidence", "app", "--out", "never-made"),
        ("factors", "app"),
        ("factors", "app", "--why"),
        ("factors", "app", "--at", "2026-01-01T00:00:00Z"),
        ("history", "app"),
        ("tail", "executions"),
        ("dlq", "list"),
        ("erase", "app"),
        ("compare", "--strategy", "legacy"),
    ],
)
def test_missing_topics_are_told_alike(kafka, tmp_path, arguments):
    """Whatever reads them: exit code 2, and what to do."""
    installation = Installation(kafka, tmp_path)
    try:
        result = CliRunner(env=installation.variables).invoke(cli, arguments)
        assert isinstance(result.exception, ContractError), (result.output, result.exception)
        assert exit_code_of(result.exception) == 2
        assert "run `consolidator topics apply`" in str(result.exception)
    finally:
        installation.close()
