"""Ranges of offsets, as users write them: offsets of single partitions, times, the beginning, the end.

As with Kafka's end offsets, a range includes its start and excludes its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import ContractError
from topics.reading.positions import AtOffset, AtTime, Beginning, End, Span, Start
from topics.reading.reader import TopicReader

__all__ = ["Range", "ranges_of", "require_bounds", "require_order"]


@dataclass(frozen=True, slots=True)
class Range:
    """The requested range of one partition.

    Attributes:
        first: the first offset that the topic still has.
        start: the first requested offset.
        end: the offset before which the range ends.
    """

    first: int
    start: int
    end: int

    @property
    def since(self) -> int:
        """The start for published records: 0 if the range starts at the first offset, to include older causes."""
        return 0 if self.start <= self.first else self.start


def require_bounds(bounds: Sequence[Start]) -> None:
    """Refuse several bounds, unless all are offsets of different partitions.

    Raises:
        ValueError: the message lists the valid forms.
    """
    if len(bounds) <= 1:
        return
    places = [bound for bound in bounds if isinstance(bound, AtOffset)]
    if len(places) < len(bounds) or len({place.partition for place in places}) < len(places):
        raise ValueError("if it is given several times, each has to be PARTITION:OFFSET, with different partitions")


def require_order(starts: Sequence[Start], ends: Sequence[Start]) -> None:
    """Refuse a range that ends before it begins: it would be empty, which the user cannot have meant.

    Raises:
        ValueError: the message names both ends.
    """
    for start in starts:
        for end in ends:
            match start, end:
                case AtOffset(partition, begins), AtOffset(other, until) if partition == other and begins > until:
                    raise ValueError(f"{partition}:{until} is before the start, {partition}:{begins}")
                case AtTime(begins), AtTime(until) if begins > until:
                    raise ValueError("the end is before the start")
                case _:
                    pass


def ranges_of(reader: TopicReader, starts: Sequence[Start], ends: Sequence[Start]) -> dict[int, Range]:
    """The range of each requested partition.

    If there are offsets, only the partitions that they name are requested. Without a start, a range begins at the
    beginning; without an end, it ends at the end.

    Args:
        reader: made with :class:`topics.reading.positions.Beginning`; its spans are the whole topic as it is now.
        starts: see :func:`require_bounds`; empty: the beginning.
        ends: see :func:`require_bounds`; empty: the end.

    Raises:
        ContractError: a partition or an offset does not exist.
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
