"""CloudEvents 1.0: the ``ce_*`` headers of published records, and the event inside a structured CloudEvent.

On input the headers are optional and not read: the payload decides. See the CloudEvents Kafka protocol binding,
section 3.2. In structured mode the payload is an envelope; its ``data`` is the event, or its ``data_base64`` is the
event's JSON in base 64 (CloudEvents JSON format, section 3.1).
"""

from base64 import b64decode
from typing import Any, Final

from models.errors import BadEventError, Defect
from topics.records.json_strict import parse_object

__all__ = [
    "EXECUTION_TYPE_PREFIX",
    "change_headers",
    "cloudevent_headers",
    "factors_headers",
    "is_structured",
    "structured_data",
]

EXECUTION_TYPE_PREFIX: Final = "consolidator.execution."
"""Followed by the status: ``consolidator.execution.failed``."""

_CONTENT_TYPE: Final = ("content-type", b"application/json")
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
# Made only once, because there are two such records for nearly every event.
_SOURCE: Final = ("ce_source", b"/consolidator")
_CHANGE: Final = ("ce_type", b"consolidator.factor-change.v1")
_FACTORS: Final = ("ce_type", b"consolidator.factors.v1")


def cloudevent_headers(identity: bytes, event_type: bytes, source: bytes, subject: bytes) -> list[tuple[str, bytes]]:
    """The headers of one event.

    ``ce_time`` is left out: the payload has ``occurred_at``, and a wall clock would make replays differ.

    Args:
        identity: unique within the source.
        event_type: what happened, with the schema's version.
        source: the publisher.
        subject: the application.
    """
    return [
        _CONTENT_TYPE,
        _SPEC_VERSION,
        ("ce_id", identity),
        ("ce_type", event_type),
        ("ce_source", source),
        ("ce_subject", subject),
    ]


def change_headers(identity: bytes, subject: bytes) -> list[tuple[str, bytes]]:
    """The headers of a ``factor-changes`` record.

    Args:
        identity: the change's.
        subject: the application.
    """
    return [_CONTENT_TYPE, _SPEC_VERSION, ("ce_id", identity), _CHANGE, _SOURCE, ("ce_subject", subject)]


def factors_headers(identity: bytes, subject: bytes) -> list[tuple[str, bytes]]:
    """The headers of a ``factors`` record.

    Args:
        identity: of the change that led to it.
        subject: the application.
    """
    return [_CONTENT_TYPE, _SPEC_VERSION, ("ce_id", identity), _FACTORS, _SOURCE, ("ce_subject", subject)]


def is_structured(payload: dict[str, Any]) -> bool:
    """Whether a JSON object is the envelope of a structured-mode CloudEvent that has data."""
    return "specversion" in payload and ("data" in payload or "data_base64" in payload)


def structured_data(envelope: dict[str, Any]) -> dict[str, Any]:
    """The JSON object inside a structured-mode CloudEvent.

    Raises:
        BadEventError: there is none, or there are two; or what ``data_base64`` holds is no JSON object.
    """
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    if encoded is None:
        if type(data) is not dict:
            raise BadEventError(Defect.INVALID_FIELD, "data of the CloudEvent is not a JSON object")
        return data
    if data is not None:
        raise BadEventError(Defect.INVALID_FIELD, "the CloudEvent has both data and data_base64")
    if type(encoded) is not str:
        raise BadEventError(Defect.INVALID_FIELD, "data_base64 of the CloudEvent is not a string")
    try:
        raw = b64decode(encoded, validate=True)
    except ValueError:
        raise BadEventError(Defect.INVALID_FIELD, "data_base64 of the CloudEvent is not base 64") from None
    try:
        return parse_object(raw)
    except BadEventError as error:
        raise BadEventError(error.defect, f"data_base64 of the CloudEvent: {error}") from None
