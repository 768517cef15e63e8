"""The last records of a topic, read backwards in growing steps, because offsets do not count records."""

from collections import Counter
from collections.abc import Callable
from heapq import nlargest
from typing import Final

from topics.reading.positions import Span
from topics.reading.reader import TopicReader
from topics.records.record import Record

__all__ = ["last_records"]

_FIRST_STEP: Final = 100
"""How many offsets of each partition are read first, at least: most partitions end with records."""

_GROWTH: Final = 10


def last_records(reader: TopicReader, count: int, wanted: Callable[[Record], bool]) -> list[Record]:
    """The last ``count`` records of all partitions together, oldest first, by the broker's clock.

    Markers, aborted and compacted records take up offsets. So more and more of a partition is read, from its end, until
    it gives that many records, or all of it was read.

    Args:
        reader: of the topic; placed at its beginning.
        count: how many.
        wanted: which records count.
    """
    found: list[Record] = []
    begun = {partition: span.end for partition, span in reader.spans.items()}
    step = max(count, _FIRST_STEP)
    while True:
        enough = Counter(record.partition for record in found)
        more = {one: at for one, at in begun.items() if enough[one] < count and at > reader.first(one)}
        if not more:
            return nlargest(count, found, key=_time)[::-1]
        further = {one: Span(max(reader.first(one), at - step), at) for one, at in more.items()}
        found += [record for record in reader.until_end(further) if wanted(record)]
        begun |= {one: span.start for one, span in further.items()}
        step *= _GROWTH


def _time(record: Record) -> tuple[int, int, int]:
    return record.timestamp_ms, record.offset, record.partition
