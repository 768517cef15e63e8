"""A second decoder of lifecycle events, with which the product's decoder is compared.

Written from the table in docs/events.md and the limits, with the standard library alone, for clarity and not for speed.
"""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["is_event"]

MAX_DEPTH = 32
MAX_DIGITS = 38
MAX_COUNTER = 2**31 - 1
MAX_ID_BYTES = 512
MAX_NAME_BYTES = 256
MAX_TIME_BYTES = 64
DAY_S = 24 * 3600

_STATUSES = ("requested", "started", "completed", "failed", "superseded", "cancelled")
_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?([Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


class _BadError(Exception):
    """The bytes are no event."""


class _Number:
    """A number in its original spelling."""

    def __init__(self, text: str) -> None:
        self.text = text


def is_event(raw: bytes, *, max_bytes: int, recorded_ms: int) -> bool:
    """Whether the value of a record is a lifecycle event.

    Args:
        raw: the value.
        max_bytes: the greatest size of an event.
        recorded_ms: the record's timestamp, milliseconds since the epoch.
    """
    try:
        _require(len(raw) <= max_bytes)
        body = _parsed(raw)
        if "specversion" in body and {"data", "data_base64"} & {*body}:
            body = _data(body)
        _check_event(body, recorded_ms)
    except (_BadError, ValueError, RecursionError):
        return False
    return True


def _parsed(raw: bytes) -> dict[str, Any]:
    body = json.loads(
        raw.decode(), object_pairs_hook=_object, parse_int=_Number, parse_float=_Number, parse_constant=_constant
    )
    _check_values(body, 1)
    _require(isinstance(body, dict))
    return body


def _data(envelope: dict[str, Any]) -> dict[str, Any]:
    """The event in a structured CloudEvent: an object, or an object's JSON in base 64, and never both."""
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    _require((data is None) != (encoded is None))
    if encoded is not None:
        _require(isinstance(encoded, str))
        _require(re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?", encoded) is not None)
        return _parsed(base64.b64decode(encoded))
    _require(isinstance(data, dict))
    return data


def _require(condition: bool) -> None:  # noqa: FBT001 - an assertion that is part of the answer
    if not condition:
        raise _BadError


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _require(len({name for name, _ in pairs}) == len(pairs))
    return dict(pairs)


def _constant(_: str) -> None:
    raise _BadError


def _check_values(value: Any, depth: int) -> None:
    """Every text has a form in UTF-8, every number is within the limits, nothing is nested too deep."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, _Number):
        _check_number(value.text)
    elif isinstance(value, dict | list):
        _require(depth <= MAX_DEPTH)
        for child in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_values(child, depth + 1)


def _check_number(text: str) -> None:
    match = _NUMBER.fullmatch(text)
    _require(match is not None)
    whole, fraction, exponent = match.groups()
    written = whole + (fraction or "")
    digits = written.strip("0")
    if not digits:
        return
    _require(len(digits) <= MAX_DIGITS)
    _require(len(exponent or "") < MAX_DIGITS)
    # The decimal place of the last digit that is no zero.
    last = int(exponent or 0) - len(fraction or "") + len(written) - len(written.rstrip("0"))
    _require(last >= -MAX_DIGITS)
    _require(last + len(digits) - 1 <= MAX_DIGITS)


def _check_event(body: dict[str, Any], recorded_ms: int) -> None:
    for name in ("application_id", "execution_id", "processor"):
        _require(body.get(name) is not None)
    for name in ("application_id", "execution_id", "event_id", "supersedes"):
        _check_text(body.get(name), MAX_ID_BYTES)
    _check_text(body["processor"], MAX_NAME_BYTES)
    _require(body.get("status") in _STATUSES if isinstance(body.get("status"), str) else False)
    _check_counter(body.get("attempt"), 1, MAX_COUNTER)
    _check_counter(body.get("sequence"), 0, MAX_COUNTER)
    _check_counter(body.get("schema_version"), 1, 1)
    _check_time(body.get("occurred_at"), recorded_ms)
    if body["status"] == "completed":
        _check_output(body.get("output"))
    if body["status"] == "failed" and body.get("error") is not None:
        _require(isinstance(body["error"], dict))
        _require(isinstance(body["error"].get("code"), str | None))
        _require(len((body["error"].get("code") or "").encode()) <= MAX_NAME_BYTES)


def _check_text(value: Any, most: int) -> None:
    if value is not None:
        _require(isinstance(value, str))
        _require(1 <= len(value.encode()) <= most)


def _check_counter(value: Any, least: int, most: int) -> None:
    if value is not None:
        _require(isinstance(value, _Number))
        _require(least <= int(value.text) <= most)


def _check_output(output: Any) -> None:
    if output is None:
        return
    _require(isinstance(output, dict))
    factors = output.get("factors")
    if factors is not None:
        _require(isinstance(factors, dict))
        _require(not any(isinstance(value, dict | list) for value in factors.values()))
        _require(all(len(name.encode()) <= MAX_NAME_BYTES for name in factors))


def _check_time(text: Any, recorded_ms: int) -> None:
    _require(isinstance(text, str))
    _require(len(text.encode()) <= MAX_TIME_BYTES)
    match = _TIME.fullmatch(text)
    _require(match is not None)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    micros = int(((match[7] or "") + "000000")[:6])
    is_leap = second == 60
    # This raises for dates and times that do not exist.
    local = datetime(year, month, day, hour, minute, 59 if is_leap else second, micros, tzinfo=UTC)
    offset_s = 0
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        _require(hours <= 23 and minutes <= 59)
        offset_s = (hours * 3600 + minutes * 60) * (1 if match[9] == "+" else -1)
    seconds = (local - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() - offset_s
    if is_leap:
        _check_leap_second(int(seconds))
        seconds += 1
    first, end = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    _require(first.timestamp() <= seconds < end.timestamp() + 1)
    _require(seconds - recorded_ms / 1000 <= DAY_S)


def _check_leap_second(before: int) -> None:
    """The second before it ends a June or a December in UTC, and is not older than the first leap second."""
    _require(datetime(1972, 6, 30, 23, 59, 59, tzinfo=UTC).timestamp() <= before < 253402300799)
    after = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=before + 1)
    _require((after.month, after.day, after.hour, after.minute, after.second) in {(1, 1, 0, 0, 0), (7, 1, 0, 0, 0)})
