"""Dead letters: what a record of ``executions.dlq`` carries besides the untouched original.

The value and the headers are the source record's own. Its key moves into a header, because the dead letter's key is
where the source record stands: a replay adds no second letter. All added headers start with ``dlq_``; their times are
the source record's, so that a worker's wrong clock changes nothing.
"""

from collections.abc import Sequence

from models.errors import BadEventError
from models.events import rfc3339

__all__ = [
    "CLASS",
    "HEADER_PREFIX",
    "KEY",
    "MESSAGE",
    "OFFSET",
    "PARTITION",
    "TIME",
    "TIMESTAMP",
    "TOPIC",
    "dead_letter_headers",
]

HEADER_PREFIX = "dlq_"

TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
TIMESTAMP = "dlq_timestamp"
TIME = "dlq_time"
KEY = "dlq_key"
CLASS = "dlq_error_class"
MESSAGE = "dlq_error_message"

Header = tuple[str, bytes | None]


def dead_letter_headers(
    error: BadEventError,
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    headers: Sequence[Header],
) -> list[Header]:
    """The headers of a dead letter: the original's, then ours.

    Args:
        error: why the record could not be folded; its message holds no values.
        topic: the source topic.
        partition: the source partition.
        offset: the source offset.
        timestamp_ms: the source record's timestamp, milliseconds since the epoch.
        key: the source record's key.
        headers: the source record's headers, kept as they are.
    """
    ours: list[Header] = [
        (TOPIC, topic.encode()),
        (PARTITION, str(partition).encode()),
        (OFFSET, str(offset).encode()),
        (TIMESTAMP, str(timestamp_ms).encode()),
        (TIME, rfc3339(timestamp_ms * 1000).encode()),
        (KEY, key),
        (CLASS, error.defect.value.encode()),
        (MESSAGE, str(error).encode()),
    ]
    return [*headers, *ours]
