"""The second generation of golden bytes: what docs/decisions/0018 changed, and what can still be read of the first.

The files in ``golden/2/`` are never changed, either.
"""

import json
from base64 import b64encode
from decimal import Decimal
from pathlib import Path

import pytest

from consolidator.keys import event_key
from models.errors import BadEventError, Defect
from models.quality import Issue
from tests.contracts.test_golden_bytes import CATALOGUE
from tests.inputs.cases import event, ok
from tests.inputs.workloads import to_json
from tests.oracle.folds import Partition, Record
from topics.records.dead_letter_format import MAX_CONTENT_BYTES, dead_letter_content, parse_dead_letter
from topics.records.decoding import decode_event
from topics.records.record import Record as KafkaRecord

GOLDEN = Path(__file__).parent / "golden" / "2"


def golden(name):
    return (GOLDEN / name).read_bytes()


def structured(item):
    return to_json({"specversion": "1.0", "id": "1", "data_base64": b64encode(to_json(item)).decode()})


# Everything whose verdict became another one, once at least, and what is published of it.
LOG = [
    to_json(ok("a", 1, {"x": 10**38, "b": True})),
    to_json(ok("b", 2, {"x": "here", "b": True})).replace(b'"here"', b"0e400"),
    to_json(ok("c", 3, {"x": Decimal("1.0E-38"), "b": False}, occurred_at="2016-12-31T15:59:60.5-08:00")),
    structured(ok("d", 4, {"x": 2})),
    to_json(ok("e", 5, {"xx": 1, "n": None})),
    to_json(event("f", "completed", 6, output={"factor": {"x": 1}}, factors={"x": 1}, outputs=[])),
    to_json(event("g", "completed", 7, processor="unknown", factor=1)),
    to_json(ok("é" * 256, 8, {"f" * 256: 1}, processor="p" * 256, supersedes="😀" * 128, event_id="h")),
]


@pytest.mark.parametrize("topic", ["factor-changes", "factors"])
def test_changes_and_factors_are_written_as_ever(topic):
    """Keys and values of a whole log, one record a line: key, tab, value."""
    partition = Partition(CATALOGUE)
    for offset, raw in enumerate(LOG):
        found = decode_event(raw, max_bytes=100_000)
        partition.take(Record(offset, event_key(found.application_id, found.event_id), raw))
    lines = [sent.key + b"\t" + sent.value + b"\n" for sent in partition.sent if sent.topic == topic]
    assert b"".join(lines) == golden(f"{topic}.tsv")


@pytest.mark.parametrize("line", range(6))
def test_contents_have_the_ids_that_they_ever_had(line):
    """Spellings that were refused before have the ids of those that were not: an event and its id a line."""
    raw, identity = golden("event-ids.tsv").splitlines()[line].split(b"\t")
    assert decode_event(raw, max_bytes=10_000).event_id == identity.decode()


def test_a_dead_letter_without_content_has_the_headers_that_it_ever_had():
    """Two more than one with content, behind the others."""
    value, headers = dead_letter_content(
        BadEventError(Defect.TOO_LARGE, "the value has 1048576 bytes, the limit is 262144"),
        topic="executions",
        partition=3,
        offset=17,
        timestamp_ms=1_740_992_400_123,
        key=b"app-1/evt-1",
        value=b"x" * MAX_CONTENT_BYTES,
        headers=[("ce_id", b"evt-1")],
    )
    assert value == b""
    written = [[name, None if header is None else header.decode()] for name, header in headers]
    assert written == json.loads(golden("dead-letter-headers.json"))


def test_dead_letters_of_the_first_generation_are_read_as_ever():
    """They hold their content."""
    headers = json.loads((GOLDEN.parent / "dead-letter-headers.json").read_bytes())
    added = tuple((name, None if value is None else value.encode()) for name, value in headers)
    letter = parse_dead_letter(KafkaRecord("dlq", 3, 1, 2, b"executions/3/17", b"{", added))
    assert (letter.key, letter.error_class, letter.original) == (b"app-1/evt-1", "duplicate_key", None)


def test_the_reasons_of_dead_letters_and_the_issues_are_as_ever():
    """Dashboards and filters know them by these texts. The third generation has one reason more, see decision 26."""
    assert json.loads(golden("defects.json")) == sorted({*map(str, Defect)} - {Defect.UNCONFIRMED_ERASURE})
    assert json.loads((GOLDEN.parent / "3" / "defects.json").read_bytes()) == sorted(map(str, Defect))
    assert json.loads(golden("issues.json")) == sorted(map(str, Issue))
