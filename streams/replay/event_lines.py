"""Lifecycle events from JSON Lines: each line decoded as strictly as a record of the topic is."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from models.errors import BadEventError
from models.events import LifecycleEvent
from topics.records.decoding import decode_event

__all__ = ["BadLine", "EventLine", "read_event_lines"]

_SHOWN: Final = frozenset(
    {
        "schema_version",
        "status",
        "application_id",
        "execution_id",
        "processor",
        "occurred_at",
        "attempt",
        "sequence",
        "supersedes",
        "event_id",
    }
)
"""Members whose value helps to find the mistake. ``output`` is not among them, as it has factors, nor ``error``, as it
has free text."""

_LONGEST_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class EventLine:
    """A good line.

    Attributes:
        number: counted from 1, blank lines included.
        raw: the line's bytes without its line end.
        event: the event.
    """

    number: int
    raw: bytes
    event: LifecycleEvent

    @property
    def content(self) -> tuple[LifecycleEvent, bytes]:
        """The event and its bytes."""
        return self.event, self.raw


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no lifecycle event.

    Attributes:
        number: counted from 1, blank lines included.
        error: why; its message holds no values.
        value: the value of the member that the message names, quoted and cut; "": it would not help. Never a factor's.
    """

    number: int
    error: BadEventError
    value: str = ""

    def __str__(self) -> str:
        """The line's number and the reason, for people."""
        return f"line {self.number}: {self.error.defect}: {self._message()}"

    def members(self) -> dict[str, object]:
        """The line's number and the reason, as members of a JSON object."""
        return {"line": self.number, "error_class": self.error.defect.value, "message": self._message()}

    def _message(self) -> str:
        return f"{self.error}: it is {self.value}" if self.value else str(self.error)


def read_event_lines(
    lines: Iterable[bytes], *, max_event_bytes: int, recorded_at: int | None = None
) -> Iterator[EventLine | BadLine]:
    """Decode every line that is not blank.

    Args:
        lines: the lines, with or without line ends.
        max_event_bytes: a longer line is bad.
        recorded_at: when they will become records; see :func:`~topics.records.decoding.decode_event`.
    """
    for number, line in enumerate(lines, 1):
        raw = line.rstrip(b"\r\n")
        if not raw.strip():
            continue
        try:
            yield EventLine(number, raw, decode_event(raw, max_bytes=max_event_bytes, recorded_at=recorded_at))
        except BadEventError as error:
            yield BadLine(number, error, _value(raw, str(error).partition(" ")[0]))


def _value(raw: bytes, member: str) -> str:
    """The value of a member of an event, if it may be shown; "": the member is missing."""
    if member not in _SHOWN:
        return ""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    # In a structured CloudEvent, the event is the member ``data``.
    for place in (body, body.get("data")) if isinstance(body, dict) else ():
        if isinstance(place, dict) and place.get(member) is not None:
            text = json.dumps(place[member], ensure_ascii=True)
            return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return ""
