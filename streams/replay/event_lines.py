"""Lifecycle events from JSON Lines: each line decoded as strictly as a record of the topic is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from models.errors import BadEventError
from models.events import LifecycleEvent
from topics.records.decoding import decode_event

__all__ = ["BadLine", "EventLine", "read_event_lines"]


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


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no lifecycle event.

    Attributes:
        number: counted from 1, blank lines included.
        error: why; its message holds no values.
    """

    number: int
    error: BadEventError

    def __str__(self) -> str:
        """The line's number and the reason, for people."""
        return f"line {self.number}: {self.error.defect}: {self.error}"


def read_event_lines(lines: Iterable[bytes], *, max_event_bytes: int) -> Iterator[EventLine | BadLine]:
    """Decode every line that is not blank.

    Args:
        lines: the lines, with or without line ends.
        max_event_bytes: a longer line is bad.
    """
    for number, line in enumerate(lines, 1):
        raw = line.rstrip(b"\r\n")
        if not raw.strip():
            continue
        try:
            yield EventLine(number, raw, decode_event(raw, max_bytes=max_event_bytes))
        except BadEventError as error:
            yield BadLine(number, error)
