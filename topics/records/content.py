"""The content of a record of any topic and any producer: its payload, the event inside, a header."""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from models.errors import BadEventError
from topics.records.cloudevents import is_structured, structured_data
from topics.records.record import Record

__all__ = ["event_of", "last_header", "payload_of"]

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def payload_of(record: Record) -> dict[str, Any] | None:
    """The record's value if it is a JSON object, decimals exact; None for anything else, tombstones included."""
    if record.value is None:
        return None
    try:
        record.value.decode()
        return _OBJECT.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation):
        # InvalidOperation is raised for an exponent that even Decimal cannot hold.
        return None


def event_of(payload: dict[str, Any]) -> dict[str, Any]:
    """The event inside a structured-mode CloudEvent; any other payload is the event itself."""
    if not is_structured(payload):
        return payload
    try:
        return structured_data(payload)
    except BadEventError:
        return payload


def last_header(record: Record, name: str) -> bytes | None:
    """The last header of a name: Kafka allows a name several times, and this program adds its headers at the end."""
    return next((value for header, value in reversed(record.headers) if header == name), None)
