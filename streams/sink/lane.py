"""What was read of one partition, and how far its next cut may go: no database and no client.

A cut at N has every event before N, every change with a version before N, and every dead letter of a record before N.
How far that may be is told by three things that were read at different moments, see :meth:`Lane.frontier`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from consolidator.records import FactorChange
from models.errors import ContractError
from streams.audit.published import change_of
from topics.reading.progress import Published
from topics.records.dead_letter_format import DeadLetter, parse_dead_letter
from topics.records.erasures import ERASURE_PREFIX
from topics.records.record import Record

__all__ = ["Change", "Cursor", "Cut", "Lane", "Letter", "most_waiting"]

_WAITING_RECORDS: Final = 32_000
"""How many records of a topic wait in memory at most, of all partitions together: some 150 MiB with the changes."""

_LEAST_WAITING: Final = 2_000
"""And of one partition at least: reading pauses until half are gone."""

_RULESET: Final = "ruleset"
"""The cause of a change that comes of another ruleset's adoption."""


class Cursor(NamedTuple):
    """How far a partition's rows go in each of its topics: the next offset of each."""

    next: int
    changes: int
    letters: int


class Change(NamedTuple):
    """A record of ``factor-changes``; ``change`` is None where it is a tombstone."""

    record: Record
    change: FactorChange | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of the dead letters' topic; ``letter`` is None where it is a tombstone or a mark."""

    record: Record
    letter: DeadLetter | None


@dataclass(frozen=True, slots=True)
class Cut:
    """From one cut to the next.

    Attributes:
        partition: the partition.
        before: where its rows are.
        after: where they will be.
        events: of the records between, each that is no dead letter.
        refused: of the records between, each that is one.
        changes: what was published of them.
        letters: what the dead letters' topic has of them.
        record_time_ms: the broker's time of the last record; None: there is none.
        times: each time of the broker that is later than all before it in the cut, and the first offset that has it.
    """

    partition: int
    before: Cursor
    after: Cursor
    events: Sequence[Record]
    refused: Sequence[Record]
    changes: Sequence[Change]
    letters: Sequence[Letter]
    record_time_ms: int | None
    times: Sequence[tuple[int, int]]

    @property
    def erasure(self) -> Record | None:
        """The record that erases an application, or lifts that: it is alone in its cut."""
        first = self.events[0] if self.events else None
        return first if first is not None and _erases(first) else None


@dataclass(slots=True)
class Lane:
    """One partition.

    Attributes:
        partition: which one.
        at: where its rows are, once everything is written that was handed over.
        events_end: every record of ``executions`` before it was read.
        changes_end: likewise, of ``factor-changes``.
        letters_end: likewise, of the dead letters.
        bound: the latest one; None: nothing is known of the worker yet. No cut takes what is at or behind it, in any of
            the topics.
        exact: the bound is the place of other rows, to which these come exactly: offsets without a record are not moved
            over.
        written: where its rows are.
    """

    partition: int
    at: Cursor
    events_end: int = 0
    changes_end: int = 0
    letters_end: int = 0
    bound: Published | None = None
    exact: bool = False
    events: deque[Record] = field(default_factory=deque)
    changes: deque[Change] = field(default_factory=deque)
    letters: deque[Letter] = field(default_factory=deque)
    written: Cursor = field(init=False)
    _last_version: int = -1
    _last_letter: int = -1
    # Of each cut that was handed over and is not known to be written: its end, and its first record's time.
    _under_way: deque[tuple[int, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.written = self.at

    def take_change(self, record: Record) -> None:
        """Take a record of ``factor-changes``, in the order of the topic.

        Raises:
            ContractError: it is none, or its version is before an earlier one's: the topics were begun anew.
        """
        change = None if record.value is None else change_of(record)
        if change is not None:
            version = change.version.offset
            least = max(self._last_version, self.at.next)
            if change.version.partition != self.partition or version < least:
                raise ContractError(
                    f"{record.topic} partition {record.partition} offset {record.offset}: a change of version "
                    f"{change.version.partition}:{version}, where one of at least {self.partition}:{least} is to come: "
                    "the topics were consolidated anew. Use another database"
                )
            self._last_version = version
        self.changes.append(Change(record, change))

    def take_letter(self, record: Record, source_topic: str) -> None:
        """Take a record of the dead letters' topic, in the order of the topic; those of other topics are left out."""
        letter = parse_dead_letter(record)
        if letter is not None and (letter.topic, letter.partition) != (source_topic, self.partition):
            return
        if letter is not None:
            self._last_letter = max(self._last_letter, letter.offset)
        self.letters.append(Letter(record, letter))

    @property
    def is_done(self) -> bool:
        """Whether everything that is known of the worker was handed over to be written."""
        return self.bound is None or self.at.next >= self.bound.consolidated

    @property
    def is_through(self) -> bool:
        """Whether everything before the bound was read."""
        bound = self.bound
        return bound is not None and (
            self.events_end >= bound.consolidated
            and self.changes_end >= bound.changes
            and self.letters_end >= bound.letters
        )

    def frontier(self) -> int:
        """Before which offset everything was read.

        1. Nothing behind what the worker had consolidated when it was asked; but offsets at which there is no record
           (markers, what was aborted) have nothing to be consolidated, up to the next record or to where reading is.
        2. The events that were read.
        3. The changes: all of them, once the position has come to the high watermark that was asked for *after* 1; a
           committed transaction's records lie below it, even where its marker is not there yet. Until then those before
           the last change's version, as they come in the order of their versions.
        4. The dead letters, likewise.
        """
        bound = self.bound
        if bound is None:
            return self.at.next
        consolidated = self._first_record_from(bound.consolidated)
        changes = consolidated if self.changes_end >= bound.changes else self._last_version
        letters = consolidated if self.letters_end >= bound.letters else self._last_letter
        return max(self.at.next, min(consolidated, self.events_end, changes, letters))

    def _first_record_from(self, offset: int) -> int:
        """The first record at or behind an offset, if it was read; else where reading is, or the offset itself."""
        if self.exact or self.events_end <= offset:
            return offset
        # Records that wait come in order: mostly the last one is before the offset, or few are behind it.
        first = self.events_end
        for event in reversed(self.events):
            if event.offset < offset:
                break
            first = event.offset
        return first

    def next_cut(self, most_records: int) -> Cut | None:
        """The next cut; None: nothing is known that the rows do not show.

        Args:
            most_records: events in one cut.
        """
        end = self.frontier()
        taken: list[Record] = []
        for event in self.events:
            if event.offset >= end:
                break
            is_erasure = _erases(event)
            if len(taken) == most_records or (taken and is_erasure):
                end = event.offset
                break
            taken.append(event)
            if is_erasure:
                end = event.offset + 1
                break
        changes = self._changes_before(end)
        letters = self._letters_before(end)
        if end == self.at.next and not changes and not letters:
            return None
        after = Cursor(end, self._changes_position(changes), self._letters_position(letters))
        bad = {one.letter.offset for one in letters if one.letter is not None}
        events = [event for event in taken if event.offset not in bad] if bad else taken
        return Cut(
            self.partition,
            self.at,
            after,
            events,
            [event for event in taken if event.offset in bad] if bad else (),
            changes,
            letters,
            taken[-1].timestamp_ms if taken else None,
            _times(taken),
        )

    @property
    def oldest_ms(self) -> int | None:
        """The broker's time of the first record that was read and not written; None: there is none. From any thread."""
        try:
            return self._under_way[0][1]
        except IndexError:
            pass
        try:
            return self.events[0].timestamp_ms
        except IndexError:
            return None

    def has_written(self, cut: Cut) -> None:
        """A cut's rows are in the database."""
        while self._under_way and self._under_way[0][0] <= cut.after.next:
            self._under_way.popleft()
        self.written = cut.after

    def moved(self, cut: Cut) -> None:
        """The rows are, or will be, at a cut's end."""
        self.at = cut.after
        if cut.times:
            self._under_way.append((cut.after.next, cut.times[0][0]))
        while self.events and self.events[0].offset < cut.after.next:
            self.events.popleft()
        for _ in cut.changes:
            self.changes.popleft()
        for _ in cut.letters:
            self.letters.popleft()

    def _changes_before(self, end: int) -> list[Change]:
        """Changes with a version before an offset; at the cut itself those of an adoption that is under way there."""
        found: list[Change] = []
        for one in self.changes:
            if one.change is not None:
                version = one.change.version.offset
                going_over = version == end == self.at.next and one.change.cause.status == _RULESET
                if version >= end and not going_over:
                    break
            if self.bound is not None and one.record.offset >= self.bound.changes:
                break
            found.append(one)
        return found

    def _letters_before(self, end: int) -> list[Letter]:
        found: list[Letter] = []
        for one in self.letters:
            if one.letter is not None and one.letter.offset >= end:
                break
            if self.bound is not None and one.record.offset >= self.bound.letters:
                break
            found.append(one)
        return found

    def _changes_position(self, taken: Sequence[Change]) -> int:
        """Where ``factor-changes`` is read on: at the first record not taken, or where reading is, or the bound."""
        read = self.changes[len(taken)].record.offset if len(taken) < len(self.changes) else self.changes_end
        bound = self.at.changes if self.bound is None else self.bound.changes
        return max(self.at.changes, min(read, bound))

    def _letters_position(self, taken: Sequence[Letter]) -> int:
        read = self.letters[len(taken)].record.offset if len(taken) < len(self.letters) else self.letters_end
        bound = self.at.letters if self.bound is None else self.bound.letters
        return max(self.at.letters, min(read, bound))


def most_waiting(lanes: int) -> int:
    """How many records of one topic may wait in memory, of one of so many partitions."""
    return max(_LEAST_WAITING, _WAITING_RECORDS // max(1, lanes))


def _times(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Each time that is later than all before it, and the first offset that has it."""
    found: list[tuple[int, int]] = []
    latest = -1
    for record in records:
        if record.timestamp_ms > latest:
            latest = record.timestamp_ms
            found.append((latest, record.offset))
    return found


def _erases(record: Record) -> bool:
    key = record.key
    return key is not None and key.startswith(ERASURE_PREFIX) and record.value is not None
