"""Lifecycle events as a producer writes them: one JSON object, decimal numbers digit by digit."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

__all__ = ["event_line"]

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def event_line(*, occurred_at: datetime, **fields: Any) -> bytes:
    """One event as a line of JSON without its line end.

    Args:
        occurred_at: with its offset from UTC; written in UTC with milliseconds, as most producers do.
        fields: the other fields, in the order in which they are to be written.
    """
    text = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _ENCODER.encode({**fields, "occurred_at": text})
