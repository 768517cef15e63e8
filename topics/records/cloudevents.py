"""CloudEvents 1.0 in Kafka's binary mode: the ``ce_*`` headers of what we publish.

On input they are optional and not read: the payload decides. See the CloudEvents Kafka protocol binding, section 3.2.
"""

from typing import Final

__all__ = ["CHANGE_TYPE", "EXECUTION_TYPE_PREFIX", "FACTORS_TYPE", "SOURCE", "cloudevent_headers"]

SOURCE: Final = "/consolidator"
CHANGE_TYPE: Final = "consolidator.factor-change.v1"
FACTORS_TYPE: Final = "consolidator.factors.v1"
EXECUTION_TYPE_PREFIX: Final = "consolidator.execution."
"""Followed by the status: ``consolidator.execution.failed``."""

_CONTENT_TYPE: Final = ("content-type", b"application/json")
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")


def cloudevent_headers(identity: bytes, event_type: bytes, source: bytes, subject: bytes) -> list[tuple[str, bytes]]:
    """The headers of one event.

    ``ce_time`` is left out: the payload has ``occurred_at``, and a wall clock would make replays differ.

    Args:
        identity: unique within the source.
        event_type: what happened, with the schema's version.
        source: who says so.
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
