"""The dead letters' commands on a real broker, with dead letters of a real worker."""

import json
from collections import Counter

import pytest
from confluent_kafka import Producer

from tests.inputs.bad_inputs import BAD_KEY
from tests.inputs.workloads import to_json
from tests.real_kafka.dead_letter_steps import (
    HEADERS,
    SMALL,
    listed,
    place_of,
    publish_bad,
    publish_large,
    redriven,
    refusal,
    run,
    source_records,
    work,
)
from tests.real_kafka.installation import LIMIT_S, Installation
from topics.records.dead_letter_format import REDRIVE_OF

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

STEERING = "\x1b[2J\u202e<script>"
EXIT_USAGE = 2


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
