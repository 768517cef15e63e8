"""The timeline of an application: every source record under its keys, with its fate and the changes that it caused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from consolidator.keys import parse_event_key
from consolidator.records import FactorChange
from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from streams.audit.made_changes import published_form
from streams.partition.observer import FoldedEvent, Observer
from streams.partition.record_kinds import is_adoption, is_control
from streams.replay.application_log import ApplicationLog
from streams.rulesets.rule_book import RuleBook
from topics.contract.declared import Topics
from topics.records.record import Record

__all__ = ["Entry", "Fate", "timeline"]


class Fate(StrEnum):
    """The fate of a source record; the values are part of the command's JSON."""

    FOLDED = "folded"
    """An event, put into the state."""
    COPY = "copy"
    """An event that was in the state already."""
    TOMBSTONE = "tombstone"
    """Erases the event of its key."""
    ERASED = "erased"
    """An event that a tombstone had erased before: ignored."""
    ERASURE = "erasure"
    """Erases the whole application, or lifts its erasure."""
    RULESET = "ruleset"
    """Another ruleset is adopted."""
    REFUSED = "refused"
    """A dead letter."""
    REPUBLISHED = "published_again"
    """A record under a foreign key, which was published again under its canonical key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One source record.

    Attributes:
        record: the record.
        fate: how the fold treated it.
        event_id: the event's identity, or the key's.
        event: the event, where it was folded or is a copy.
        reason: why the record was refused; for an erasure, which records it hides. It names no values.
        changes: the changes that it caused: none, one, or several for a tombstone.
    """

    record: Record
    fate: Fate
    event_id: str
    event: LifecycleEvent | None
    reason: str
    changes: tuple[FactorChange, ...]


def timeline(log: ApplicationLog, topics: Topics, book: RuleBook, *, max_event_bytes: int) -> list[Entry]:
    """Every record of an application, in the order of the log.

    Args:
        log: the application's log.
        topics: the declared topics.
        book: the rules of every offset.
        max_event_bytes: larger events are dead letters.
    """
    fates = _Fates()
    replay = log.replay(topics, book, max_event_bytes=max_event_bytes, observer=fates)
    changes: dict[int, list[FactorChange]] = {}
    for replayed in replay.run(log.log, log.ranges):
        for made in replayed.folded.changes:
            changes.setdefault(made.offset, []).append(published_form(made))
    entries = [_entry(record, fates, tuple(changes.get(record.offset, ()))) for record in log.records]
    forgotten = log.forgotten
    if forgotten is None:
        return entries
    hides = f"{forgotten}: {log.hidden} records from before it are not shown"
    return [
        replace(entry, reason=hides) if entry.record.offset == forgotten.offset and not entry.reason else entry
        for entry in entries
        if entry.record.offset >= forgotten.offset
    ]


def _entry(record: Record, fates: "_Fates", changes: tuple[FactorChange, ...]) -> Entry:
    event = fates.events.get(record.offset)
    identity = parse_event_key(record.key or b"")
    event_id = event.event_id if event is not None else "" if identity is None else identity[1]
    reason = fates.refused.get(record.offset, "")
    if event is not None:
        fate = Fate.COPY if record.offset in fates.copies else Fate.FOLDED
    elif reason:
        fate = Fate.REFUSED
    elif record.offset in fates.again:
        fate = Fate.REPUBLISHED
    elif is_adoption(record.key):
        fate = Fate.RULESET
    elif is_control(record.key):
        fate = Fate.ERASURE
    else:
        fate = Fate.TOMBSTONE if record.value is None else Fate.ERASED
    return Entry(record, fate, event_id, event, reason, changes)


class _Fates(Observer):
    """Remembers the fate of each record, by its offset."""

    def __init__(self) -> None:
        self.events: dict[int, LifecycleEvent] = {}
        self.copies: set[int] = set()
        self.refused: dict[int, str] = {}
        self.again: set[int] = set()
        self._seen: set[tuple[str, bytes]] = set()

    def folded(self, events: Sequence[FoldedEvent]) -> None:
        """See :class:`Observer`."""
        for event, position, _, _ in events:
            self.events[position.offset] = event
            identity = (event.event_id, event.digest)
            if identity in self._seen:
                self.copies.add(position.offset)
            self._seen.add(identity)

    def rejected(self, position: Position, error: BadEventError) -> None:
        """See :class:`Observer`."""
        self.refused[position.offset] = f"{error.defect}: {error}"

    def republished(self, position: Position) -> None:
        """See :class:`Observer`."""
        self.again.add(position.offset)
