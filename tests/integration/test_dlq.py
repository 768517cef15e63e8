"""The dead letters' commands on a real broker, with dead letters of a real worker."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaException, Producer

from models.errors import ContractError
from streams.cli.main import cli
from tests.bad_inputs import BAD_KEY
from tests.installation import LIMIT_S, Installation
from tests.worker_process import wait_until
from tests.workloads import to_json
from topics.dead_letter_list import list_letters
from topics.dead_letters import REDRIVE_OF
from topics.keys import event_key, partition_of
from topics.positions import Beginning
from topics.reading import TopicReader
from topics.redriving import Choice, Redrive, decide

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SMALL = {"CONSOLIDATOR_MAX_EVENT_BYTES": "1024"}
"""Under this limit an event with 2,000 characters more is a dead letter, and without it a good one."""
HEADERS = [("traceparent", b"00-1"), ("traceparent", b"00-2"), ("binary", b"\x00\xff"), ("none", None)]
STEERING = "\x1b[2J\u202e<script>"
EXIT_USAGE = 2


def large(application, **more):
    return {
        "event_id": f"{application}-1",
        "application_id": application,
        "execution_id": "e1",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
        "output": {"factors": {"f_revenue_monthly": 10}},
        "padding": "x" * 2_000,
    } | more


def publish_large(installation, *applications):
    """Events that are good under the usual limit, under their canonical keys."""
    installation.publish_raw(
        (
            (event_key(name, f"{name}-1"), to_json(large(name)), partition_of(name, installation.partitions))
            for name in applications
        ),
        headers=HEADERS,
    )


def publish_bad(installation, *values, partition=0):
    installation.publish_raw(((BAD_KEY + b"%d" % n, value, partition) for n, value in enumerate(values)))


def work(installation, **variables):
    """Let a worker fold everything that is there."""
    worker = installation.start(**variables).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()


def run(installation, *arguments, exit_code=0):
    """Run ``consolidator dlq``; its result."""
    result = CliRunner(env=installation.variables).invoke(cli, ["dlq", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def refusal(installation, *arguments):
    """What is said where nothing is done."""
    with pytest.raises(ContractError) as caught:
        run(installation, *arguments)
    return str(caught.value)


def listed(installation, *arguments):
    return [json.loads(line) for line in run(installation, "list", "--format", "json", *arguments).stdout.splitlines()]


def redriven(installation, *arguments):
    """What a redrive did, by action."""
    lines = run(installation, "redrive", "--format", "json", *arguments).stdout.splitlines()
    return Counter(json.loads(line)["action"] for line in lines)


def place_of(letter):
    return f"{letter['dlq']['partition']}:{letter['dlq']['offset']}"


def source_records(installation):
    """Sorted, as a reader meets the partitions in any order."""
    return sorted(installation.read(installation.topics.executions.name), key=lambda r: (r.partition, r.offset))


def test_an_empty_topic_has_nothing_to_list_or_redrive(installation):
    """Without dead letters every command says so and succeeds."""
    result = run(installation, "list")
    assert result.stdout == ""
    assert f"no dead letters in {installation.topics.dlq.name}" in result.stderr
    assert "nothing to redrive" in run(installation, "redrive", "--all").stderr
    assert "0 redriven" in run(installation, "redrive", "--all", "--yes").stderr


def test_letters_are_listed_with_their_source_and_never_their_value(installation):
    """One line a letter, by place; application, reason, start and limit choose."""
    publish_large(installation, "a", "b")
    publish_bad(installation, b"[1]", None)
    work(installation, **SMALL)
    letters = {place_of(letter): letter for letter in listed(installation)}
    assert Counter(letter["error_class"] for letter in letters.values()) == {
        "too_large": 2,
        "not_an_object": 1,
        "tombstone_key": 1,
    }
    assert {letter["state"] for letter in letters.values()} == {"open"}
    by_source = {(r.partition, r.offset): r for r in source_records(installation)}
    for letter in letters.values():
        source = by_source[letter["source"]["partition"], letter["source"]["offset"]]
        assert letter["size"] == (None if source.value is None else len(source.value))
    assert len(run(installation, "list").stdout.splitlines()) == 4
    assert "xxxx" not in run(installation, "list").output
    [of_a] = listed(installation, "--application", "a")
    assert of_a["error_class"] == "too_large"
    assert len(listed(installation, "--reason", "too_large")) == 2
    assert len(listed(installation, "--limit", "3")) == 3
    assert listed(installation, "--from", place_of(of_a))[0] == of_a
    assert "like that" in run(installation, "list", "--reason", "empty").stderr


def test_a_letter_is_shown_escaped_and_raw_as_it_was(installation):
    """What could steer a terminal is escaped, and --raw gives the very bytes."""
    value = to_json({"note": STEERING}).replace(b"[2J", b"\xff[2J")
    installation.publish_raw([(BAD_KEY + STEERING.encode(), value, 1), (BAD_KEY, None, 1)], headers=HEADERS)
    work(installation)
    first, second = listed(installation)
    shown = run(installation, "show", place_of(first)).stdout
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "\\xff[2J\\u202e<script>" in shown
    assert "invalid_utf8: the value is not UTF-8" in shown
    assert f"{first['source']['topic']} partition 1 offset 0" in shown
    found = json.loads(run(installation, "show", place_of(first), "--format", "json").stdout)
    assert found["key"] == (BAD_KEY + STEERING.encode()).decode()
    assert found["headers"] == [[name, found_text(value)] for name, value in HEADERS]
    assert found["value"].startswith("base64:")
    assert run(installation, "show", place_of(first), "--raw").stdout_bytes == value
    none = run(installation, "show", place_of(second), "--raw")
    assert none.stdout_bytes == b""
    assert "tombstone" in none.stderr


def found_text(value):
    return "base64:AP8=" if value == b"\x00\xff" else value and value.decode()


def test_a_redrive_puts_back_the_original_and_the_worker_folds_it_once(installation):
    """After the limit was raised: dry run, redrive, and a second redrive that changes nothing; the laws hold."""
    publish_large(installation, "a", "b", "c")
    work(installation, **SMALL)
    originals = source_records(installation)
    assert redriven(installation, "--all") == {"would_redrive": 3}
    assert source_records(installation) == originals
    assert redriven(installation, "--all", "--yes") == {"redriven": 3}
    assert redriven(installation, "--all", "--yes") == {"skipped": 3}
    assert redriven(installation, *map(place_of, listed(installation)), "--yes", "--again") == {"skipped": 3}
    assert {letter["state"] for letter in listed(installation)} == {"redriven"}
    copies = source_records(installation)
    for original in originals:
        pair = [r for r in copies if r.key == original.key]
        assert [(r.value, r.partition, r.headers[: len(HEADERS)]) for r in pair] == [
            (original.value, original.partition, original.headers)
        ] * 2
        letter_key = f"{original.topic}/{original.partition}/{original.offset}".encode()
        assert pair[1].headers[len(HEADERS) :] == ((REDRIVE_OF, letter_key),)
    work(installation)
    observed = installation.observe(state=installation.state_dir)
    assert len(observed.changes) == 3
    installation.report(without_the_redriven(observed)).require()


def without_the_redriven(observed):
    """What the laws are checked on: the first copies are the dead letters."""
    firsts = frozenset((r.partition, r.offset) for r in observed.source if REDRIVE_OF not in dict(r.headers))
    return type(observed)(**vars(observed) | {"bad": firsts})


def test_what_is_still_bad_comes_back_and_does_not_multiply(installation):
    """It becomes one new dead letter that names the old one, and stays alone unless --again is given."""
    publish_large(installation, "a")
    work(installation, **SMALL)
    [letter] = listed(installation)
    assert redriven(installation, "--all", "--yes") == {"redriven": 1}
    work(installation, **SMALL)
    for _ in range(2):
        assert redriven(installation, "--all", "--yes") == {"skipped": 2}
        work(installation, **SMALL)
    first, back = listed(installation)
    assert (first["state"], back["state"]) == ("redriven", "came_back")
    assert back["redrive_of"] == "/".join(str(letter["source"][name]) for name in ("topic", "partition", "offset"))
    assert redriven(installation, place_of(back), "--again", "--yes") == {"redriven": 1}
    work(installation)
    assert [letter["state"] for letter in listed(installation)] == ["redriven", "redriven"]
    assert [list(r.headers[:4]) for r in source_records(installation)] == [HEADERS] * 3
    assert len(source_records(installation)[2].headers) == len(HEADERS) + 1
    assert len(installation.read(installation.topics.factor_changes.name)) == 1


def test_an_event_that_was_repaired_meanwhile_is_folded_once(installation):
    """A redriven copy of an event that its producer published again changes nothing."""
    publish_large(installation, "a")
    work(installation, **SMALL)
    publish_large(installation, "a")
    work(installation)
    assert redriven(installation, "--all", "--yes") == {"redriven": 1}
    work(installation)
    assert len(installation.read(installation.topics.factor_changes.name)) == 1


def test_reasons_applications_and_limits_choose(installation):
    """Only what is asked for is put back."""
    publish_large(installation, "a", "b", "c")
    publish_bad(installation, b"[1]", b"", b"{")
    work(installation, **SMALL)
    assert redriven(installation, "--reason", "too_large", "--limit", "2") == {"would_redrive": 2}
    assert redriven(installation, "--reason", "empty", "--reason", "invalid_json") == {"would_redrive": 2}
    assert redriven(installation, "--all", "--application", "a", "--yes") == {"redriven": 1}
    # The limit counts what is put back: letters that are skipped take no room.
    assert redriven(installation, "--reason", "too_large", "--limit", "2", "--yes") == {"redriven": 2, "skipped": 1}


def test_places_without_a_letter_are_named_with_the_reason(installation):
    """Retention that ended, a place to come, a partition that is none, and a marker are told apart; exit code 2."""
    publish_bad(installation, b"[1]", b"[2]", b"[3]")
    work(installation)
    first, *_ = listed(installation)
    partition, offset = first["dlq"]["partition"], first["dlq"]["offset"]
    assert "yet" in refusal(installation, "show", f"{partition}:999")
    assert "its partitions are 0 to 3" in refusal(installation, "show", "9:0")
    assert "is empty" in refusal(installation, "show", "3:0")
    # The transaction's marker stands after its three letters.
    assert "marker" in refusal(installation, "show", f"{partition}:{offset + 3}")
    assert "marker" in refusal(installation, "redrive", place_of(first), f"{partition}:{offset + 3}", "--yes")
    assert {letter["state"] for letter in listed(installation)} == {"open"}
    installation.delete_records(installation.topics.dlq.name, partition, offset + 2)
    assert "retention has ended" in refusal(installation, "show", place_of(first))
    assert "retention has ended" in refusal(installation, "redrive", place_of(first), "--yes")
    assert len(listed(installation)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "5"],
        ["redrive"],
        ["redrive", "0:1", "--all"],
        ["redrive", "--reason", "bad"],
        ["redrive", "0:1", "--application", "a"],
    ],
)
def test_wrong_usage_does_nothing(installation, arguments):
    """Exit code 2 before Kafka is asked anything."""
    run(installation, *arguments, exit_code=EXIT_USAGE)


@pytest.mark.parametrize("arguments", [["list"], ["show", "0:0"], ["redrive", "--all"], ["redrive", "0:0", "--yes"]])
def test_without_the_topic_every_command_says_what_to_do(kafka, tmp_path, arguments):
    """A topic that is not there is named with the command that makes it; exit code 2."""
    installation = Installation(kafka, tmp_path)
    try:
        assert "topics apply" in refusal(installation, *arguments)
    finally:
        installation.close()


def test_records_that_are_no_dead_letters_are_told_and_left_alone(installation):
    """A stranger's record in the topic: exit code 1, and it is not redriven."""
    producer = Producer(installation.config)
    producer.produce(installation.topics.dlq.name, b"{}", b"k", 0)
    assert producer.flush(LIMIT_S) == 0
    assert "the first at 0:0" in run(installation, "list", exit_code=1).stderr
    assert "0 redriven" in run(installation, "redrive", "--all", "--yes", exit_code=1).stderr
    assert "stranger" in refusal(installation, "show", "0:0")


def read_letters(installation):
    with TopicReader(installation.config, installation.topics.dlq.name, Beginning()) as reader:
        return list(reader.until_end())


def put_back(installation, redriving, on_progress=lambda _: None):
    """What the command does between fence and commit; how many it put back."""
    records = read_letters(installation)
    letters, _ = list_letters(records)
    decisions = decide(letters, Choice(), source=installation.topics.executions.name)
    places = [decision.letter.place for decision in decisions if decision.reason is None]
    redriving.put_back(records, places, on_progress=on_progress)
    return len(places)


def redrive_of(installation):
    return Redrive(installation.config, installation.topics, installation.name)


def test_of_two_redrives_at_once_one_takes_effect(installation):
    """A redrive that was overtaken fails without any effect, and what the other one put back is there once."""
    publish_bad(installation, b"[1]", b"[2]")
    work(installation)

    def overtake(count):
        if count == 2:
            with redrive_of(installation) as second:
                assert put_back(installation, second) == 2

    with redrive_of(installation) as first, pytest.raises(ContractError, match="another redrive"):
        put_back(installation, first, overtake)
    assert len(source_records(installation)) == 4
    assert redriven(installation, "--all", "--yes") == {"skipped": 2}


def test_marks_behind_an_open_transaction_are_waited_for(installation):
    """While a worker's transaction is open, what was redriven is not visible yet: a redrive waits for its end."""
    publish_bad(installation, b"[1]")
    work(installation)
    blocker = transactional(installation, "blocker")
    with redrive_of(installation) as first:
        blocker.begin_transaction()
        blocker.produce(installation.topics.dlq.name, b"open", b"k", 0)
        assert blocker.flush(LIMIT_S) == 0
        assert put_back(installation, first) == 1
    witness = transactional(installation, "redrive")
    command = start_redrive(installation)
    try:
        wait_until(lambda: is_fenced(witness, installation), "the second redrive to begin", limit_s=LIMIT_S)
        assert command.poll() is None
        blocker.abort_transaction(LIMIT_S)
        stdout, stderr = command.communicate(timeout=LIMIT_S)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0, stderr
    assert "redriven before" in stdout
    assert len(source_records(installation)) == 2


def transactional(installation, name):
    producer = Producer(installation.config | {"transactional.id": f"{installation.name}-{name}"})
    producer.init_transactions(LIMIT_S)
    return producer


def start_redrive(installation):
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "dlq", "redrive", "--all", "--yes"],
        env=os.environ | installation.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_fenced(witness, installation):
    """Whether another producer has taken the witness's transactional id."""
    try:
        witness.begin_transaction()
        witness.produce(installation.topics.factors.name, b"{}", b"k", 0)
        witness.flush(LIMIT_S)
        witness.abort_transaction(LIMIT_S)
    except KafkaException:
        return True
    return False


DYING_REDRIVE = """
import os, signal, sys
from streams.connection import connection_of, topics_of
from streams.settings import load_settings
from topics.dead_letter_list import list_letters
from topics.positions import Beginning
from topics.reading import TopicReader
from topics.redriving import Redrive

settings = load_settings()
topics, config = topics_of(settings), connection_of(settings).librdkafka()

def die(count):
    if count == int(sys.argv[1]):
        redriving._producer.flush(30)
        os.kill(os.getpid(), signal.SIGKILL)

with Redrive(config, topics, settings.app_id) as redriving:
    with TopicReader(config, topics.dlq.name, Beginning()) as reader:
        records = list(reader.until_end())
    letters, _ = list_letters(records)
    redriving.put_back(records, [letter.place for letter in letters], on_progress=die)
"""
"""Ends by ``kill -9`` when so many letters are with the broker and nothing is committed."""


@pytest.mark.parametrize("letters", [1, 10, 20])
def test_a_redrive_that_dies_has_no_effect(installation, letters):
    """Killed in the middle of its transaction, nothing is put back; the next redrive does all of it, at once."""
    publish_bad(installation, *(b"[%d]" % n for n in range(20)))
    work(installation)
    died = subprocess.run(
        [sys.executable, "-c", DYING_REDRIVE, str(letters)],
        env=os.environ | installation.variables,
        timeout=LIMIT_S,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert len(installation.read_uncommitted(installation.topics.executions.name)) == 20 + letters
    assert len(source_records(installation)) == 20
    assert redriven(installation, "--all", "--yes") == {"redriven": 20}
    assert len(source_records(installation)) == 40
    assert redriven(installation, "--all", "--yes") == {"skipped": 20}


def test_a_record_that_the_broker_refuses_is_named_and_nothing_is_redriven(installation):
    """The source's limit was lowered: the place is named, all is aborted, and the others can be redriven without it."""
    publish_bad(installation, b"[1]", b"[" + os.urandom(40_000) + b"]", b"[3]")
    work(installation)
    installation.alter_topic(installation.topics.executions.name, "max.message.bytes", "20000")
    _, big, _ = listed(installation)
    said = refusal(installation, "redrive", "--all", "--yes")
    assert place_of(big) in said
    assert "nothing was redriven" in said
    assert len(source_records(installation)) == 3
    assert redriven(installation, "--reason", "not_an_object", "--yes") == {"redriven": 2}
