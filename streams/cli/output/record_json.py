"""Kafka records for programs: one JSON object a line, numbers digit by digit as they were published."""

from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from consolidator.keys import parse_event_key
from models.errors import ContractError
from streams.runtime.escaping import escaped
from topics.records import dead_letter_format
from topics.records.content import event_of, last_header, payload_of
from topics.records.erasures import Erasure, entries_in
from topics.records.record import Record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER: Final = msgspec.json.Encoder()


def is_about(kind: str, record: Record, application_id: str) -> bool:
    """Whether a record is about an application. The payload decides; without one, the key does.

    Args:
        kind: executions, factor-changes, factors, dlq or erasures. An entry of erasures has no id, but a hash with
            which an id can be compared.
        record: the record.
        application_id: the requested application.
    """
    if kind == "erasures":
        return any(erasure.is_of(application_id) for _, erasure in readable_entries(record))
    payload = payload_of(record)
    if payload is not None:
        return bool(event_of(payload).get("application_id") == application_id)
    # A dead letter's own key is the position of its source record; the source record's key is in a header.
    key = last_header(record, dead_letter_format.KEY) if kind == "dlq" else record.key
    identity = parse_event_key(key) if key is not None else None
    return identity is not None and identity[0] == application_id


def readable_entries(record: Record) -> list[tuple[int, Erasure]]:
    """The erasures that a record of ``erasures`` confirms; empty: this version cannot read the record."""
    with suppress(ContractError):
        return [*entries_in(record)]
    return []


def json_line(record: Record) -> str:
    """The record as one line of JSON, with control characters escaped.

    A value that is a JSON object stands as it was published, digit by digit. Any other value, and every key and header,
    is a string: UTF-8 text, or ``base64:`` and the bytes. A tombstone's value is null.
    """
    fields = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": rfc3339_of(record.timestamp_ms),
        "key": text_of(record.key),
        "headers": [[name, text_of(value)] for name, value in record.headers],
        "value": _value(record),
    }
    return escaped(_ENCODER.encode(fields).decode())


def text_of(data: bytes | None) -> str | None:
    """Bytes as a string: UTF-8 text, or ``base64:`` and the bytes; None stays None."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + b64encode(data).decode()


def rfc3339_of(timestamp_ms: int) -> str:
    """A record's timestamp, milliseconds since the epoch, as RFC 3339 in UTC."""
    moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(record: Record) -> msgspec.Raw | str | None:
    if record.value is None or payload_of(record) is None:
        return text_of(record.value)
    # The JSON text is reformatted to one line, not decoded and encoded, so that a number keeps every digit.
    return msgspec.Raw(msgspec.json.format(record.value, indent=-1))
