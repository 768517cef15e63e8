"""The canary's applications and events: their names, which no real one can have, and their keys."""

import json
import secrets
from datetime import UTC, datetime
from typing import Final, NamedTuple

from consolidator.keys import change_key, event_key, partition_of
from models.events import Position
from models.rows import DIGEST_BYTES
from streams.core.change import Cause, change_id
from topics.records.decoding import decode_event

__all__ = ["APPLICATION_PREFIX", "FACTOR", "PROCESSOR", "CanaryEvent", "canary_event", "new_application"]

APPLICATION_PREFIX: Final = "consolidator-canary/"
"""The beginning of every application id of a canary. Subscribers may leave out what begins so."""

PROCESSOR: Final = "consolidator-canary"
"""No catalogue names it, so its factors are merged, and no rule of a catalogue applies to it."""

FACTOR: Final = "f_canary_round"

_RANDOM_BYTES: Final = 16
"""128 random bits: two ids that are equal do not come about."""

_MOST_BYTES: Final = 1_024
"""An event has some 350 bytes. No setting allows workers less than this."""


class CanaryEvent(NamedTuple):
    """The event of a round.

    Attributes:
        key: its key.
        value: its bytes.
        change: the key of the change that it makes. It follows from the event, so it is known before.
    """

    key: bytes
    value: bytes
    change: bytes


def new_application(partition: int, partitions: int) -> str:
    """The id of a new application whose events belong into a partition.

    Args:
        partition: the partition.
        partitions: how many partitions the topic has. So many ids are tried, on the average.
    """
    while True:
        application_id = f"{APPLICATION_PREFIX}{secrets.token_hex(_RANDOM_BYTES)}"
        if partition_of(application_id, partitions) == partition:
            return application_id


def canary_event(application_id: str, number: int, now: datetime) -> CanaryEvent:
    """The event of a round: one more attempt of the same execution, with another value of its only factor.

    So the row has one execution, a change lists one contributor, and each event makes a change.

    Args:
        application_id: the application.
        number: of the round, from 1.
        now: the time at which it is published.
    """
    value = json.dumps(
        {
            "application_id": application_id,
            "execution_id": "canary",
            "processor": PROCESSOR,
            "status": "completed",
            "attempt": number,
            "occurred_at": now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "output": {"factors": {FACTOR: number}},
            "event_id": f"round-{number}",
            "schema_version": 1,
        },
        separators=(",", ":"),
    ).encode()
    event = decode_event(value, max_bytes=_MOST_BYTES)
    cause = Cause(
        execution_id=event.execution_id,
        status=event.status.text,
        attempt=event.attempt,
        event_id=event.event_id,
        digest=event.digest[:DIGEST_BYTES],
        occurred_at=event.occurred_at,
        position=Position("", 0, 0),
    )
    change = change_key(application_id, change_id(cause, event.processor))
    return CanaryEvent(event_key(application_id, event.event_id), value, change)
