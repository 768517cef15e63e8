"""Bad input by kind: bytes that no worker can fold, and the defect that the dead letter names.

Each holds the canary where a value may stand: it must come back in the dead letter's value and nowhere else.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from models.errors import Defect
from tests.workloads import to_json
from topics.reading import Record

CANARY = "CANARY-7f3a90"
"""Looked for in logs and headers; no other test writes it."""


BAD_KEY = b"bad "
"""What the keys of bad records begin with, so that a checker knows them."""


class Bad(NamedTuple):
    """One bad record."""

    value: bytes | None
    defect: Defect


def _event(**changes: Any) -> bytes:
    event = {
        "event_id": "bad",
        "application_id": "bad",
        "execution_id": "bad-1",
        "processor": "device_fingerprint",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
        "output": {"factors": {"f_device": CANARY}},
    } | changes
    return to_json({name: value for name, value in event.items() if value is not ...})


def _with_factor(text: str) -> bytes:
    return _event(output={"factors": {"f": "here"}}).replace(b'"here"', text.encode())


BAD_INPUTS: dict[str, Bad] = {
    "invalid UTF-8": Bad(_event().replace(b"bad-1", b"\xff\xfe"), Defect.INVALID_UTF8),
    "truncated": Bad(_event()[:-3], Defect.INVALID_JSON),
    "text": Bad(CANARY.encode(), Defect.INVALID_JSON),
    "byte-order mark": Bad(b"\xef\xbb\xbf" + _event(), Defect.INVALID_JSON),
    "trailing text": Bad(_event() + b"x", Defect.INVALID_JSON),
    "NaN": Bad(_with_factor("NaN"), Defect.INVALID_JSON),
    "Infinity, nested": Bad(_event(ignored=[{"here": 1}]).replace(b"1}]", b"-Infinity}]"), Defect.INVALID_JSON),
    "empty": Bad(b"", Defect.EMPTY),
    "an array": Bad(b"[" + _event() + b"]", Defect.NOT_AN_OBJECT),
    "null as JSON": Bad(b"null", Defect.NOT_AN_OBJECT),
    "1e999": Bad(_with_factor("1e999"), Defect.NUMBER_LIMIT),
    "an integer of 4,000 digits": Bad(_with_factor("9" * 4_000), Defect.NUMBER_LIMIT),
    "too deep": Bad(
        _event(ignored=0).replace(b'"ignored":0', b'"ignored":' + b"[" * 100 + b"]" * 100), Defect.TOO_DEEP
    ),
    "a key twice": Bad(_event()[:-1] + b',"status":"failed"}', Defect.DUPLICATE_KEY),
    "attempt as text": Bad(_event(attempt="1"), Defect.INVALID_FIELD),
    "attempt as a boolean": Bad(_event(attempt=True), Defect.INVALID_FIELD),
    "attempt 0": Bad(_event(attempt=0), Defect.INVALID_FIELD),
    "attempt 1.0": Bad(_event(attempt="here").replace(b'"here"', b"1.0"), Defect.INVALID_FIELD),
    "no application": Bad(_event(application_id=...), Defect.MISSING_FIELD),
    "an empty execution id": Bad(_event(execution_id=""), Defect.INVALID_FIELD),
    "an unknown status": Bad(_event(status="exploded"), Defect.UNKNOWN_STATUS),
    "a newer schema": Bad(_event(schema_version=99), Defect.UNKNOWN_SCHEMA_VERSION),
    "a time without offset": Bad(_event(occurred_at="2025-03-03T09:00:00"), Defect.INVALID_TIME),
    "an impossible date": Bad(_event(occurred_at="2025-02-30T09:00:00Z"), Defect.INVALID_TIME),
    "the far future": Bad(_event(occurred_at="9999-01-01T00:00:00Z"), Defect.FAR_FUTURE),
    "an output that is a list": Bad(_event(output=[CANARY]), Defect.INVALID_OUTPUT),
    "a factor that is a list": Bad(_event(output={"factors": {"f": [CANARY]}}), Defect.INVALID_OUTPUT),
    "a factor that is an object": Bad(_event(output={"factors": {"f": {"g": CANARY}}}), Defect.INVALID_OUTPUT),
    "too large": Bad(_event(ignored="x" * 300_000), Defect.TOO_LARGE),
    "a tombstone without a canonical key": Bad(None, Defect.TOMBSTONE_KEY),
}


def bad_positions(source: Iterable[Record]) -> frozenset[tuple[int, int]]:
    """Where in the source the bad records are: partition and offset."""
    return frozenset((record.partition, record.offset) for record in source if (record.key or b"").startswith(BAD_KEY))
