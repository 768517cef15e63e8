"""The list of a topic's dead letters, without their bytes: positions, reasons and states.

All of this is in the topic itself. A letter is *redriven* when its mark comes after it, and *came back* when its source
record was put there by a redrive and is bad again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from consolidator.source_records import ERASURE_HEADER
from models.errors import ContractError
from topics.reading.positions import Span
from topics.reading.reader import TopicReader
from topics.records.dead_letter_format import Original, marked_letter, parse_dead_letter
from topics.records.record import Record

__all__ = ["Listed", "Place", "State", "list_letters", "require_place"]

Place = tuple[int, int]
"""Partition and offset in the dead letters' topic."""


class State(StrEnum):
    """The state of a dead letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    CAME_BACK = "came_back"


@dataclass(frozen=True, slots=True)
class Listed:
    """One dead letter without its bytes.

    Attributes:
        place: where it stands in the dead letters' topic.
        timestamp_ms: when the broker took it, milliseconds since the epoch.
        key: its key, which names its source record.
        source_topic: the source record's topic.
        source_partition: the source record's partition.
        source_offset: the source record's offset.
        error_class: the defect.
        message: the defect in words.
        size: bytes of the original value; None: it had none.
        redrive_of: the key of the earlier dead letter from which a redrive made the source record; None: no redrive
            did.
        is_redriven: a mark says that it was put back into the source.
        original: where the content is, if the letter was too large to hold it.
    """

    place: Place
    timestamp_ms: int
    key: bytes
    source_topic: str
    source_partition: int
    source_offset: int
    error_class: str
    message: str
    size: int | None
    redrive_of: str | None
    is_redriven: bool = False
    original: Original | None = None

    @property
    def state(self) -> State:
        """Whether the letter is open, was redriven, or came back."""
        if self.is_redriven:
            return State.REDRIVEN
        return State.OPEN if self.redrive_of is None else State.CAME_BACK


def list_letters(
    records: Iterable[Record], *, wanted: Callable[[Record], bool] = lambda _: True
) -> tuple[list[Listed], list[Place]]:
    """List the dead letters among records that reach to the end of their partitions.

    Args:
        records: of the dead letters' topic, in the order of each partition.
        wanted: which of the letters to list.

    Returns:
        The letters in their order, and the places of other records that are no dead letters.
    """
    letters: dict[bytes, Listed] = {}
    strangers: list[Place] = []
    for record in records:
        marked = marked_letter(record)
        if marked is None:
            _list(record, wanted, letters, strangers)
        elif marked in letters:
            letters[marked] = replace(letters[marked], is_redriven=True)
    return sorted(letters.values(), key=lambda letter: letter.place), strangers


def _list(
    record: Record, wanted: Callable[[Record], bool], letters: dict[bytes, Listed], strangers: list[Place]
) -> None:
    letter, key = parse_dead_letter(record), record.key
    if letter is None and record.value is None and any(name == ERASURE_HEADER for name, _ in record.headers):
        # An erasure's tombstone, perhaps of a letter that compaction has removed already.
        letters.pop(key or b"", None)
    elif letter is None or key is None:
        strangers.append((record.partition, record.offset))
    elif wanted(record):
        letters[key] = Listed(
            (record.partition, record.offset),
            record.timestamp_ms,
            key,
            letter.topic,
            letter.partition,
            letter.offset,
            letter.error_class,
            letter.message,
            _size(record, letter.original),
            letter.redrive_of,
            original=letter.original,
        )


def _size(record: Record, original: Original | None) -> int | None:
    if original is not None:
        return original.value_bytes
    return None if record.value is None else len(record.value)


def require_place(reader: TopicReader, topic: str, place: Place) -> None:
    """Raise unless the topic may have a record at that place.

    Raises:
        ContractError: it was removed by retention, or the place does not exist.
    """
    partition, offset = place
    span = reader.spans.get(partition)
    if span is None:
        raise ContractError(f"{topic} has no partition {partition}: its partitions are 0 to {max(reader.spans)}")
    if offset < span.start:
        raise ContractError(
            f"{topic} has no record at {partition}:{offset} any more: its retention has ended. "
            f"{_edges(partition, span)}"
        )
    if offset >= span.end:
        raise ContractError(f"{topic} has no record at {partition}:{offset} yet. {_edges(partition, span)}")


def _edges(partition: int, span: Span) -> str:
    if span.start == span.end:
        return f"Partition {partition} is empty"
    return f"Partition {partition} goes from {span.start} to {span.end - 1}"
