"""What a producer may send however large: a dead letter of bounded size and the next record, never a stop."""

import time
from dataclasses import replace

import msgspec
import pytest

from consolidator.keys import event_key, partition_of
from consolidator.source_records import ERASURE_HEADER
from models.lengths import MAX_ID_BYTES, MAX_KEY_BYTES
from models.rows import Erasures
from streams.partition.state.row_codec import encode_row
from tests.inputs.cases import event, ok, one_factor
from tests.inputs.workloads import to_json
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, Record, decoded, record_of, topics_of
from topics.records.dead_letter_format import CLASS, KEY, MAX_CONTENT_BYTES, VALUE_BYTES, content_bytes
from topics.records.erasures import ERASURE_PREFIX

PARTITIONS = 4
HOME = partition_of("app", PARTITIONS)
SOURCE_BYTES = int(topics_of(PARTITIONS).executions.config["max.message.bytes"])


def fold(*records):
    partition = Partition(one_factor("sum"), partition=HOME, partitions=PARTITIONS)
    partition.take(*records, record_of(records[-1].offset + 1, ok("after", 9)))
    return partition


def letters(partition):
    return [sent for sent in partition.sent if sent.topic == "executions.dlq"]


def classes(partition):
    """The defects of all dead letters; the record behind the bad ones was folded, and every letter is small."""
    assert partition.values("factors")[-1]["executions"]["completed"] >= 1
    found = letters(partition)
    for letter in found:
        assert content_bytes(letter.key, letter.value, letter.headers) <= MAX_CONTENT_BYTES + 1_000 + MAX_KEY_BYTES
    return [dict(letter.headers)[CLASS].decode() for letter in found]


@pytest.mark.parametrize("value", [b"[" * 12_000_000, b'"' + b"x" * 11_999_999, b"\xff" * 12_000_000])
def test_a_record_of_twelve_megabytes_is_a_small_dead_letter(value):
    """It came in compressed; its dead letter has place, size and digest."""
    partition = fold(Record(0, b"app/huge", value))
    assert classes(partition) == ["too_large"]
    [letter] = letters(partition)
    assert (letter.value, dict(letter.headers)[VALUE_BYTES], dict(letter.headers)[KEY]) == (
        b"",
        b"12000000",
        b"app/huge",
    )


def test_a_foreign_record_is_published_again_up_to_what_the_source_takes():
    """With its new key and all of its headers; one that cannot be published there is a dead letter, not a stop."""
    item = ok("a", 1)
    headers = [("h", b"")]
    room = SOURCE_BYTES - 1_024 - content_bytes(event_key("app", item["event_id"]), to_json(item), headers)
    fits = Record(0, b"foreign", to_json(item), headers=(("h", b"x" * room),))
    too_large = replace(fits, offset=1, headers=(("h", b"x" * (room + 1)),))
    partition = fold(fits, too_large)
    assert classes(partition) == ["too_large"]
    again = [sent for sent in partition.sent if sent.topic == "executions"]
    assert [(sent.key, sent.headers) for sent in again] == [(event_key("app", item["event_id"]), [*fits.headers])]
    canonical = replace(too_large, key=event_key("app", item["event_id"]))
    assert classes(fold(canonical)) == []


def test_a_foreign_tombstone_is_published_again_up_to_what_the_source_takes():
    """The same for a tombstone in another partition than its application's."""
    elsewhere = next(name for name in ("b", "c", "d", "e") if partition_of(name, PARTITIONS) != HOME)
    key = event_key(elsewhere, "e")
    small = Record(0, key, None, headers=(("h", b"x" * 10),))
    huge = Record(1, key, None, headers=(("h", b"x" * SOURCE_BYTES),))
    partition = fold(small, huge)
    assert classes(partition) == ["too_large"]
    assert [sent.key for sent in partition.sent if sent.topic == "executions"] == [small.key]


@pytest.mark.parametrize("headers", [(), ((ERASURE_HEADER, b"application"),)], ids=["a producer's", "an erasure's"])
@pytest.mark.parametrize(
    "key",
    [event_key("a" * (MAX_ID_BYTES + 1), "e"), event_key("a" * 1_000_000, "e"), event_key("app", "e" * 1_000_000)],
    ids=["application", "huge application", "huge event"],
)
def test_a_tombstone_for_ids_beyond_the_limits_costs_nothing(key, headers):
    """Nothing is hashed and no row is written for it; an application's erasure passes over it."""
    warm = fold(Record(0, b"app/none", None))
    started = time.thread_time()
    partition = fold(*(Record(offset, key, None, headers=headers) for offset in range(20)))
    # Hashing the huge application's id takes some 50 ms each time.
    assert time.thread_time() - started < 0.5
    assert classes(partition) == ([] if headers else ["too_long"] * 20)
    assert {*partition.rows} < {*warm.rows}


def test_an_event_of_before_the_limits_can_still_be_erased():
    """A state that is older than the limits may hold longer ids: a tombstone for such an event is no dead letter."""
    long_id = "e" * 1_000
    partition = Partition(one_factor("sum"), partition=HOME, partitions=PARTITIONS)
    item = ok("a", 1)
    partition.take(record_of(0, item))
    [row] = [row for key, row in partition.stored().items() if key == b"app/p"]
    old = replace_event_id(row, long_id)
    partition = Partition(one_factor("sum"), rows=partition.rows, partition=HOME, partitions=PARTITIONS)
    partition.rows[b"app/p"] = old
    partition.take(Record(1, event_key("app", long_id), None))
    assert letters(partition) == []
    assert partition.values("factor-changes")[-1]["cause"]["status"] == "erased"
    assert isinstance(partition.stored()[b"app/"], Erasures)


def replace_event_id(row, event_id):
    executions = {
        execution: tuple(msgspec.structs.replace(entry, event_id=event_id) for entry in entries)
        for execution, entries in row.executions.items()
    }
    return encode_row(msgspec.structs.replace(row, executions=executions))


def test_a_huge_record_under_an_erasures_key_is_not_parsed():
    """Whoever may publish may write there; an erasure has a hundred bytes."""
    value = b'{"salt":"00","a":' + b"1," * 5_000_000 + b"}"
    started = time.thread_time()
    assert classes(fold(Record(0, ERASURE_PREFIX + b"00", value))) == ["invalid_erasure"]
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("name", ["application_id", "execution_id", "event_id", "processor"])
def test_an_id_of_two_hundred_kilobytes_is_refused_before_it_is_hashed(name):
    """It costs what its parsing costs."""
    raw = to_json(event("a", "started", 1) | {name: "x" * 200_000})
    fold(record_of(0, ok("warm", 1)))
    started = time.thread_time()
    assert classes(fold(*(Record(offset, b"app/k", raw) for offset in range(50)))) == ["too_long"] * 50
    # Hashing it takes some 10 ms each time.
    assert time.thread_time() - started < 0.25


def test_the_longest_ids_are_folded():
    """What is within the limits goes all the way: its keys, its change, its row, and its erasure."""
    longest = "/" * MAX_ID_BYTES
    partition = Partition(one_factor("sum"))
    item = ok(longest, 1) | {"application_id": longest, "event_id": longest}
    record = record_of(0, item)
    assert len(record.key) == MAX_KEY_BYTES
    partition.take(record, record_of(1, Tombstone(longest, longest)))
    assert [sent.topic for sent in partition.sent] == ["factor-changes", "factor-changes", "factors"]
    assert decoded(item).event_id == longest
