"""From where to where, as people write it: offsets of single partitions, times, the beginning, the end.

Both ends follow Kafka's end offsets: a range begins with its first offset and ends before its last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import ContractError
from topics.reading.positions import AtOffset, AtTime, Beginning, End, Span, Start
from topics.reading.reader import TopicReader

__all__ = ["Range", "ranges_of", "require_bounds", "require_order"]


@dataclass(frozen=True, slots=True)
class Range:
    """What of one partition is asked for.

    Attributes:
        first: the first offset that is still there.
        start: where what is asked for begins.
        end: before which it ends.
    """

    first: int
    start: int
    end: int

    @property
    def since(self) -> int:
        """Where what was published is asked for from: from 0 on, where nothing before the first offset is left out."""
        return 0 if self.start <= self.first else self.start


def require_bounds(bounds: Sequence[Start]) -> None:
    """Refuse several bounds that are not all offsets of different partitions.

    Raises:
        ValueError: saying what is possible.
    """
    if len(bounds) <= 1:
        return
    places = [bound for bound in bounds if isinstance(bound, AtOffset)]
    if len(places) < len(bounds) or len({place.partition for place in places}) < len(places):
        raise ValueError("given several times, each has to be PARTITION:OFFSET, and of another partition")


def require_order(starts: Sequence[Start], ends: Sequence[Start]) -> None:
    """Refuse a range that ends before it begins: nothing is in it, which is no answer to what was meant.

    Raises:
        ValueError: naming both.
    """
    for start in starts:
        for end in ends:
            match start, end:
                case AtOffset(partition, begins), AtOffset(other, until) if partition == other and begins > until:
                    raise ValueError(f"{partition}:{until} is before {partition}:{begins}, where it begins")
                case AtTime(begins), AtTime(until) if begins > until:
                    raise ValueError("that is before the time at which it begins")
                case _:
                    pass


def ranges_of(reader: TopicReader, starts: Sequence[Start], ends: Sequence[Start]) -> dict[int, Range]:
    """The range of each partition that is asked for.

    Offsets choose their partitions: with any, only the partitions that are named in either list are asked for. What a
    list says nothing about begins at the beginning, and ends at the end.

    Args:
        reader: made with :class:`topics.reading.positions.Beginning`; its spans are the whole topic as it is now.
        starts: see :func:`require_bounds`; empty: the beginning.
        ends: likewise; empty: the end.

    Raises:
        ContractError: a partition or an offset that is not there.
    """
    named = {bound.partition for bound in (*starts, *ends) if isinstance(bound, AtOffset)}
    for partition in sorted(named - set(reader.spans)):
        raise ContractError(
            f"{reader.topic} has no partition {partition} to be read here: there are "
            f"{', '.join(map(str, sorted(reader.spans)))}"
        )
    chosen = {partition: reader.spans[partition] for partition in sorted(named or reader.spans)}
    begin = _offsets(reader, starts, {partition: span.start for partition, span in chosen.items()})
    until = _offsets(reader, ends, {partition: span.end for partition, span in chosen.items()})
    return {
        partition: Range(span.start, min(begin[partition], until[partition]), until[partition])
        for partition, span in chosen.items()
    }


def _offsets(reader: TopicReader, bounds: Sequence[Start], default: Mapping[int, int]) -> dict[int, int]:
    found = dict(default)
    for bound in bounds:
        match bound:
            case AtOffset(partition=partition, offset=offset):
                _require_offset(reader, partition, offset)
                found[partition] = offset
            case AtTime(milliseconds=milliseconds):
                found |= {part: at for part, at in reader.offsets_at(milliseconds).items() if part in found}
            case Beginning():
                found = {partition: reader.spans[partition].start for partition in found}
            case End():
                found = {partition: reader.spans[partition].end for partition in found}
    return found


def _require_offset(reader: TopicReader, partition: int, offset: int) -> None:
    span: Span = reader.spans[partition]
    if not span.start <= offset <= span.end:
        raise ContractError(
            f"{reader.topic} has no offset {offset} in partition {partition}: the first is {span.start}, the next to "
            f"come is {span.end}"
        )
