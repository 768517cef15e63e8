"""One good event, and the decoder's result for changed copies of it."""

import json

import pytest

from models.errors import BadEventError
from topics.records.decoding import decode_event

EVENT = {
    "application_id": "app",
    "execution_id": "e1",
    "processor": "bank_statement",
    "status": "completed",
    "occurred_at": "2025-03-03T09:00:00Z",
    "output": {"factors": {"f_revenue_monthly": 10000}},
    "event_id": "evt-1",
}
# 2025-03-03T09:00:00Z in microseconds.
NINE = 1_740_992_400_000_000
LIMIT = 10_000
ABSENT = object()


def raw_of(**changes):
    return json.dumps({name: value for name, value in (EVENT | changes).items() if value is not ABSENT}).encode()


def read(raw=None, **changes):
    return decode_event(raw_of(**changes) if raw is None else raw, max_bytes=LIMIT)


def refusal(raw=None, **changes):
    with pytest.raises(BadEventError) as caught:
        read(raw, **changes)
    return caught.value.defect


def message(raw=None, **changes):
    with pytest.raises(BadEventError) as caught:
        read(raw, **changes)
    return str(caught.value)


def with_text(name, text):
    """The event with the given text for one member."""
    return raw_of(**{name: "@"}).replace(b'"@"', text.encode())
