"""The findings of a verification: each difference with the offsets to look at, and counts of all records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Count", "Finding", "Kind", "PlaceInTopic"]


class Kind(StrEnum):
    """What is wrong with a record; the values are part of the command's JSON."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    ALTERED = "altered"
    DUPLICATE = "duplicate"
    MISPLACED = "misplaced"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class PlaceInTopic:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def members(self) -> Mapping[str, object]:
        """The members of its JSON form."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}

    def __str__(self) -> str:
        return f"{self.topic} partition {self.partition} offset {self.offset}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between what was published and what the source gives.

    Attributes:
        kind: what is wrong.
        topic: the topic that it is about: ``factor-changes`` or ``factors``.
        key: the record's key.
        application_id: the application; "" where it cannot be read.
        processor: the processor; "" where it cannot be read.
        published: where the published record stands; None where there is none.
        cause: the source record that caused it; None if it cannot be read.
        reason: the difference in words; names members, never their values.
    """

    kind: Kind
    topic: str
    key: bytes
    application_id: str
    processor: str
    published: PlaceInTopic | None
    cause: PlaceInTopic | None
    reason: str

    def members(self) -> Mapping[str, object]:
        """The members of its JSON form."""
        return {
            "kind": self.kind.value,
            "topic": self.topic,
            "partition": None if self.published is None else self.published.partition,
            "offset": None if self.published is None else self.published.offset,
            "key": self.key.decode(errors="backslashreplace"),
            "application_id": self.application_id,
            "processor": self.processor,
            "cause": None if self.cause is None else self.cause.members(),
            "reason": self.reason,
        }

    def __str__(self) -> str:
        """One line of text for people."""
        place = f"{self.topic}: nothing published" if self.published is None else str(self.published)
        whose = f" of {self.application_id} {self.processor}" if self.application_id else ""
        cause = "" if self.cause is None else f"; cause: {self.cause}"
        return f"{self.kind}: {place}{whose}: {self.reason}{cause}"


@dataclass
class Count:
    """The records of one topic, counted by the result of their comparison.

    Attributes:
        equal: the published record equals the replayed one, byte for byte.
        content: of ``factors``: outcome, factors and counts are equal; the cause of the last change is gone.
        unverifiable: the causing record, or an earlier one of the pair, is gone.
        erased: a tombstone erased the record.
        moved: of ``factors``: a later record, caused after the range, has replaced it.
        different: the records differ; there is a :class:`Finding` for each.
    """

    equal: int = 0
    content: int = 0
    unverifiable: int = 0
    erased: int = 0
    moved: int = 0
    different: int = 0
    gone: dict[int, int] = field(default_factory=dict)
    """By partition: the greatest offset of a causing record that is gone."""

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.members().values())

    def members(self) -> Mapping[str, int]:
        """The members of its JSON form."""
        return {
            "equal": self.equal,
            "equal_in_content": self.content,
            "unverifiable": self.unverifiable,
            "erased": self.erased,
            "moved_on": self.moved,
            "different": self.different,
        }
