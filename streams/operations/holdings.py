"""A topic's records of an application, and how long their bytes remain after an erasure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from consolidator.keys import application_prefix, parse_event_key
from streams.operations.naming import Naming
from topics.contract.drift import Setting
from topics.records import dead_letter_format
from topics.records.content import last_header
from topics.records.record import Record

__all__ = ["Holding", "Retention", "Search", "Whose", "retention_of"]

_RETENTION_SETTINGS: Final = (
    "min.compaction.lag.ms",
    "max.compaction.lag.ms",
    "segment.ms",
    "segment.bytes",
    "min.cleanable.dirty.ratio",
    "delete.retention.ms",
)
_NEVER: Final = 9_223_372_036_854_775_807
"""Kafka's default for ``max.compaction.lag.ms``: no limit."""


class Whose(Enum):
    """How a record relates to the application."""

    OTHERS = auto()
    ITS = auto()
    MENTIONED = auto()
    """The record names no application, but has the id as a string of its own, so it counts as the application's."""
    UNCLEAR = auto()
    """The record names no application, and has the id only inside of a longer text, so it does not count."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the bytes of erased records remain in a topic.

    Attributes:
        settings: the topic's, by Kafka's names.
    """

    settings: Mapping[str, str]

    @property
    def earliest(self) -> timedelta:
        """The time after the erasure in which nothing is removed: records must be older, and in a closed segment."""
        return timedelta(milliseconds=int(self.settings["min.compaction.lag.ms"]))

    @property
    def latest(self) -> timedelta | None:
        """The time after which the log cleaner must run, once the segment is closed; None: there is no limit."""
        limit = int(self.settings["max.compaction.lag.ms"])
        return None if limit >= _NEVER else timedelta(milliseconds=limit)

    def __str__(self) -> str:
        """The times in words, and the settings that shorten them."""
        earliest = (datetime.now(UTC) + self.earliest).strftime("%Y-%m-%d")
        limit = "no limit: max.compaction.lag.ms is not set" if self.latest is None else f"{self.latest} at most"
        return (
            f"bytes remain until {earliest} at least (min.compaction.lag.ms {self.settings['min.compaction.lag.ms']}), "
            f"then until the cleaner has been there ({limit}); never in the segment that is being written "
            f"(segment.ms {self.settings['segment.ms']}, segment.bytes {self.settings['segment.bytes']})"
        )


@dataclass
class Holding:
    """The records of one topic about the application.

    Attributes:
        topic: the topic's full name.
        retention: until when bytes remain.
        records: records with a value.
        keys: by partition, the keys under which they stand; those whose last record is a tombstone are left out.
        mentioned: partition and offset of records that do not name their application. They count as this application's,
            because its id is in them as a string of its own.
        unclear: partition and offset of records that are *not* taken for the application's: its id is a part of a
            longer text.
    """

    topic: str
    retention: Retention
    records: int = 0
    keys: dict[int, set[bytes]] = field(default_factory=dict)
    mentioned: list[tuple[int, int]] = field(default_factory=list)
    unclear: list[tuple[int, int]] = field(default_factory=list)

    @property
    def standing(self) -> int:
        """The keys that still need a tombstone."""
        return sum(map(len, self.keys.values()))

    def take(self, record: Record, whose: Whose) -> None:
        """Count a record if it is the application's. A tombstone removes the earlier records under its key."""
        key = record.key or b""
        standing = self.keys.setdefault(record.partition, set())
        place = (record.partition, record.offset)
        if record.value is None:
            standing.discard(key)
        elif whose is Whose.UNCLEAR:
            self.unclear.append(place)
        elif whose is not Whose.OTHERS:
            self.records += 1
            standing.add(key)
            if whose is Whose.MENTIONED:
                self.mentioned.append(place)


class Search:
    """Decides whether records are the application's: by key, by payload, or by the text in them.

    Args:
        application_id: the application.
    """

    def __init__(self, application_id: str) -> None:
        self._application_id = application_id
        self._prefix = application_prefix(application_id)
        # A foreign key that producers use to send all events of an application to one partition.
        self._whole_key = application_id.encode()
        self._naming = Naming(application_id)

    def published(self, record: Record) -> Whose:
        """The owner of a published record, by its key."""
        return Whose.ITS if (record.key or b"").startswith(self._prefix) else Whose.OTHERS

    def source(self, record: Record) -> Whose:
        """The owner of a record of ``executions``: the application in its key, whatever its payload; else by payload.

        If the payload names another application, it was published again under that one's key, or is a dead letter.
        """
        return Whose.ITS if (record.key or b"").startswith(self._prefix) else self._by_value(record, record.key)

    def dead_letter(self, record: Record) -> Whose:
        """The owner of a dead letter, which is the only copy of its content: the payload decides, then the key."""
        return self._by_value(record, last_header(record, dead_letter_format.KEY))

    def _by_value(self, record: Record, key: bytes | None) -> Whose:
        """1. The application that the payload names. 2. The canonical key. 3. Else the id as a string of its own."""
        if record.value is None:
            return Whose.OTHERS
        is_its_key = key is not None and key.startswith((self._prefix, self._whole_key))
        # Quick check: most values of other applications do not contain the id at all.
        if not is_its_key and not self._naming.may_name(record.value):
            return Whose.OTHERS
        # 1.
        named = self._naming.names(record.value)
        if named is not None:
            return Whose.ITS if named else Whose.OTHERS
        # 2.
        identity = None if key is None else parse_event_key(key)
        if identity is not None and identity[0] == self._application_id:
            return Whose.ITS
        # 3.
        if identity is None and (key == self._whole_key or self._naming.mentions(record.value)):
            return Whose.MENTIONED
        return Whose.UNCLEAR if self._naming.is_part_of(record.value) else Whose.OTHERS


def retention_of(settings: Mapping[str, Setting]) -> Retention:
    """How long bytes remain in a topic with these settings."""
    return Retention({name: settings[name].value for name in _RETENTION_SETTINGS if name in settings})
