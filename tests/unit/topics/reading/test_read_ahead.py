"""Partitions one after the other, fetched together, whatever order their records arrive in."""

from hypothesis import given
from hypothesis import strategies as st

from topics.reading.positions import Span
from topics.reading.read_ahead import PartitionAfterPartition
from topics.records.record import Record

SIZE = 500
"""About what a record of these takes in memory."""


class Broker:
    """Partitions with holes and markers, whose records arrive in some order; remembers what was fetched."""

    def __init__(self, offsets, order):
        self.offsets = offsets
        self.order = order
        self.fetched = []

    def fetch(self, spans):
        self.fetched.append(dict(spans))
        left = {
            partition: [offset for offset in self.offsets[partition] if span.start <= offset < span.end]
            for partition, span in spans.items()
            if span.start < span.end
        }
        while left:
            partition = sorted(left)[self.order.draw(st.integers(0, len(left) - 1))]
            if left[partition]:
                yield partition, Record("t", partition, left[partition].pop(0), 0, b"k", b"v" * 200, ())
            else:
                del left[partition]
                yield partition, None


partitions = st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 30)).map(sorted), min_size=1)


@given(partitions, st.data(), st.sampled_from([0, SIZE, 5 * SIZE, 10**9]))
def test_each_partition_has_its_records_in_order(offsets, data, max_bytes):
    """Nothing is lost, doubled or mixed, wherever the bound makes it go on with one partition alone."""
    broker = Broker(offsets, data)
    spans = {partition: Span(min(found, default=0), max(found, default=-1) + 2) for partition, found in offsets.items()}
    found = {
        partition: [record.offset for record in records]
        for partition, records in PartitionAfterPartition(spans, broker.fetch, max_bytes=max_bytes)
    }
    assert found == offsets
    assert list(found) == sorted(offsets)


@given(partitions, st.data())
def test_below_the_bound_everything_is_fetched_at_once(offsets, data):
    """However many partitions there are."""
    broker = Broker(offsets, data)
    spans = {partition: Span(0, 40) for partition in offsets}
    for _, records in PartitionAfterPartition(spans, broker.fetch):
        assert all(record.value for record in records)
    assert broker.fetched == [dict(sorted(spans.items()))]


def test_an_empty_partition_is_not_waited_for():
    """A broker says nothing about a partition of which nothing is asked."""

    def fetch(_spans):
        return iter(())

    found = PartitionAfterPartition({0: Span(5, 5), 3: Span(0, 0)}, fetch)
    assert [(partition, list(records)) for partition, records in found] == [(0, []), (3, [])]
