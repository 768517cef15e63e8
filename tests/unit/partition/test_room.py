"""A batch is folded as far as there is room for what comes of it, and goes on from there."""

import gc

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consolidator.keys import event_key
from models.errors import Defect
from streams.partition.batch import Batch
from streams.partition.batch_parts import fold_in_parts
from streams.partition.sizes import framed_size, memory_size
from streams.partition.state.erased_events import ERASED_EVENTS, erased_hash, holds, with_hash
from streams.partition.state.row_codec import decode_row, encode_row
from tests.inputs.cases import ok, one_factor
from tests.inputs.workloads import to_json
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, Record, record_of, records_of

SUM = one_factor("sum")


def fat(number, *, factors=2_000):
    """An event of a processor without an entry in the catalogue: its factors stand in every later change of its row."""
    return ok(f"fat{number}", number, {f"n{name}": number for name in range(factors)}, processor="unknown")


def taken_in_parts(partition, records, room):
    """Fold and write as the worker does; returns the parts."""
    batch = Batch("executions", 0, records[0].offset, records[-1].offset + 5, tuple(records))
    parts = []
    while batch is not None:
        folded = partition.fold.fold(batch, room)
        partition.sent += folded.outgoing
        partition.finish(folded)
        taken, batch = batch.cut(folded.end)
        parts.append((taken, folded))
    return parts


def test_a_batch_ends_where_what_comes_of_it_fills_the_room():
    """Each part starts where the last one ended, and its mark says how far it went: a gap goes with the next part."""
    records = [record_of(offset, fat(offset)) for offset in (3, 4, 9, 10, 20)]
    parts = taken_in_parts(Partition(SUM), records, room=1)
    assert [(taken.start, taken.end) for taken, _ in parts] == [(3, 4), (4, 5), (5, 10), (10, 11), (11, 25)]
    assert [[record.offset for record in taken.records] for taken, _ in parts] == [[3], [4], [9], [10], [20]]
    assert [folded.mark.applied for _, folded in parts] == [3, 4, 9, 10, 24]
    assert [folded.events for _, folded in parts] == [1] * 5


def test_a_replay_in_parts_comes_to_the_same():
    """Wherever the room ends: the same changes in the same order, the same rows, and no record twice."""
    records = [*records_of([fat(0), fat(1), ok("a", 1), ok("b", 2)]), Record(4, b"app/x", b"{"), record_of(5, fat(2))]
    whole, cut = Partition(SUM), Partition(SUM)
    whole.take(*records)
    batch = Batch("executions", 0, 0, len(records), tuple(records))
    ends = []
    for part, folded in fold_in_parts(cut.fold, batch, room=1):
        cut.sent += folded.outgoing
        cut.finish(folded)
        ends.append((part.start, part.end, len(part.records)))
    assert ends == [(offset, offset + 1, 1) for offset in range(len(records))]
    assert cut.values("factor-changes") == whole.values("factor-changes")
    assert cut.stored() == whole.stored()


def test_one_record_is_folded_however_much_comes_of_it():
    """What is larger than any room is a part of its own, and nothing waits for ever."""
    (part,) = taken_in_parts(Partition(SUM), [record_of(0, fat(0))], room=0)
    assert part[1].size > 10_000


def test_there_is_room_for_all_of_an_ordinary_batch():
    """Nothing is cut that need not be."""
    records = records_of([ok(f"e{number}", number) for number in range(500)])
    assert len(taken_in_parts(Partition(SUM), records, room=2_000_000)) == 1


def test_a_part_is_little_larger_than_the_room():
    """By one record's outputs at the most: here a change, a factors record, and a row."""
    records = records_of([fat(number % 3) | {"event_id": f"id{number}", "attempt": number + 1} for number in range(60)])
    room = 4_000_000
    parts = taken_in_parts(Partition(SUM), records, room)
    assert len(parts) > 3
    assert max(folded.size for _, folded in parts) < 2 * room


def test_records_that_go_on_fill_the_room_with_their_headers():
    """Empty headers are 4 bytes in a record, and many times that in memory."""
    foreign = [Record(n, b"foreign", to_json(ok(f"e{n}", n)), headers=[("h", b"")] * 1_000) for n in range(20)]
    parts = taken_in_parts(Partition(SUM), foreign, room=500_000)
    assert [len(taken.records) for taken, _ in parts] == [4, 4, 4, 4, 4]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(0, 60_000), st.integers(0, 2**16))
def test_the_room_changes_nothing_but_where_parts_end(numbers, room, seed):
    """Changes, the last factors record of each pair, and the rows are those of a batch that was not cut."""
    items = []
    for place, number in enumerate(numbers):
        factors = {f"f{name}": number for name in range(seed % 50)}
        item = ok(f"e{number % 7}", place, factors, processor="pq"[number % 2])
        items.append(Tombstone(item["application_id"], f"id{number % 5}") if number > 27 else item)
    whole, cut = Partition(SUM), Partition(SUM)
    taken_in_parts(whole, records_of(items), room=10**9)
    parts = taken_in_parts(cut, records_of(items), room)
    assert [record for taken, _ in parts for record in taken.records] == records_of(items)
    for topic in ("factor-changes", "executions.dlq"):
        said = [[sent for sent in one.sent if sent.topic == topic] for one in (whole, cut)]
        assert said[0] == said[1]
    views = [{sent.key: sent for sent in one.sent if sent.topic == "factors"} for one in (whole, cut)]
    assert views[0] == views[1]
    assert whole.rows == cut.rows


def test_factors_come_once_a_pair_though_changes_are_written_out_in_between():
    """A batch with more changes than are kept unwritten: the last change of each pair has the ``factors`` record."""
    heavy = {f"n{name}": name for name in range(10_000)}
    records = records_of([ok(f"e{n}", n, heavy if n < 2 else {"x": n}, processor="uv"[n % 2]) for n in range(30)])
    partition = Partition(SUM)
    (part,) = taken_in_parts(partition, records, room=10**9)
    factors = [sent for sent in part[1].outgoing if sent.topic == "factors"]
    assert [sent.key for sent in factors] == [b"app/u", b"app/v"]
    assert [value["version"]["offset"] for value in partition.values("factors")] == [28, 29]
    assert len(partition.values("factor-changes")) == 30


def test_a_bad_event_keeps_nothing_of_its_batch_alive():
    """Its traceback would lead to the fold and back, and cycles are collected every few minutes only."""
    partition = Partition(SUM)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for offset in range(50):
            partition.take(*[Record(offset * 10 + n, b"k", b"{") for n in range(10)])
            partition.sent.clear()
        assert len(gc.get_objects()) - before < 200
    finally:
        gc.enable()


def test_an_event_whose_change_would_be_too_large_is_a_dead_letter():
    """Quality issues are many times what they are about: a megabyte of nulls. The row stays as it was."""
    nulls = ok("many", 1, {f"{name:x}": None for name in range(250_000)}, processor="unknown")
    partition = Partition(SUM, max_event_bytes=8 * 1024 * 1024)
    first, after = record_of(0, ok("first", 0, processor="unknown")), record_of(2, ok("next", 2, processor="unknown"))
    partition.take(first, Record(1, event_key("app", nulls["event_id"]), to_json(nulls)), after)
    (letter,) = [sent for sent in partition.sent if sent.topic == "executions.dlq"]
    assert dict(letter.headers)["dlq_error_class"] == Defect.TOO_LARGE.encode()
    assert list(decode_row(partition.rows[b"app/unknown"]).executions) == ["first", "next"]


def test_the_tombstones_of_an_application_fill_a_row_of_bounded_size():
    """Beyond it one is a dead letter that says how to go on, as the row could not be written any more."""
    hashes = ()
    for number in range(100):
        hashes = with_hash(hashes, erased_hash(f"e{number}"))
    assert list(hashes) == sorted(hashes)
    assert all(holds(hashes, erased_hash(f"e{number}")) for number in range(100))
    assert not holds(hashes, erased_hash("other"))
    partition = Partition(SUM)
    partition.take(Record(0, event_key("app", "e"), None))
    row = decode_row(partition.rows[b"app/"])
    full = tuple(sorted({erased_hash(f"e{number}") for number in range(ERASED_EVENTS)}))
    partition.rows[b"app/"] = encode_row(replace(row, hashes=full))
    partition.take(Record(1, event_key("app", "one more"), None), Record(2, event_key("app", "e7"), None))
    (letter,) = [sent for sent in partition.sent if sent.topic == "executions.dlq"]
    assert dict(letter.headers)["dlq_error_class"] == Defect.EXECUTION_LIMIT.encode()
    assert len(partition.rows[b"app/"]) < 1_000_000


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [(None, None, []), (b"k", b"v" * 70_000, [("näme", None), ("n" * 200, b"t" * 300)]), (b"", b"", [("", b"")] * 500)],
)
def test_a_size_is_counted_from_above(key, value, headers):
    """What Kafka's format takes is never more than was counted, or a batch would be refused."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, -1, -1, -1, 2**31 - 1)
    for number in range(3):
        builder.append(2**20 * number, 2**40, key, value, headers)
    counted = framed_size(key, value, headers)
    texts = sum(15 + 4 * len(name) + len(text or b"") for name, text in headers)
    assert len(builder.build()) <= 61 + 3 * counted
    assert counted <= 100 + len(key or b"") + len(value or b"") + texts
    assert memory_size(key, value, headers) >= counted
