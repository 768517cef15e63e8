"""The lifecycle event of an execution, as the core sees it: validated, typed, in UTC microseconds.

The wire form is read by :mod:`topics.records.decoding`. An instance of this type is always valid.
"""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final

from mypy_extensions import mypyc_attr

from models.numbers import Scalar
from models.values import Value

__all__ = [
    "ALL_ATTEMPTS",
    "EPOCH",
    "MAX_MICROS",
    "MIN_MICROS",
    "LifecycleEvent",
    "Position",
    "Status",
    "micros_of",
    "rfc3339",
]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC; its text is wanted without an offset
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000
# Formatted seconds are cached: events of one second are mostly folded together, and a cache hit takes a tenth of the
# time.
_CACHED_SECONDS: Final = 4_096

MIN_MICROS: Final = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND
MAX_MICROS: Final = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - EPOCH) // _MICROSECOND

ALL_ATTEMPTS: Final = None
"""The attempt of a ``superseded`` or ``cancelled`` event that names none: it closes every attempt."""


class Status(IntEnum):
    """What happened to an execution. The numbers are wire tags of the state rows: never reuse one."""

    REQUESTED = 1
    STARTED = 2
    COMPLETED = 3
    FAILED = 4
    SUPERSEDED = 5
    CANCELLED = 6

    @property
    def text(self) -> str:
        """The status on the wire of the topics: ``completed`` and so on."""
        return _STATUS_TEXTS[self]


_STATUS_TEXTS: Final = {status: status.name.lower() for status in Status}


@mypyc_attr(acyclic=True)
class LifecycleEvent(Value):
    """One thing that happened to one execution of one processor, for one application.

    Attributes:
        application_id: the loan application.
        execution_id: the execution, unique within its application and processor.
        processor: the processor's name; one that the catalogue does not know is legal.
        status: what happened.
        attempt: 1, 2, …; :data:`ALL_ATTEMPTS` only on ``superseded`` and ``cancelled``.
        sequence: the producer's counter within the execution, or -1 where it gave none.
        occurred_at: microseconds since 1970-01-01T00:00:00Z.
        factors: what a ``completed`` execution found; null values still in; empty on any other status.
        code: the error code of a ``failed`` execution.
        supersedes: the execution that this one replaces.
        event_id: the event's identity: a re-publication has the same one.
        digest: SHA-256 of the canonical content.
        output_ignored: the event has an output, but its status allows none: a quality issue.
        near_misses: members of a completed event that look like its factors but are not read: each is a quality issue.
    """

    __slots__ = (
        "application_id",
        "attempt",
        "code",
        "digest",
        "event_id",
        "execution_id",
        "factors",
        "near_misses",
        "occurred_at",
        "output_ignored",
        "processor",
        "sequence",
        "status",
        "supersedes",
    )

    def __init__(
        self,
        application_id: str,
        execution_id: str,
        processor: str,
        status: Status,
        attempt: int | None,
        sequence: int,
        occurred_at: int,
        factors: dict[str, Scalar | None],
        code: str | None,
        supersedes: str | None,
        event_id: str,
        digest: bytes,
        output_ignored: bool = False,  # noqa: FBT001, FBT002 - a field
        near_misses: tuple[str, ...] = (),
    ) -> None:
        self.application_id: Final = application_id
        self.execution_id: Final = execution_id
        self.processor: Final = processor
        self.status: Final = status
        self.attempt: Final = attempt
        self.sequence: Final = sequence
        self.occurred_at: Final = occurred_at
        self.factors: Final = factors
        self.code: Final = code
        self.supersedes: Final = supersedes
        self.event_id: Final = event_id
        self.digest: Final = digest
        self.output_ignored: Final = output_ignored
        self.near_misses: Final = near_misses


@mypyc_attr(acyclic=True)
class Position(Value):
    """Where a record stands in Kafka."""

    __slots__ = ("offset", "partition", "topic")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
    ) -> None:
        self.topic: Final = topic
        self.partition: Final = partition
        self.offset: Final = offset


def micros_of(moment: datetime) -> int:
    """A time with an offset as microseconds since the epoch."""
    return (moment - EPOCH) // _MICROSECOND


def rfc3339(micros: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, always with six decimals: texts sort like times."""
    seconds, fraction = divmod(micros, _SECOND)
    return f"{_second_text(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=_CACHED_SECONDS)
def _second_text(seconds: int) -> str:
    return (_NAIVE_EPOCH + timedelta(0, seconds)).isoformat("T", "seconds")
