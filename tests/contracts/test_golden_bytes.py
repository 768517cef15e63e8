"""Bytes that were once written can be read for ever: rows, changes, factors, contents, dead letters and keys.

The files in ``golden/`` are never changed. Another form of anything here gets another tag and another file.
"""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from consolidator.keys import change_key, event_key, factors_key, partition_of
from consolidator.source_records import dlq_key
from models.errors import BadEventError, Defect
from models.events import Status
from models.rows import Entry, ErasedApplication, Erasures, HalfwayMark, PartitionMark, Row
from streams.partition.state.row_codec import KNOWN_FORMATS, decode_row, encode_row
from tests.inputs.cases import event, failed, ok
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, records_of
from topics.records.dead_letter_format import dead_letter_headers
from topics.records.decoding import decode_event

GOLDEN = Path(__file__).parent / "golden"

DIGEST = bytes(range(16))
RULESET = "sample-underwriting/2026.1@" + "ab" * 32
ROWS = {
    "row1": Row(
        "app/1",
        "bank_statement",
        RULESET,
        1_000_000_007,
        42,
        987,
        {
            "e1": (
                Entry("evt-1", DIGEST, Status.REQUESTED, 1_740_992_400_000_000),
                Entry(
                    "evt-2",
                    DIGEST[::-1],
                    Status.COMPLETED,
                    1_740_992_401_000_001,
                    2,
                    7,
                    "e0",
                    None,
                    contributes=True,
                    factors={"f_revenue_monthly": "10000.25", "f_é": '"Zürich"', "f_ok": "true"},
                ),
            ),
            "e2": (
                Entry("evt-3", DIGEST, Status.FAILED, -1, 1, -1, None, "TIMEOUT"),
                Entry("evt-4", DIGEST, Status.CANCELLED, 0, None),
            ),
            "e3": (
                Entry("evt-5", DIGEST, Status.STARTED, 0, 1, 0),
                Entry("evt-6", DIGEST, Status.SUPERSEDED, 0, 3),
            ),
        },
    ),
    "gone1": ErasedApplication(DIGEST, DIGEST * 2, 2**40),
    "erased1": Erasures("app/1", 2**40, (DIGEST,)),
    "mark3": PartitionMark(11, 2**40, RULESET, 3, "O4cVNdZWTA6xGSqYZTGXyA"),
    "halfway2": HalfwayMark(11, 2**40, RULESET, 3, "O4cVNdZWTA6xGSqYZTGXyA", 2**40 + 1, b"app%2F1/p"),
}
EARLIER_ROWS = {
    "mark2": PartitionMark(11, 2**40, RULESET, 3, "O4cVNdZWTA6xGSqYZTGXyA"),
    "halfway1": HalfwayMark(11, 2**40, RULESET, 3, "O4cVNdZWTA6xGSqYZTGXyA", 2**40 + 1, b"app%2F1/p"),
    "mark1": PartitionMark(11, 2**40, RULESET, 3),
    "mark1-topic": PartitionMark(11, 2**40, RULESET, 3, "O4cVNdZWTA6xGSqYZTGXyA"),
}
"""What no program writes any more. A mark that was written before topics' ids were kept has none."""

CATALOGUE = {
    "name": "golden",
    "version": "1",
    "processors": {
        "p": {
            "type": "document",
            "factors": {
                "f_mean": {"reducer": "mean", "field": "x"},
                "f_max": {"reducer": "max", "field": "x"},
                "f_any": {"reducer": "any_true", "field": "b", "required": True},
            },
        }
    },
}
# A log that has every member of a change at least once: set, updated, cleared, all kinds of causes, issues, MERGE.
LOG = [
    event("a", "requested", 1),
    ok("a", 2, {"x": 10000, "b": True}),
    ok("b", 3, {"x": Decimal("12000.555"), "b": None}, attempt=2, sequence=4),
    failed("c", 4, error=None, output={"factors": {}}),
    failed("c", 5, attempt=2),
    ok("d", 6, {"x": Decimal("1e-7")}, supersedes="b"),
    event("a", "cancelled", 7),
    Tombstone("app", "d-completed-6-None-None"),
    ok("e", 8, {"f_é": "\x00<b>\N{BOM}", "f_1": Decimal("-0.50"), "f_2": False}, processor="unknown \N{BOM}"),
]


def golden(name):
    return (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_written_and_read_as_ever(name):
    """A row's MessagePack is the same, and old bytes are the same row."""
    written = bytes.fromhex(golden(f"{name}.msgpack.hex").decode())
    assert encode_row(ROWS[name]) == written
    assert decode_row(written) == ROWS[name]


@pytest.mark.parametrize("name", EARLIER_ROWS)
def test_rows_of_earlier_formats_are_read_as_ever(name):
    """What an earlier format said is what the row of today's format says."""
    written = bytes.fromhex(golden(f"{name}.msgpack.hex").decode())
    assert decode_row(written) == EARLIER_ROWS[name]
    assert encode_row(EARLIER_ROWS[name]) != written


@pytest.mark.parametrize("name", sorted({*ROWS, *EARLIER_ROWS}))
def test_what_is_written_can_be_read_by_no_program_that_knows_less(name):
    """Each row's tag is its kind with a number; the newest one of each kind is what today's rows have."""
    tag = msgspec.msgpack.decode(bytes.fromhex(golden(f"{name}.msgpack.hex").decode()))[0]
    kind, number = tag[:-1], int(tag[-1])
    assert number <= KNOWN_FORMATS[kind]
    assert (number == KNOWN_FORMATS[kind]) == (name in ROWS)


def test_equal_erasures_have_equal_bytes():
    """An erasure row's bytes follow from what was erased, not from the order of the tombstones."""
    erased = [Tombstone("app", f"evt-{number}") for number in range(20)]
    forwards, backwards = Partition(CATALOGUE), Partition(CATALOGUE)
    forwards.take(*records_of(erased))
    backwards.take(*records_of(reversed(erased)))
    assert forwards.rows == backwards.rows


@pytest.mark.parametrize("topic", ["factor-changes", "factors"])
def test_changes_and_factors_are_written_as_ever(topic):
    """Keys and values of a whole log, one record a line: key, tab, value."""
    partition = Partition(CATALOGUE)
    partition.take(*records_of(LOG))
    lines = [sent.key + b"\t" + sent.value + b"\n" for sent in partition.sent if sent.topic == topic]
    assert b"".join(lines) == golden(f"{topic}.tsv")


@pytest.mark.parametrize("line", range(6))
def test_contents_have_the_ids_that_they_ever_had(line):
    """The canonical content's digest, which is the id of an event without one: an event and its id a line."""
    raw, identity = golden("event-ids.tsv").splitlines()[line].split(b"\t")
    event = decode_event(raw, max_bytes=10_000)
    assert event.digest.hex() == identity.decode()
    assert event.event_id == json.loads(raw).get("event_id", identity.decode())


def test_dead_letters_have_the_headers_that_they_ever_had():
    """Names, order and writing of the headers that redrive and dashboards read."""
    headers = dead_letter_headers(
        BadEventError(Defect.DUPLICATE_KEY, "an object has the same key twice"),
        topic="executions",
        partition=3,
        offset=17,
        timestamp_ms=1_740_992_400_123,
        key=b"app-1/evt-1",
        headers=[("ce_id", b"evt-1"), ("trace", None)],
    )
    assert [[name, None if value is None else value.decode()] for name, value in headers] == json.loads(
        golden("dead-letter-headers.json")
    )


def test_keys_and_partitions_are_as_ever():
    """Keys in UTF-8, and the partition of each application among 12."""
    for application_id, identity, key, partition in json.loads(golden("keys.json")):
        written = key.encode()
        assert event_key(application_id, identity) == written
        assert change_key(application_id, identity) == written
        assert factors_key(application_id, identity) == written
        assert partition_of(application_id, 12) == partition
    assert dlq_key("executions", 3, 17) == b"executions/3/17"


def test_the_reasons_of_dead_letters_are_as_ever():
    """Dashboards and filters know them by these texts; new ones may join them."""
    assert {*json.loads(golden("defects.json"))} <= {str(defect) for defect in Defect}
