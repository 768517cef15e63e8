"""Start and end positions of reading a topic, as users write them: beginning or end, a time, an offset."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UTC_OFFSET: Final = re.compile(r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]")
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
        ValueError: for anything else; the message lists the valid forms.
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
        "(a time of day and the offset from UTC are needed); PARTITION:OFFSET such as 2:1500"
    )


def parse_moment(text: str) -> int:
    """Read an RFC 3339 time with its offset from UTC as microseconds since the epoch.

    Raises:
        ValueError: for anything else; the message lists the valid forms.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(
            f"{text!r} is no time such as 2026-03-01T09:30:00Z or 2026-03-01T09:30:00+01:00 (a time of day and the "
            "offset from UTC are needed)"
        )
    return _since_epoch(text) // _MICROSECOND


def parse_day(text: str) -> date | None:
    """Read a bare date, such as ``2026-03-01``; None: the text is no date.

    Raises:
        ValueError: the text looks like a date, but there is no such day.
    """
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from None


def parse_timezone(text: str) -> tzinfo:
    """Read the name of a time zone (IANA), ``UTC``, or an offset from it such as ``+01:00``.

    Raises:
        ValueError: for anything else; the message lists the valid forms.
    """
    if text in {"UTC", "Z"}:
        return UTC
    if _UTC_OFFSET.fullmatch(text):
        offset = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo
        return UTC if offset is None else offset
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{text!r} is no time zone that is known here: give UTC, an offset such as +01:00, or a name such as "
            "Europe/Berlin"
        ) from None


def end_of_day(day: date, zone: tzinfo) -> int:
    """The last microsecond of a day in a time zone, since the epoch.

    Raises:
        ValueError: the day ends outside of the years 1 to 9999.
    """
    try:
        midnight = datetime.combine(day + timedelta(days=1), time(), zone)
        return (midnight - _EPOCH) // _MICROSECOND - 1
    except OverflowError:
        raise ValueError(f"the end of {day.isoformat()} is outside of the years 1 to 9999") from None


def _since_epoch(text: str) -> timedelta:
    try:
        return datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def _milliseconds_of(text: str) -> int:
    after = _since_epoch(text)
    # Rounded up, because Kafka keeps milliseconds, and no record from before the given time must be read.
    return max(0, -(-after // _MILLISECOND))


@dataclass(frozen=True, slots=True)
class Span:
    """A range of one partition's offsets: from ``start`` up to ``end``, without ``end``."""

    start: int
    end: int


def offsets_text(first: int, end: int) -> str:
    """Offsets in words. As in Kafka's own end offsets, the end is the next offset, and is not included."""
    return f"offsets {first} to {end} (without {end})"
