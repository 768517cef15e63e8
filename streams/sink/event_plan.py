"""What the records of one cut make of ``lifecycle_events``, net: as if each had been written in turn."""

from collections.abc import Sequence
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


class ErasedIds:
    """Which applications of a partition are erased as a whole.

    Args:
        erased: salt and hash of each.
    """

    def __init__(self, erased: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._hashes: dict[bytes, set[bytes]] = {}
        for salt, digest in erased:
            self._hashes.setdefault(salt, set()).add(digest)

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
        inserts: rows of ``lifecycle_events``, by their keys.
        erased: application and event of each tombstone.
    """

    inserts: dict[tuple[str, ...], Row] = field(default_factory=dict)
    erased: dict[tuple[str, str], None] = field(default_factory=dict)
    _copies: dict[tuple[str, str], list[tuple[str, ...]]] = field(default_factory=dict)

    def insert(self, row: Row) -> None:
        """One more event, unless a tombstone in the same cut came before it."""
        event = (row[0], row[_EVENT_ID])
        key = row[: _EVENT_ID + 2]
        if event in self.erased or key in self.inserts:
            return
        self.inserts[key] = row
        self._copies.setdefault(event, []).append(key)

    def erase(self, application_id: str, event_id: str) -> None:
        """A tombstone."""
        event = (application_id, event_id)
        self.erased[event] = None
        for key in self._copies.pop(event, ()):
            del self.inserts[key]

    def hashes(self, partition: int) -> list[Row]:
        """The rows of ``erased_events``."""
        return [(application, erased_hash(event).hex(), partition) for application, event in self.erased]


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
    plan = EventPlan()
    kinds, _ = Edge(partition, partitions, max_event_bytes).classified(records, NoSwitches(), NoErasure())
    for record, kind in zip(records, kinds, strict=True):
        if isinstance(kind, LifecycleEvent):
            if not erased.holds(application_prefix(kind.application_id)):
                plan.insert(event_row(kind, partition, record.offset))
        elif (
            isinstance(kind, Tombstone)
            and _is_home(kind, partition, partitions)
            and not erased.holds(application_prefix(kind.application_id))
        ):
            plan.erase(kind.application_id, kind.event_id)
    return plan


def _is_home(tombstone: Tombstone, partition: int, partitions: int) -> bool:
    """Whether a tombstone stands where its event is at home, which is not known yet of one whose ids are too long."""
    return not tombstone.is_too_long or partition_of(tombstone.application_id, partitions) == partition
