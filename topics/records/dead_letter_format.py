"""Dead letters: the headers of a record of ``executions.dlq`` besides its unchanged original.

The value and the headers are the source record's own. Its key moves into a header, because the dead letter's key is the
position of the source record, so that a replay adds no second letter. All added headers start with ``dlq_``; their
times are the source record's, so that a worker's wrong clock changes nothing.

A record whose key, value and headers together are larger than :data:`MAX_CONTENT_BYTES` stays where it is: its dead
letter has neither its value nor its headers, but the size and the SHA-256 of the value, which show whether the source
still has the same record. Its key is kept only if it is canonical, so that an erasure finds it.

A redrive (:mod:`streams.operations.redrive`) leaves a second kind of record: the *mark* of a dead letter, whose key is
the letter's and ``/redriven``. It is in the letter's partition, after the letter, so that retention removes the letter
first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from consolidator.keys import parse_event_key
from consolidator.source_records import DEAD_LETTER_CLASS, DEAD_LETTER_MESSAGE
from models.errors import BadEventError, ContractError
from models.events import rfc3339
from models.lengths import MAX_KEY_BYTES
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION

__all__ = [
    "CLASS",
    "FORMAT",
    "HEADER_PREFIX",
    "KEY",
    "MARK_VALUE",
    "MAX_CONTENT_BYTES",
    "MESSAGE",
    "OFFSET",
    "PARTITION",
    "REDRIVE_OF",
    "TIME",
    "TIMESTAMP",
    "TOPIC",
    "VALUE_BYTES",
    "VALUE_SHA256",
    "DeadLetter",
    "Header",
    "Original",
    "content_bytes",
    "dead_letter_content",
    "dead_letter_headers",
    "mark_key",
    "marked_letter",
    "parse_dead_letter",
    "redriven_headers",
    "with_original",
]

MAX_CONTENT_BYTES: Final = 1024 * 1024
"""The greatest content of a dead letter: key, value and headers. It is enough for every uncompressed record of a Java
producer with default settings; larger records must have been compressed. It is an eighth of the topic's
``max.message.bytes``, so a dead letter fits in without compression, and a batch of them does not fill the memory."""

_HEADER_BYTES: Final = 10
"""The greatest size of what Kafka adds to a header's name and value: two lengths."""

HEADER_PREFIX = "dlq_"

TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
TIMESTAMP = "dlq_timestamp"
TIME = "dlq_time"
KEY = "dlq_key"
CLASS = DEAD_LETTER_CLASS
MESSAGE = DEAD_LETTER_MESSAGE

FORMAT = "dlq_format"
"""The last header of a letter of any format but the first, which has no such header: the format's number."""

_KNOWN_FORMAT = 1

_SHOWN_CHARACTERS = 20
"""How many characters of an unknown format an error message shows."""

VALUE_BYTES = "dlq_value_bytes"
VALUE_SHA256 = "dlq_value_sha256"

REDRIVE_OF = "dlq_redrive_of"
"""On a record that was put back into the source: the key of the dead letter that it was."""

MARK_VALUE = b"redriven"
"""Not null: the dead letters' topic is compacted, so a null would be removed long before the letter that it marks."""

_ADDED = (TOPIC, PARTITION, OFFSET, TIMESTAMP, TIME, KEY, CLASS, MESSAGE)
_ADDED_WITHOUT_CONTENT = (*_ADDED, VALUE_BYTES, VALUE_SHA256)
# The key of a dead letter: the name of a topic has 249 characters at most.
_LONGEST_REDRIVE_OF: Final = 300
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


def content_bytes(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    """An upper bound of a record's size without compression, and without its batch."""
    size = len(key or b"") + len(value or b"")
    for name, header in headers:
        size += len(name.encode("utf-8", "surrogatepass")) + len(header or b"") + _HEADER_BYTES
    return size


def dead_letter_content(
    error: BadEventError,
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Header],
) -> tuple[bytes | None, list[Header]]:
    """The value and the headers of the dead letter of a source record of any size.

    Args:
        error: why the record could not be folded; its message holds no values.
        topic: the source topic.
        partition: the source partition.
        offset: the source offset.
        timestamp_ms: the source record's timestamp, milliseconds since the epoch.
        key: the source record's key.
        value: the source record's value.
        headers: the source record's headers.
    """
    is_kept = content_bytes(key, value, headers) <= MAX_CONTENT_BYTES
    if not is_kept:
        error = BadEventError(error.defect, f"{error}; too large for a dead letter: the source keeps the record")
    added = dead_letter_headers(
        error,
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=key if is_kept or _is_canonical(key) else None,
        headers=headers if is_kept else _redrive_header(headers),
    )
    if is_kept:
        return value, added
    digest = None if value is None else sha256(value).hexdigest().encode()
    size = None if value is None else str(len(value)).encode()
    # The value is not null, because that would make it a tombstone.
    return b"", [*added, (VALUE_BYTES, size), (VALUE_SHA256, digest)]


def _is_canonical(key: bytes | None) -> bool:
    return key is not None and len(key) <= MAX_KEY_BYTES and parse_event_key(key) is not None


def _redrive_header(headers: Sequence[Header]) -> Sequence[Header]:
    """The header of this program that a redriven source record has: the key of its dead letter."""
    if headers and headers[-1][0] == REDRIVE_OF and len(headers[-1][1] or b"") <= _LONGEST_REDRIVE_OF:
        return headers[-1:]
    return ()


@dataclass(frozen=True, slots=True)
class Original:
    """A source record that its dead letter does not hold: its position, and its size and digest.

    Attributes:
        topic: the source topic.
        partition: the source partition.
        offset: the source offset.
        timestamp_ms: its timestamp, milliseconds since the epoch.
        value_bytes: the size of its value; None: it is a tombstone.
        value_sha256: SHA-256 of its value, in hexadecimal; None: it is a tombstone.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value_bytes: int | None
    value_sha256: str | None

    def is_in(self, record: Record) -> bool:
        """Whether a record is the same one, and not another record at its place."""
        if (record.partition, record.offset, record.timestamp_ms) != (self.partition, self.offset, self.timestamp_ms):
            return False
        if record.value is None:
            return self.value_sha256 is None
        return len(record.value) == self.value_bytes and sha256(record.value).hexdigest() == self.value_sha256


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A decoded dead letter.

    Attributes:
        topic: the source topic.
        partition: the source partition, which is the dead letter's own as well.
        offset: the source offset.
        timestamp_ms: the source record's timestamp, milliseconds since the epoch.
        key: the source record's key.
        headers: the source record's headers.
        error_class: the defect, as :class:`models.errors.Defect` spells it.
        message: the defect in words.
        redrive_of: the key of the dead letter that a redrive had put back as this source record; None: a producer
            published it.
        original: the source record that has the content, if the dead letter does not hold it. ``key`` and ``headers``
            are then not the source record's (:func:`with_original` sets them). None: the dead letter holds the content.
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
    original: Original | None = None


def parse_dead_letter(record: Record) -> DeadLetter | None:
    """Decode a record of the dead letters' topic; None: it is no dead letter.

    The headers of this program come last: a producer may have sent headers of any name before them.

    Raises:
        ContractError: a later version has written it.
    """
    if record.headers and record.headers[-1][0] == FORMAT:
        raise ContractError(
            f"{record.topic} partition {record.partition} offset {record.offset}: a dead letter of format "
            f"{_text(record.headers[-1][1])[:_SHOWN_CHARACTERS]!r}, this program knows {_KNOWN_FORMAT}: {LATER_VERSION}"
        )
    own = _own_headers(record)
    if own is None:
        return None
    added = dict(own)
    numbers = [added[name] or b"" for name in (PARTITION, OFFSET, TIMESTAMP)]
    if not all(number.isdigit() for number in numbers):
        return None
    partition, offset, timestamp_ms = map(int, numbers)
    topic = _text(added[TOPIC])
    headers = record.headers[: -len(own)]
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=added[KEY],
        headers=headers,
        error_class=_text(added[CLASS]),
        message=_text(added[MESSAGE]),
        redrive_of=_redrive_of(headers),
        original=_original(added, topic, partition, offset, timestamp_ms),
    )


def _own_headers(record: Record) -> tuple[Header, ...] | None:
    """The headers of a dead letter that this program added; None: the record is no dead letter."""
    for names in (_ADDED_WITHOUT_CONTENT, _ADDED):
        own = record.headers[-len(names) :]
        if tuple(name for name, _ in own) == names:
            return own
    return None


def _original(
    added: dict[str, bytes | None], topic: str, partition: int, offset: int, timestamp_ms: int
) -> Original | None:
    if VALUE_BYTES not in added:
        return None
    size, digest = added[VALUE_BYTES], added[VALUE_SHA256]
    return Original(
        topic,
        partition,
        offset,
        timestamp_ms,
        int(size) if size is not None and size.isdigit() else None,
        None if digest is None else _text(digest),
    )


def _redrive_of(headers: Sequence[Header]) -> str | None:
    return _text(headers[-1][1]) if headers and headers[-1][0] == REDRIVE_OF else None


def with_original(letter: DeadLetter, record: Record) -> DeadLetter:
    """A dead letter that holds no content, with the key and the headers of its source record."""
    return replace(letter, key=record.key, headers=record.headers, redrive_of=_redrive_of(record.headers))


def redriven_headers(letter: DeadLetter, letter_key: bytes) -> list[Header]:
    """The headers of a redriven record: the producer's, then one with the dead letter's key."""
    headers = letter.headers if letter.redrive_of is None else letter.headers[:-1]
    return [*headers, (REDRIVE_OF, letter_key)]


def mark_key(letter_key: bytes) -> bytes:
    """The key of the mark that a dead letter was redriven."""
    return letter_key + _MARK_SUFFIX


def marked_letter(record: Record) -> bytes | None:
    """The key of the dead letter that a mark is for; None: the record is no mark."""
    key = record.key or b""
    return key.removesuffix(_MARK_SUFFIX) if key.endswith(_MARK_SUFFIX) and record.value == MARK_VALUE else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
