"""Dead letters: what a record of ``executions.dlq`` carries besides the untouched original.

The value and the headers are the source record's own. Its key moves into a header, because the dead letter's key is
where the source record stands: a replay adds no second letter. All added headers start with ``dlq_``; their times are
the source record's, so that a worker's wrong clock changes nothing.

A redrive (:mod:`streams.operations.redrive`) leaves a second kind of record: the *mark* of a dead letter, whose key is
the letter's and ``/redriven``. It stands in the letter's partition and after it, so that retention takes the letter
first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import BadEventError, ContractError
from models.events import rfc3339
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION

__all__ = [
    "CLASS",
    "FORMAT",
    "HEADER_PREFIX",
    "KEY",
    "MARK_VALUE",
    "MESSAGE",
    "OFFSET",
    "PARTITION",
    "REDRIVE_OF",
    "TIME",
    "TIMESTAMP",
    "TOPIC",
    "DeadLetter",
    "Header",
    "dead_letter_headers",
    "mark_key",
    "marked_letter",
    "parse_dead_letter",
    "redriven_headers",
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

FORMAT = "dlq_format"
"""The last header of a letter of any format but the first, which has no such header: the format's number."""

_KNOWN_FORMAT = 1

_SHOWN_CHARACTERS = 20
"""Of a format that is not known."""

REDRIVE_OF = "dlq_redrive_of"
"""On a record that was put back into the source: the key of the dead letter that it was."""

MARK_VALUE = b"redriven"
"""Not null: the dead letters' topic is compacted, and a null would go long before the letter that it marks."""

_ADDED = (TOPIC, PARTITION, OFFSET, TIMESTAMP, TIME, KEY, CLASS, MESSAGE)
_MARK_SUFFIX = b"/redriven"

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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, taken apart.

    Attributes:
        topic: the source topic.
        partition: the source partition, which is the dead letter's own as well.
        offset: the source offset.
        timestamp_ms: the source record's timestamp, milliseconds since the epoch.
        key: the source record's key.
        headers: the source record's headers.
        error_class: the defect, as :class:`models.errors.Defect` spells it.
        message: the defect in words.
        redrive_of: the key of the dead letter that a redrive had put back as this source record; None: it was the
            producer's own.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[Header, ...]
    error_class: str
    message: str
    redrive_of: str | None


def parse_dead_letter(record: Record) -> DeadLetter | None:
    """Take a record of the dead letters' topic apart; None: it is none of our dead letters.

    What is ours is known by its place at the end: a producer may have sent a header of any name.

    Raises:
        ContractError: a later version has written it.
    """
    if record.headers and record.headers[-1][0] == FORMAT:
        raise ContractError(
            f"{record.topic} partition {record.partition} offset {record.offset}: a dead letter of format "
            f"{_text(record.headers[-1][1])[:_SHOWN_CHARACTERS]!r}, this program knows {_KNOWN_FORMAT}: {LATER_VERSION}"
        )
    own = record.headers[-len(_ADDED) :]
    if tuple(name for name, _ in own) != _ADDED:
        return None
    added = dict(own)
    numbers = [added[name] or b"" for name in (PARTITION, OFFSET, TIMESTAMP)]
    if not all(number.isdigit() for number in numbers):
        return None
    partition, offset, timestamp_ms = map(int, numbers)
    original = record.headers[: -len(_ADDED)]
    return DeadLetter(
        topic=_text(added[TOPIC]),
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=added[KEY],
        headers=original,
        error_class=_text(added[CLASS]),
        message=_text(added[MESSAGE]),
        redrive_of=_text(original[-1][1]) if original and original[-1][0] == REDRIVE_OF else None,
    )


def redriven_headers(letter: DeadLetter, letter_key: bytes) -> list[Header]:
    """The headers with which a dead letter goes back into the source: the producer's, then whose redrive it is."""
    headers = letter.headers if letter.redrive_of is None else letter.headers[:-1]
    return [*headers, (REDRIVE_OF, letter_key)]


def mark_key(letter_key: bytes) -> bytes:
    """The key of the mark that says of a dead letter that it was redriven."""
    return letter_key + _MARK_SUFFIX


def marked_letter(record: Record) -> bytes | None:
    """The key of the dead letter that a mark is for; None: the record is no mark."""
    key = record.key or b""
    return key.removesuffix(_MARK_SUFFIX) if key.endswith(_MARK_SUFFIX) and record.value == MARK_VALUE else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
