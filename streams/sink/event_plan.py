"""What the records of one cut make of ``lifecycle_events``, net: as if each had been written in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.errors import BadEventError
from models.events import LifecycleEvent
from streams.partition.state.erased_events import erased_hash
from streams.partition.tombstones import tombstone_of
from streams.sink.rows import Row, event_row
from topics.contract.keys import application_prefix, partition_of
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.decoding import decode_event
from topics.records.erasures import ERASURE_PREFIX, Erasure, salted_hash
from topics.records.record import Record

__all__ = ["ErasedIds", "EventPlan", "plan_events"]

_CONTROL: Final = (ERASURE_PREFIX, ADOPTION_PREFIX)

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
    for record in records:
        if record.value is None:
            _plan_tombstone(plan, record, partition, partitions, erased)
        elif record.key is None or not record.key.startswith(_CONTROL):
            event = _decoded(record, record.value, max_event_bytes)
            if event is None:
                continue
            prefix = application_prefix(event.application_id)
            if prefix + event.event_id.encode() != record.key or erased.holds(prefix):
                continue
            if partition_of(event.application_id, partitions) == partition:
                plan.insert(event_row(event, partition, record.offset))
    return plan


def _decoded(record: Record, value: bytes, max_event_bytes: int) -> LifecycleEvent | None:
    try:
        return decode_event(value, max_bytes=max_event_bytes, recorded_at=record.timestamp_ms * 1000)
    except BadEventError:
        return None


def _plan_tombstone(plan: EventPlan, record: Record, partition: int, partitions: int, erased: ErasedIds) -> None:
    try:
        tombstone = tombstone_of(record, partition, partitions, lambda *_: True)
    except BadEventError:
        return
    if tombstone is None or tombstone.home != partition or erased.holds(application_prefix(tombstone.application_id)):
        return
    plan.erase(tombstone.application_id, tombstone.event_id)
