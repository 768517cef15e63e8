"""Dead letters too large to hold their content, on a real broker: listed, shown and redriven from the source."""

import json
import os
from base64 import b64encode
from hashlib import sha256

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from consolidator.keys import event_key, partition_of
from consolidator.source_records import dlq_key
from models.errors import BadEventError, Defect
from streams.cli.main import cli
from tests.inputs.workloads import to_json
from tests.real_kafka.dead_letter_steps import large, listed, place_of, redriven, refusal, run, source_records, work
from tests.real_kafka.installation import LIMIT_S
from topics.records.dead_letter_format import MAX_CONTENT_BYTES, REDRIVE_OF, dead_letter_content
from topics.records.erasures import ERASURE_PREFIX

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

HEADERS = [("trace", b"1"), ("none", None)]
_BLOCK_BYTES = 150_000
_BLOCKS = 60


def giant(application, event_id):
    """An event of twelve megabytes, below the source's limit in zstd alone: a block of noise, many times."""
    block = b64encode(os.urandom(_BLOCK_BYTES)).decode()
    return to_json(large(application) | {"event_id": event_id, "padding": block * _BLOCKS})


def produce(installation, topic, *records):
    """Records with key, value, partition and headers, in batches that zstd makes small."""
    producer = Producer(installation.config | {"compression.type": "zstd", "message.max.bytes": 100_000_000})
    failures = []
    for key, value, partition, headers in records:
        producer.produce(
            topic,
            value,
            key,
            partition,
            headers=[*headers],
            on_delivery=lambda error, _: error and failures.append(error),
        )
        assert producer.flush(LIMIT_S) == 0
    assert failures == []


def test_a_giant_record_is_a_dead_letter_and_comes_back_from_the_source(installation):
    """The next event is folded; list, show and redrive know where the content is; a second redrive changes nothing."""
    home = partition_of("a", installation.partitions)
    value, key = giant("a", "huge"), event_key("a", "huge")
    good = to_json(large("a"))
    produce(
        installation,
        installation.topics.executions.name,
        (key, value, home, HEADERS),
        (event_key("a", "a-1"), good, home, []),
    )
    work(installation)
    [letter] = listed(installation)
    assert (letter["error_class"], letter["size"], letter["content"]) == ("too_large", len(value), "in_source")
    assert listed(installation, "--application", "a") == [letter]
    [kept] = installation.read(installation.topics.dlq.name)
    assert kept.value == b""
    assert len(installation.published()[1]) == 1
    shown = run(installation, "show", place_of(letter)).stdout
    assert f"SHA-256 {sha256(value).hexdigest()}; read from {installation.topics.executions.name}" in shown
    assert "header       trace: 1" in shown
    assert json.loads(run(installation, "show", place_of(letter), "--format", "json").stdout)["value"] == value.decode()
    assert run(installation, "show", place_of(letter), "--raw").stdout_bytes == value
    assert redriven(installation, "--all") == {"would_redrive": 1}
    assert redriven(installation, "--all", "--yes") == {"redriven": 1}
    assert redriven(installation, "--all", "--yes") == {"skipped": 1}
    original, _, copy = source_records(installation)
    assert (copy.key, copy.value, copy.partition) == (original.key, original.value, original.partition)
    assert copy.headers == (*HEADERS, (REDRIVE_OF, kept.key))
    work(installation)
    assert [one["state"] for one in listed(installation)] == ["redriven", "came_back"]
    assert redriven(installation, "--all", "--yes", "--again") == {"skipped": 1, "redriven": 1}
    # Whose redrive it is stands in it once, as in a small one.
    [*_, last] = source_records(installation)
    assert (last.value, [name for name, _ in last.headers]) == (value, ["trace", "none", REDRIVE_OF])


def test_a_letter_whose_record_is_gone_says_so(installation):
    """Nothing is where the dead letter says, or another record is: it is shown without value and never redriven."""
    source, home = installation.topics.executions.name, partition_of("a", installation.partitions)
    produce(installation, source, (event_key("a", "a-1"), to_json(large("a")), home, []))
    error = BadEventError(Defect.TOO_LARGE, "why")
    letters = []
    for offset in (0, 1_000):
        place = {"topic": source, "partition": home, "offset": offset, "timestamp_ms": 1}
        value, headers = dead_letter_content(error, **place, key=b"a/x", value=b"x" * MAX_CONTENT_BYTES, headers=[])
        letters.append((dlq_key(source, home, offset), value, home, headers))
    produce(installation, installation.topics.dlq.name, *letters)
    for letter in listed(installation):
        assert "does not have it any more" in run(installation, "show", place_of(letter)).stdout
        members = json.loads(run(installation, "show", place_of(letter), "--format", "json").stdout)
        assert (members["content"], members["value"], members["size"]) == ("gone", None, MAX_CONTENT_BYTES)
        assert "gone from" in refusal(installation, "show", place_of(letter), "--raw")
    assert redriven(installation, "--all", "--yes") == {"skipped": 2}
    assert "gone from the source" in run(installation, "redrive", "--all").stdout
    assert len(source_records(installation)) == 1


def test_an_erasure_finds_a_letter_without_content_and_an_event_in_base64(installation):
    """By its key, and by what the envelope holds under a stranger's key: a tombstone is the last word on each."""
    home = partition_of("a", installation.partitions)
    event = to_json(large("a") | {"event_id": "enclosed"})
    envelope = to_json({"specversion": "1.0", "data_base64": b64encode(event).decode()})
    huge = (event_key("a", "huge"), giant("a", "huge"), home, HEADERS)
    source = installation.topics.executions.name
    produce(installation, source, huge, (b"a stranger's", envelope, home, []))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    result = CliRunner(env=installation.variables).invoke(cli, ["erase", "a", "--yes"], catch_exceptions=False)
    worker.stop()
    assert result.exit_code == 0, result.output
    for topic in (source, installation.topics.dlq.name):
        last = {record.key: record.value for record in installation.read(topic)}
        standing = {key for key, value in last.items() if value is not None and not key.startswith(ERASURE_PREFIX)}
        assert standing == set()
    assert {b"a stranger's", huge[0]} <= {record.key for record in installation.read(source)}
