"""Fetched batches: each record once, in order, as it was parsed, wherever a header name is no UTF-8."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from streams.worker.transport.aiokafka_records import _PartitionRecords, _Records


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
        found += [(r.offset, r.key, r.value, tuple(r.headers)) for r in records.next_batch()]
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


def test_records_are_handed_on_as_they_were_parsed():
    """A fetch is read in parts, from where it was asked to begin, and its position follows."""
    records = partition_records(batch(()), 1)
    first = next(iter(records))
    assert (first.offset, first.timestamp, first.key, first.value) == (1, 5, b"k1", b"v1")
    assert list(first.headers) == [("name1", b"h"), ("other", None)]
    assert records.next_fetch_offset == 2
    assert [record.offset for record in records] == [2]
    assert records.next_fetch_offset == 3
