"""Tail on a real broker: only what is committed, from where it was asked, and without a consumer group."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consolidator.connecting.connection import Connection
from models.errors import ContractError, InfrastructureError
from streams.cli.main import cli
from streams.rulesets.binding import bind
from tests.real_kafka.admin_calls import answered
from topics.cluster.open_transactions import wait_until_settled
from topics.cluster.provisioning import apply
from topics.contract.declared import declare
from topics.reading.positions import AtOffset, Beginning, End
from topics.reading.reader import TopicReader
from topics.records.bindings import Binding
from topics.records.erasures import erasure_of
from topics.writing.delivery import Written, write_records

pytestmark = pytest.mark.kafka

LIMIT_S = 30


@pytest.fixture
def config(kafka):
    return Connection(kafka).librdkafka()


@pytest.fixture
def name():
    return f"t{uuid4().hex[:12]}"


@pytest.fixture
def topics(name, config):
    """Topics of two partitions that no other test has."""
    wanted = declare(
        f"{name}.",
        app_id=name,
        partitions=2,
        replication_factor=1,
        audit_window_days=761,
        max_event_bytes=262_144,
    )
    apply(wanted, config)
    return wanted


@pytest.fixture
def runner(kafka, name, topics, tmp_path):
    return CliRunner(
        env={
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "CONSOLIDATOR_TOPIC_PREFIX": f"{name}.",
            "CONSOLIDATOR_APP_ID": name,
            "CONSOLIDATOR_PARTITIONS": "2",
            "CONSOLIDATOR_STATE_DIR": str(tmp_path),
        }
    )


class Transactions:
    """A transactional producer to one topic."""

    def __init__(self, config, topic):
        self._topic = topic
        self._admin = AdminClient(config)
        # log_level 2: "coordinator load in progress, retrying" is no news.
        self._producer = Producer(config | {"transactional.id": uuid4().hex, "log_level": 2})
        self._producer.init_transactions(LIMIT_S)

    def begin(self, *values, partition=0):
        """Open a transaction whose records are in the log."""
        self._producer.begin_transaction()
        for value in values:
            payload = None if value is None else json.dumps({"application_id": value, "n": value}).encode()
            self._producer.produce(self._topic, key=f"{value or 'gone'}/1", value=payload, partition=partition)
        assert self._producer.flush(LIMIT_S) == 0

    def commit(self, *values, partition=0):
        self.begin(*values, partition=partition)
        self._producer.commit_transaction(LIMIT_S)
        # Kafka answers a commit before its markers are written: until then no reader sees it.
        assert wait_until_settled(self._admin, self._topic, [partition], limit_s=LIMIT_S) == []

    def abort(self, *values, partition=0):
        self.begin(*values, partition=partition)
        self.give_up()

    def give_up(self):
        self._producer.abort_transaction(LIMIT_S)


@pytest.fixture
def executions(config, topics):
    return Transactions(config, topics.executions.name)


def shown(runner, *arguments):
    """What tail prints as JSON from the start to the end, and it must end by itself."""
    result = runner.invoke(
        cli, ["tail", "executions", "--until-end", "--format", "json", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def applications(records):
    return [record["value"] and record["value"]["application_id"] for record in records]


def test_only_committed_records_are_shown_and_the_end_is_reached(runner, executions):
    """Aborted records between and after the committed ones are left out, and the trailing markers are no hindrance."""
    executions.abort("aborted-1", "aborted-2")
    executions.commit("a", "b")
    executions.abort("aborted-3")
    executions.commit("c")
    executions.abort("aborted-4", "aborted-5")
    assert applications(shown(runner, "--from", "beginning")) == ["a", "b", "c"]


def test_a_topic_of_nothing_but_aborted_records_ends(runner, executions):
    """Where no record will ever come, the end is found by position."""
    executions.abort("aborted-1", "aborted-2")
    assert shown(runner, "--from", "beginning") == []


def test_an_empty_topic_ends_at_once(runner):
    """Nothing to read is not an error."""
    assert shown(runner, "--from", "beginning") == []


def test_an_open_transaction_is_no_hindrance(runner, executions):
    """The end is the last stable offset: what may still be aborted is neither shown nor waited for."""
    executions.commit("a")
    executions.begin("open")
    assert applications(shown(runner, "--from", "beginning")) == ["a"]
    executions.give_up()


def test_both_partitions_are_read_in_their_order(runner, executions):
    """Each partition's records come in the order of their offsets."""
    executions.commit("a0", "b0", partition=0)
    executions.commit("a1", "b1", partition=1)
    records = shown(runner, "--from", "beginning")
    for partition in (0, 1):
        of_partition = [record for record in records if record["partition"] == partition]
        assert applications(of_partition) == [f"a{partition}", f"b{partition}"]


def test_from_end_shows_nothing_old(runner, executions):
    """By default only what arrives from now on is shown."""
    executions.commit("old")
    assert shown(runner) == []


def test_from_an_offset_reads_that_partition_only(runner, executions):
    """PARTITION:OFFSET starts at the offset and leaves the other partitions alone."""
    executions.commit("a", "b", "c")
    executions.commit("other", partition=1)
    assert applications(shown(runner, "--from", "0:1")) == ["b", "c"]


def test_from_an_offset_inside_an_aborted_transaction(runner, executions):
    """Starting in the middle of aborted records still shows none of them."""
    executions.abort("x", "y", "z")
    executions.commit("a")
    assert applications(shown(runner, "--from", "0:1")) == ["a"]


def test_from_a_time_starts_with_the_first_record_at_or_after_it(runner, executions):
    """The broker's own timestamp of a record, used as the start, shows that record and the later ones."""
    executions.commit("a")
    [first] = shown(runner, "--from", "beginning")
    wait_for_another_millisecond(first["timestamp"])
    executions.commit("b")
    [_, second] = shown(runner, "--from", "beginning")
    assert applications(shown(runner, "--from", second["timestamp"])) == ["b"]
    assert applications(shown(runner, "--from", first["timestamp"])) == ["a", "b"]
    assert applications(shown(runner, "--from", "1999-01-01T00:00:00+02:00")) == ["a", "b"]
    assert shown(runner, "--from", "2999-01-01T00:00:00Z") == []


def wait_for_another_millisecond(timestamp):
    taken = datetime.fromisoformat(timestamp)
    deadline = time.monotonic() + LIMIT_S
    while datetime.now(UTC) <= taken + timedelta(milliseconds=1):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_application_and_limit_choose(runner, executions):
    """Only the application asked for is shown, no more records than asked for, and tombstones by their key."""
    executions.commit("a", "b", "a", "a")
    assert applications(shown(runner, "--from", "beginning", "--application", "a", "--limit", "2")) == ["a", "a"]
    executions.commit(None)
    assert shown(runner, "--from", "beginning", "--application", "gone")[0]["value"] is None


@pytest.mark.parametrize("start", ["yesterday", "2026-01-01T00:00:00", "5"])
def test_a_start_that_means_nothing_is_a_usage_error(runner, start):
    """Exit code 2, and the message says what is possible."""
    result = runner.invoke(cli, ["tail", "executions", "--from", start])
    assert result.exit_code == 2
    assert "PARTITION:OFFSET" in result.stderr


@pytest.mark.parametrize(
    ("place", "message"), [(AtOffset(9, 0), "no partition 9"), (AtOffset(0, 99), "no offset 99 in partition 0")]
)
def test_a_place_that_does_not_exist_is_refused(config, topics, place, message):
    """A partition or offset that the topic does not have is named, with what it has."""
    with pytest.raises(ContractError, match=message):
        TopicReader(config, topics.executions.name, place)


def test_a_topic_that_does_not_exist_is_refused_and_not_created(config):
    """Looking at a topic never creates it."""
    for _ in range(2):
        with pytest.raises(ContractError, match="topics apply"):
            TopicReader(config, "t-nowhere", Beginning())


def test_an_unreachable_broker_is_an_error_in_time():
    """Nobody listening: an error within the limit, not silence."""
    with pytest.raises(InfrastructureError, match="KAFKA_BOOTSTRAP_SERVERS"):
        TopicReader(Connection("127.0.0.1:1").librdkafka(), "t", End(), timeout_s=1)


def test_following_shows_what_is_committed_later(config, topics, executions):
    """A reader at the end shows a record once its transaction commits, and not one that aborts."""
    executions.commit("old")
    with TopicReader(config, topics.executions.name, End()) as reader:
        executions.abort("aborted")
        executions.commit("new")
        record = next(reader.follow())
    assert json.loads(record.value)["application_id"] == "new"


def test_no_consumer_group_is_left_behind(runner, executions, config):
    """After tailing, the cluster knows of no group that it made."""
    executions.commit("a")
    assert len(shown(runner, "--from", "beginning")) == 1
    admin = AdminClient(config)  # kept until the answer is there
    groups = answered(lambda ask_s: admin.list_consumer_groups(request_timeout=ask_s))
    assert "consolidator-reader" not in {group.group_id for group in groups.valid}


def test_ctrl_c_ends_following_with_success(runner, executions):
    """A following tail shows records at once, and an interrupt ends it with exit code 0."""
    executions.commit("a")
    # Python leaves SIGINT alone where a shell has started the tests in the background.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listening}; from streams.cli.__main__ import main; main()"
    command = [sys.executable, "-c", program, "tail", "executions"]
    process = subprocess.Popen(
        [*command, "--from", "beginning", "--format", "json"],
        env=os.environ | runner.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(process.stdout.readline())["value"]["application_id"] == "a"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, errors


def test_the_last_records_of_all_partitions(runner, executions):
    """The newest so many by the broker's clock, the oldest first; aborted ones do not count."""
    for number in range(30):
        executions.commit(f"app-{number}", partition=number % 2)
    executions.abort("aborted")
    assert applications(shown(runner, "--last", "7")) == [f"app-{number}" for number in range(23, 30)]
    assert len(shown(runner, "--last", "100")) == 30
    assert applications(shown(runner, "--last", "2", "--application", "app-3")) == ["app-3"]
    assert len(shown(runner, "--last", "7", "--limit", "3")) == 3


def test_a_topic_goes_by_its_own_name_too(runner, executions, topics):
    """With and without its prefix."""
    executions.commit("a")
    for name in ("executions", topics.executions.name):
        result = runner.invoke(cli, ["tail", name, "--from", "beginning", "--until-end", "--format", "json"])
        assert len(result.stdout.splitlines()) == 1
    result = runner.invoke(cli, ["tail", "executions.dlq", "--from", "beginning", "--until-end"])
    assert result.exit_code == 0
    wrong = runner.invoke(cli, ["tail", "executoins", "--until-end"])
    assert wrong.exit_code == 2
    assert "Did you mean executions?" in wrong.stderr


def test_what_workers_write_for_each_other_is_read_too(runner, config, topics, name):
    """Whose the topics are, and which erasures count; the latter for an application as well, whose id is not there."""
    erasures = [erasure_of(application, bytes(16)) for application in ("app-1", "app-2")]
    entries = [
        Written(topics.erasures.name, 1, one.entry_key(1, 7 + n), one.entry_value) for n, one in enumerate(erasures)
    ]
    write_records(config, entries)
    bind(config, topics, Binding(name, f"{name}."))

    def read(*arguments):
        return runner.invoke(cli, ["tail", *arguments, "--from", "beginning", "--until-end"], catch_exceptions=False)

    assert f"binding      topics with the prefix '{name}.' to {name}" in read("rulesets").stdout
    assert [line.split()[1:3] for line in read("erasures").stdout.splitlines()] == [
        ["erasure", "1:7"],
        ["erasure", "1:8"],
    ]
    [own] = read(topics.erasures.name, "--application", "app-2", "--format", "json").stdout.splitlines()
    assert json.loads(own)["key"] == "erasure/1/8"
    assert read("rulesets", "--application", "app-2").exit_code == 2
