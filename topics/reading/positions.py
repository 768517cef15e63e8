"""Where in a topic reading starts, as people write it, and where it ends: an edge, a time, an offset."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The earliest record of every partition."""


@dataclass(frozen=True, slots=True)
class End:
    """Only what arrives from now on."""


@dataclass(frozen=True, slots=True)
class AtTime:
    """In every partition, the first record whose timestamp is at or after a time."""

    milliseconds: int
    """Since the epoch, never negative: Kafka gives negative timestamps other meanings."""


@dataclass(frozen=True, slots=True)
class AtOffset:
    """One partition only, from an offset on."""

    partition: int
    offset: int


Start: TypeAlias = Beginning | End | AtTime | AtOffset


def parse_start(text: str) -> Start:
    """Read ``beginning``, ``end``, ``PARTITION:OFFSET``, or an RFC 3339 time with its offset from UTC.

    Raises:
        ValueError: for anything else, saying what is possible.
    """
    if text == "beginning":
        return Beginning()
    if text == "end":
        return End()
    if place := _OFFSET.fullmatch(text):
        return AtOffset(int(place[1]), int(place[2]))
    if _TIME.fullmatch(text):
        return AtTime(_milliseconds_of(text))
    raise ValueError(
        f"{text!r} is none of: beginning; end; a time such as 2026-03-01T09:30:00Z or 2026-03-01T09:30:00+01:00 "
        "(the offset from UTC is needed); PARTITION:OFFSET such as 2:1500"
    )


def parse_moment(text: str) -> int:
    """Read an RFC 3339 time with its offset from UTC as microseconds since the epoch.

    Raises:
        ValueError: for anything else, saying what is possible.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(
            f"{text!r} is no time such as 2026-03-01T09:30:00Z or 2026-03-01T09:30:00+01:00 (the offset from UTC is "
            "needed)"
        )
    return _since_epoch(text) // _MICROSECOND


def _since_epoch(text: str) -> timedelta:
    try:
        return datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def _milliseconds_of(text: str) -> int:
    after = _since_epoch(text)
    # Rounded up: Kafka keeps milliseconds, and nothing from before the given time is wanted.
    return max(0, -(-after // _MILLISECOND))


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of one partition that are to be read: from ``start`` up to, and without, ``end``."""

    start: int
    end: int
