"""What a topic has about an application: which records are its own, and until when their bytes remain."""

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
    """Whose a record is."""

    OTHERS = auto()
    ITS = auto()
    MENTIONED = auto()
    """It does not say; the application's id stands in it by itself, so it is taken for the application's."""
    UNCLEAR = auto()
    """It does not say; the application's id is a part of something longer in it, so it is not."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when the bytes of what was erased remain in a topic.

    Attributes:
        settings: the topic's, by Kafka's names.
    """

    settings: Mapping[str, str]

    @property
    def earliest(self) -> timedelta:
        """Before this time after the erasure nothing is removed: records have to be so old, in a closed segment."""
        return timedelta(milliseconds=int(self.settings["min.compaction.lag.ms"]))

    @property
    def latest(self) -> timedelta | None:
        """After this time the cleaner has to be at work, once the segment is closed; None: no limit is set."""
        limit = int(self.settings["max.compaction.lag.ms"])
        return None if limit >= _NEVER else timedelta(milliseconds=limit)

    def __str__(self) -> str:
        """For people: from when on, and what to set to shorten it."""
        earliest = (datetime.now(UTC) + self.earliest).strftime("%Y-%m-%d")
        limit = "no limit: max.compaction.lag.ms is not set" if self.latest is None else f"{self.latest} at most"
        return (
            f"bytes remain until {earliest} at least (min.compaction.lag.ms {self.settings['min.compaction.lag.ms']}), "
            f"then until the cleaner has been there ({limit}); never in the segment that is being written "
            f"(segment.ms {self.settings['segment.ms']}, segment.bytes {self.settings['segment.bytes']})"
        )


@dataclass
class Holding:
    """What one topic has about the application.

    Attributes:
        topic: the topic's full name.
        retention: until when bytes remain.
        records: records with a value.
        keys: by partition, the keys under which they stand; those whose last record is a tombstone are left out.
        mentioned: partition and offset of records that do not say whose they are: they are the application's because
            its id stands in them by itself.
        unclear: likewise, of records that are *not* taken for the application's: its id is a part of something longer.
    """

    topic: str
    retention: Retention
    records: int = 0
    keys: dict[int, set[bytes]] = field(default_factory=dict)
    mentioned: list[tuple[int, int]] = field(default_factory=list)
    unclear: list[tuple[int, int]] = field(default_factory=list)

    @property
    def standing(self) -> int:
        """Keys that a tombstone is still to be written for."""
        return sum(map(len, self.keys.values()))

    def take(self, record: Record, whose: Whose) -> None:
        """Count a record, if it is the application's; a tombstone takes away what stands under its key."""
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
    """Tells whose records are: by their key, by their payload, or by what stands in them.

    Args:
        application_id: the application.
    """

    def __init__(self, application_id: str) -> None:
        self._application_id = application_id
        self._prefix = application_prefix(application_id)
        # As producers do it that send all of an application to one partition.
        self._whole_key = application_id.encode()
        self._naming = Naming(application_id)

    def published(self, record: Record) -> Whose:
        """Whose a published record is: a worker publishes under the application's key."""
        return Whose.ITS if (record.key or b"").startswith(self._prefix) else Whose.OTHERS

    def source(self, record: Record) -> Whose:
        """Of a record of ``executions``: under one of its keys it is the application's, whatever it says.

        What it says is somebody else's has been published again under that one's key, or is a dead letter.
        """
        return Whose.ITS if (record.key or b"").startswith(self._prefix) else self._by_value(record, record.key)

    def dead_letter(self, record: Record) -> Whose:
        """Of a dead letter, which is the only copy of what it holds: what it says decides, and the key after that."""
        return self._by_value(record, last_header(record, dead_letter_format.KEY))

    def _by_value(self, record: Record, key: bytes | None) -> Whose:
        """1. What says whose it is. 2. Its canonical key. 3. Where neither does, the id as a string of its own."""
        if record.value is None:
            return Whose.OTHERS
        is_its_key = key is not None and key.startswith((self._prefix, self._whole_key))
        # Most values of others do not even have its id in them.
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
    """Until when bytes remain in a topic with these settings."""
    return Retention({name: settings[name].value for name in _RETENTION_SETTINGS if name in settings})
