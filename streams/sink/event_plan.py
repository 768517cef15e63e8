"""What the records of one cut make of ``lifecycle_events``, net: as if each had been written in turn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from consolidator.keys import application_prefix, partition_of
from models.events import LifecycleEvent
from streams.partition.record_kinds import Edge, Tombstone
from streams.partition.ruleset_switches import NoSwitches
from streams.partition.state.erased_events import erased_hash
from streams.sink.rows import Row, event_row
from topics.records.erasure_authority import NoErasure
from topics.records.erasures import Erasure, salted_hash
from topics.records.record import Record

__all__ = ["ErasedIds", "EventPlan", "plan_events"]

_EVENT_ID: Final = 3
"""Where the event's id stands in a row of ``lifecycle_events``."""

_KEYS: Final = 5
"""How many columns the primary key of ``lifecycle_events`` has; they come first."""


class ErasedIds:
    """Which applications of a partition are erased as a whole.

    Args:
        erased: salt and hash of each.
    """

    def __init__(self, erased: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._hashes: dict[bytes, set[bytes]] = {}
        for salt, digest in erased:
            self._hashes.setdefault(salt, set()).add(digest)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._hashes)

    def holds(self, prefix: bytes) -> bool:
        """Whether an application is erased, by what its keys start with."""
        return any(salted_hash(salt, prefix) in hashes for salt, hashes in self._hashes.items())

    def follow(self, erasure: Erasure) -> None:
        """Note that an application is erased, or that this is lifted."""
        hashes = self._hashes.setdefault(erasure.salt, set())
        if erasure.lifted:
            hashes.discard(erasure.hash)
        else:
            hashes.add(erasure.hash)
        if not hashes:
            del self._hashes[erasure.salt]


@dataclass(slots=True)
class EventPlan:
    """Rows to insert and to delete.

    Attributes:
        inserts: rows of ``lifecycle_events``, in the order of their keys: one page of an index after the other.
        copies: rows of further copies of these, in the order of the log.
        erased: application and event of each tombstone.
        others: records that are no events of the application whose key they have.
    """

    inserts: list[Row] = field(default_factory=list)
    copies: list[Row] = field(default_factory=list)
    erased: set[tuple[str, str]] = field(default_factory=set)
    others: list[Record] = field(default_factory=list)

    def hashes(self, partition: int) -> list[Row]:
        """The rows of ``erased_events``."""
        return [(application, erased_hash(event).hex(), partition) for application, event in sorted(self.erased)]


def plan_events(
    records: Sequence[Record], *, partition: int, partitions: int, max_event_bytes: int, erased: ErasedIds
) -> EventPlan:
    """Plan the records of a cut that have no dead letters.

    What cannot be decoded is skipped as well: its dead letter may be gone already.

    Args:
        records: in order; none of them erases an application.
        partition: where they stand.
        partitions: how many there are.
        max_event_bytes: larger events are dead letters.
        erased: the applications that are erased.
    """
    first: dict[Row, Row] = {}
    copies: list[Row] = []
    gone: set[tuple[str, str]] = set()
    others: list[Record] = []
    kinds, _ = Edge(partition, partitions, max_event_bytes).classified(records, NoSwitches(), NoErasure())
    some_erased = bool(erased)
    for record, kind in zip(records, kinds, strict=True):
        if isinstance(kind, LifecycleEvent):
            if some_erased and erased.holds(application_prefix(kind.application_id)):
                continue
            row = event_row(kind, record)
            if first.setdefault(row[:_KEYS], row) is not row:
                copies.append(row)
            continue
        others.append(record)
        if (
            isinstance(kind, Tombstone)
            and _is_home(kind, partition, partitions)
            and not erased.holds(application_prefix(kind.application_id))
        ):
            gone.add((kind.application_id, kind.event_id))
    rows: Iterable[Row] = first.values()
    if gone:
        # Before its tombstone or after it, an event of this cut is no row.
        rows = (row for row in rows if (row[0], row[_EVENT_ID]) not in gone)
        copies = [row for row in copies if (row[0], row[_EVENT_ID]) not in gone]
    return EventPlan(sorted(rows), copies, gone, others)


def _is_home(tombstone: Tombstone, partition: int, partitions: int) -> bool:
    """Whether a tombstone stands where its event is at home, which is not known yet of one whose ids are too long."""
    return not tombstone.is_too_long or partition_of(tombstone.application_id, partitions) == partition
