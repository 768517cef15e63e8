"""Fetched batches: each record once, in order, as it was parsed, wherever a header name is no UTF-8."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.structs import TopicPartition

from streams.worker.transport.aiokafka_records import FetchResult, _PartitionRecords, _Records
from streams.worker.transport.unpacking import PIECE_BYTES


def batch(strange):
    """Three records in one batch; in those numbered so the header's name is no text."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, -1, -1, -1, 1_000_000)
    for number in range(3):
        builder.append(number, 5, b"k%d" % number, b"v%d" % number, [(f"name{number}", b"h"), ("other", None)])
    raw = bytes(builder.build())
    for number in strange:
        raw = raw.replace(b"name%d" % number, b"\xff\xfe\xfd\xfc%d" % number)
    return raw


@pytest.mark.parametrize("strange", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_each_record_comes_once_and_a_strange_name_is_written_out(strange):
    """The fast parser's records come first, and the slow one goes on where it stopped."""
    records = _Records(batch(strange) + batch(()))
    found = []
    while records.has_next():
        found += [(r.offset, r.key, r.value, tuple(r.headers)) for piece in records.next_batch() for r in piece]
    names = [rf"\xff\xfe\xfd\xfc{number}" if number in strange else f"name{number}" for number in range(3)]
    assert found[:3] == [(n, b"k%d" % n, b"v%d" % n, ((name, b"h"), ("other", None))) for n, name in enumerate(names)]
    assert [headers[0][0] for _, _, _, headers in found[3:]] == ["name0", "name1", "name2"]


def test_a_batch_tells_about_itself():
    """What aiokafka asks before it takes the records is the batch's own."""
    [one] = [_Records(batch(())).next_batch()]
    assert (one.base_offset, one.next_offset, one.is_control_batch, one.is_transactional) == (0, 3, False, True)
    assert next(one).key == b"k0"


def partition_records(raw, start):
    return _PartitionRecords(TopicPartition("t", 0), _Records(raw), [], start, None, None, True, 1)  # noqa: FBT003


class Position:
    """Where a partition that is read stands."""

    active = True
    paused = False

    def __init__(self, start):
        self.position = start

    def state_value(self, _tp):
        return self

    def consumed_to(self, offset):
        self.position = offset


def fetched(raw, start=0):
    """A fetch of a partition, as aiokafka keeps it until it is taken."""
    tp = TopicPartition("t", 0)
    return FetchResult(tp, assignment=Position(start), partition_records=partition_records(raw, start), backoff=0)


def test_records_are_handed_on_as_they_were_parsed():
    """A fetch is read in parts, from where it was asked to begin, and its position follows."""
    result = fetched(batch(()), start=1)
    [first] = result.getall(1)
    assert (first.offset, first.timestamp, first.key, first.value) == (1, 5, b"k1", b"v1")
    assert list(first.headers) == [("name1", b"h"), ("other", None)]
    assert result._assignment.position == 2
    assert [record.offset for record in result.getall(7)] == [2]
    assert result._assignment.position == 3
    assert not result.has_more()


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 100, None])
def test_each_record_is_taken_once_however_many_are_asked_for(most):
    """Over the ends of batches, and where compaction has removed the last records of one."""
    raw = b"".join(batch_at(first, last) for first, last in [(0, 3), (5, 5), (6, 9), (20, 26)])
    result = fetched(raw)
    offsets = []
    while result.has_more():
        taken = result.getall(most)
        offsets += [record.offset for record in taken]
        assert most is None or len(taken) <= most
        if taken and result.has_more():
            assert result._assignment.position == taken[-1].offset + 1
    assert offsets == [0, 1, 2, 3, 5, 6, 7, 8, 9, *range(20, 27)]
    assert result._assignment.position == 27


def test_a_fetch_of_which_some_was_taken_is_dropped_when_it_is_read_elsewhere():
    """Somebody sought meanwhile: what is left of a piece is not from there."""
    result = fetched(batch(()))
    result.getall(1)
    result._assignment.position = 7
    assert result.getall() == []
    assert not result.has_more()


@pytest.mark.parametrize("magic", [0, 1])
def test_a_batch_of_the_old_format_is_a_piece(magic):
    """Topics that were written by clients of before Kafka 0.11."""
    builder = LegacyRecordBatchBuilder(magic, 0, 1_000_000)
    for number in range(3):
        builder.append(number, 5, b"k%d" % number, b"v")
    taken = fetched(bytes(builder.build()), start=1).getall()
    assert [(record.offset, record.key) for record in taken] == [(1, b"k1"), (2, b"k2")]
    assert taken.size > 0


def batch_at(first, last):
    """A batch of the records from one offset to another."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
    for number in range(last - first + 1):
        builder.append(number, 5, b"k", b"v", [])
    raw = bytearray(builder.build())
    raw[:8] = first.to_bytes(8, "big")
    return bytes(raw)


def large_batch(count, length, *, headers=0):
    builder = DefaultRecordBatchBuilder(2, DefaultRecordBatch.CODEC_ZSTD, 1, -1, -1, -1, 2**31 - 1)
    for number in range(count):
        builder.append(number, 5, b"k%d" % number, b"v" * length, [("h", b"")] * headers)
    return bytes(builder.build())


def test_a_poll_takes_no_more_bytes_than_there_is_room_for():
    """Give or take a piece of a batch; what is left comes with the next ones, each record once."""
    result = fetched(large_batch(100, 200_000))
    result.room = 2 * PIECE_BYTES
    offsets, sizes = [], []
    while result.has_more():
        taken = result.getall(1_000)
        offsets += [record.offset for record in taken]
        sizes.append(taken.size)
    assert offsets == list(range(100))
    assert max(sizes) < 3 * PIECE_BYTES + 300_000
    assert sum(sizes) == pytest.approx(100 * 200_000, rel=0.01)
    assert len(sizes) > 5


def test_a_poll_takes_a_record_that_is_larger_than_the_room():
    """Nothing waits for ever for room that there will never be."""
    result = fetched(large_batch(3, 4 * PIECE_BYTES))
    result.room = 1
    assert [record.offset for record in result.getall()] == [0]
    assert [record.offset for record in result.getall()] == [1]


def test_the_rest_of_a_fetch_that_was_sought_into_counts_alone():
    """A batch from whose middle is read on: what was before is parsed and skipped, and takes no room."""
    result = fetched(large_batch(100, 200_000), start=90)
    result.room = 64 * PIECE_BYTES
    taken = result.getall()
    assert [record.offset for record in taken] == list(range(90, 100))
    assert taken.size < 3 * PIECE_BYTES


def test_headers_count_as_what_they_are_in_memory():
    """16,000 empty ones fit into 64 KiB, and take 2 MB when they are parsed."""
    result = fetched(large_batch(8, 10, headers=16_000))
    result.room = PIECE_BYTES
    taken = result.getall()
    assert taken.size > len(taken) * 16_000 * 100
