"""Bytes to lifecycle events: validated once, here at the edge; inside, types are trusted.

The payload decides: CloudEvents binary-mode headers carry nothing that the payload does not, and are not read.
A structured-mode CloudEvent is accepted as well: its ``data``, or what its ``data_base64`` holds, is the event.

The *canonical content* of an event is the JSON array of ``"event/1"``, application id, execution id, processor, status
(as in :class:`models.events.Status`), attempt, sequence, ``occurred_at`` in microseconds, the factors sorted by name as
pairs of name and canonical text, error code and supersedes; null where there is none, defaults filled in, no white
space. Two spellings of one event have one content; its SHA-256 is the id of an event that brings none.

A *near miss* is a member of a completed event that looks like its factors and is not read: ``factor``, ``factors`` or
``outputs`` beside ``output``, and ``factor`` inside of it. Other unknown members are ignored.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec

from models.errors import BadEventError, Defect
from models.events import LifecycleEvent, Status
from models.lengths import MAX_ID_BYTES, MAX_NAME_BYTES, MAX_TIME_BYTES, WIDEST_CHARACTER, fits, too_long
from models.numbers import Scalar, scalar_text
from topics.records.cloudevents import is_structured, structured_data
from topics.records.json_strict import parse_object
from topics.records.times import time_micros

__all__ = ["FAR_FUTURE_MICROS", "MAX_COUNTER", "SCHEMA_VERSION", "decode_event"]

SCHEMA_VERSION: Final = 1
"""The newest version of the event's schema that this code knows."""

MAX_COUNTER: Final = 2**31 - 1
"""Greatest ``attempt`` and ``sequence``: a 32-bit integer in every language that may read the changes."""

FAR_FUTURE_MICROS: Final = 24 * 3600 * 1_000_000
"""How far ``occurred_at`` may lie after the record's own timestamp: clocks err by hours, never by a day."""

_CANONICAL_FORM: Final = "event/1"
"""The first element of the canonical content, so that a later form cannot be confused with this one."""

_encode: Final = msgspec.json.Encoder().encode
_STATUSES: Final = {status.text: status for status in Status}
_CLOSING: Final = (Status.SUPERSEDED, Status.CANCELLED)
# Until Python 3.12, access to a member of an enumeration takes as long as three calls.
_COMPLETED: Final = Status.COMPLETED
_FAILED: Final = Status.FAILED
_NO_FACTORS: dict[str, Scalar | None] = {}
_NO_NEAR_MISSES: Final[tuple[str, ...]] = ()
_SHORT: Final = MAX_NAME_BYTES // WIDEST_CHARACTER
"""A text of up to this many characters fits every limit but a time's, which is checked where a time is read."""


def decode_event(raw: bytes, *, max_bytes: int, recorded_at: int | None = None) -> LifecycleEvent:
    """Decode and validate one lifecycle event.

    Args:
        raw: the record's value.
        max_bytes: a larger value is refused, unread.
        recorded_at: the record's own timestamp in microseconds, which ``occurred_at`` may exceed by 24 hours; None for
            files, where nothing is checked.

    Raises:
        BadEventError: with the defect and a message that names the field, never its value.
    """
    if len(raw) > max_bytes:
        raise BadEventError(Defect.TOO_LARGE, f"the value has {len(raw)} bytes, the limit is {max_bytes}")
    body = parse_object(raw)
    # Checked here, too, because hardly any event has it, and a call takes longer than the check.
    if "specversion" in body and is_structured(body):
        body = structured_data(body)
    get = body.get
    _check_schema_version(get("schema_version"))
    status = _status(get("status"))
    application_id = _required(body, "application_id", MAX_ID_BYTES)
    execution_id = _required(body, "execution_id", MAX_ID_BYTES)
    processor = _required(body, "processor", MAX_NAME_BYTES)
    occurred_at = time_micros(_required(body, "occurred_at", MAX_TIME_BYTES))
    if recorded_at is not None and occurred_at - recorded_at > FAR_FUTURE_MICROS:
        raise BadEventError(Defect.FAR_FUTURE, "occurred_at is more than 24 h after the record's timestamp")
    attempt = _counter("attempt", get("attempt"), 1)
    if attempt is None and status not in _CLOSING:
        attempt = 1
    sequence = _counter("sequence", get("sequence"), 0)
    output = get("output")
    factors, near_misses = _NO_FACTORS, _NO_NEAR_MISSES
    if status is _COMPLETED:
        factors = _factors(output)
        if "factors" in body or "outputs" in body or "factor" in body or (output is not None and "factor" in output):
            near_misses = _near_misses(body, output)
    code = _error_code(get("error")) if status is _FAILED else None
    supersedes = _optional(body, "supersedes", MAX_ID_BYTES)
    event_id = _optional(body, "event_id", MAX_ID_BYTES)
    digest = sha256(
        _encode(
            (
                _CANONICAL_FORM,
                application_id,
                execution_id,
                processor,
                status,
                attempt,
                sequence,
                occurred_at,
                _canonical_factors(factors),
                code,
                supersedes,
            )
        )
    )
    return LifecycleEvent(
        application_id,
        execution_id,
        processor,
        status,
        attempt,
        -1 if sequence is None else sequence,
        occurred_at,
        factors,
        code,
        supersedes,
        digest.hexdigest() if event_id is None else event_id,
        digest.digest(),
        output is not None and status is not _COMPLETED,
        near_misses,
    )


def _canonical_factors(factors: dict[str, Scalar | None]) -> list[tuple[str, str | None]]:
    if not factors:
        return []
    return [(name, None if (value := factors[name]) is None else scalar_text(value)) for name in sorted(factors)]


def _check_schema_version(version: Any) -> None:
    if version is None or (version == SCHEMA_VERSION and type(version) is int):
        return
    if type(version) is not int:
        raise BadEventError(Defect.INVALID_FIELD, "schema_version is not an integer")
    if version < 1:
        raise BadEventError(Defect.UNKNOWN_SCHEMA_VERSION, "schema_version starts at 1")
    raise BadEventError(
        Defect.UNKNOWN_SCHEMA_VERSION, f"schema_version is newer than {SCHEMA_VERSION}, the newest known"
    )


def _status(text: Any) -> Status:
    if text is None:
        raise BadEventError(Defect.MISSING_FIELD, "status is missing")
    status = _STATUSES.get(text) if type(text) is str else None
    if status is None:
        raise BadEventError(Defect.UNKNOWN_STATUS, f"status is none of {', '.join(_STATUSES)}")
    return status


def _required(body: dict[str, Any], name: str, limit: int) -> str:
    value = body.get(name)
    # Checked before the call, as in the next two functions: nearly all texts are short, and a call takes longer.
    if type(value) is str and value and (len(value) <= _SHORT or fits(value, limit)):
        return value
    raise _text_defect(name, value, limit)


def _optional(body: dict[str, Any], name: str, limit: int) -> str | None:
    value = body.get(name)
    if value is None or (type(value) is str and value and (len(value) <= _SHORT or fits(value, limit))):
        return value
    raise _text_defect(name, value, limit)


def _text_defect(name: str, value: Any, limit: int) -> BadEventError:
    if value is None:
        return BadEventError(Defect.MISSING_FIELD, f"{name} is missing")
    if type(value) is not str:
        return BadEventError(Defect.INVALID_FIELD, f"{name} is not a string")
    if not value:
        return BadEventError(Defect.INVALID_FIELD, f"{name} is empty")
    return too_long(name, value, limit)


def _counter(name: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    # Not isinstance, because True is an int in Python. 1.0 arrives as a Decimal.
    if type(value) is not int:
        raise BadEventError(Defect.INVALID_FIELD, f"{name} is not an integer")
    if not least <= value <= MAX_COUNTER:
        raise BadEventError(Defect.INVALID_FIELD, f"{name} is not between {least} and {MAX_COUNTER}")
    return value


def _factors(output: Any) -> dict[str, Scalar | None]:
    if output is None:
        return _NO_FACTORS
    if type(output) is not dict:
        raise BadEventError(Defect.INVALID_OUTPUT, "output is not a JSON object")
    factors = output.get("factors")
    if factors is None:
        return _NO_FACTORS
    if type(factors) is not dict:
        raise BadEventError(Defect.INVALID_OUTPUT, "output.factors is not a JSON object")
    for name, value in factors.items():
        if type(value) is dict or type(value) is list:
            raise BadEventError(Defect.INVALID_OUTPUT, "a factor in output.factors is a list or an object")
        if len(name) > _SHORT and not fits(name, MAX_NAME_BYTES):
            raise too_long("the name of a factor in output.factors", name, MAX_NAME_BYTES)
    return factors


def _near_misses(body: dict[str, Any], output: dict[str, Any] | None) -> tuple[str, ...]:
    found = [name for name in ("factor", "factors", "outputs") if body.get(name) is not None]
    if output is not None and output.get("factor") is not None:
        found.append("output.factor")
    return tuple(found)


def _error_code(error: Any) -> str | None:
    if error is None:
        return None
    if type(error) is not dict:
        raise BadEventError(Defect.INVALID_FIELD, "error is not a JSON object")
    code = error.get("code")
    if code is not None and type(code) is not str:
        raise BadEventError(Defect.INVALID_FIELD, "error.code is not a string")
    if code is not None and not fits(code, MAX_NAME_BYTES):
        raise too_long("error.code", code, MAX_NAME_BYTES)
    return code
