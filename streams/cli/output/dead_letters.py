"""Dead letters for people and for programs. A value is shown only on request; control characters are escaped."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streams.cli.output.record_json import rfc3339_of, text_of
from streams.runtime.escaping import escaped
from topics.reading.dead_letter_list import Listed
from topics.records.dead_letter_format import DeadLetter, Original

__all__ = ["HEADING", "decision_line", "letter_json", "letter_line", "shown_json", "shown_lines"]

_PLACE, _SOURCE, _TIME, _STATE, _ERROR, _SIZE, _ACTION = 10, 26, 24, 9, 22, 9, 13

_SHOWN_BYTES: Final = 4_096
"""Most bytes of a value that are shown on a terminal: some fifty lines. A usual event has a tenth of it."""

HEADING: Final = (
    f"{'DLQ':<{_PLACE}} {'SOURCE':<{_SOURCE}} {'TIME':<{_TIME}} {'STATE':<{_STATE}} {'ERROR':<{_ERROR}} "
    f"{'BYTES':>{_SIZE}} MESSAGE"
)

_HELD, _IN_SOURCE, _GONE = "held", "in_source", "gone"

_encode = msgspec.json.Encoder().encode


def letter_line(letter: Listed) -> str:
    """One dead letter as one line, under :data:`HEADING`."""
    size = "no value" if letter.size is None else str(letter.size)
    return escaped(
        f"{_place(letter):<{_PLACE}} {_source(letter):<{_SOURCE}} {rfc3339_of(letter.timestamp_ms):<{_TIME}} "
        f"{letter.state:<{_STATE}} {letter.error_class:<{_ERROR}} {size:>{_SIZE}} {letter.message}"
    )


def decision_line(letter: Listed, action: str, reason: str | None) -> str:
    """The action of a redrive on one dead letter, as one line."""
    why = letter.message if reason is None else reason
    return escaped(
        f"{action.replace('_', ' '):<{_ACTION}} {_place(letter):<{_PLACE}} {_source(letter):<{_SOURCE}} "
        f"{letter.error_class:<{_ERROR}} {why}"
    )


def letter_json(letter: Listed, topic: str, **more: str | None) -> str:
    """One dead letter as one line of JSON, with control characters escaped; further members come last."""
    return escaped(_encode(_members(letter, topic) | more).decode())


def shown_json(listed: Listed, letter: DeadLetter, value: bytes | None, topic: str, *, is_gone: bool = False) -> str:
    """One dead letter with its original key, headers and value, as one line of JSON.

    Args:
        listed: the letter's entry in the list.
        letter: the letter with key and headers. If it does not hold them, they are the source record's.
        value: the original value.
        topic: the dead letters' topic.
        is_gone: whether the letter does not hold the content, and its source record is gone, too.
    """
    members = _members(listed, topic) | {
        "key": text_of(letter.key),
        "headers": [[name, text_of(header)] for name, header in letter.headers],
        "value": None if is_gone else text_of(value),
    }
    if letter.original is not None:
        members |= {"content": _GONE if is_gone else _IN_SOURCE, "sha256": letter.original.value_sha256}
    return escaped(_encode(members).decode())


def shown_lines(
    listed: Listed, letter: DeadLetter, value: bytes | None, topic: str, *, is_gone: bool = False
) -> Iterator[str]:
    """One dead letter with its original key, headers and value, for people; the arguments are :func:`shown_json`'s."""
    yield escaped(f"dead letter  {topic} {_place(listed)}, {rfc3339_of(listed.timestamp_ms)}")
    yield escaped(f"reason       {listed.error_class}: {listed.message}")
    yield escaped(
        f"came from    {letter.topic} partition {letter.partition} offset {letter.offset}, "
        f"{rfc3339_of(letter.timestamp_ms)}"
    )
    again = "" if listed.redrive_of is None else f", from the redrive of {listed.redrive_of}"
    yield escaped(f"state        {listed.state.replace('_', ' ')}{again}")
    if letter.original is not None:
        yield escaped(_content_line(letter.original, is_gone=is_gone))
    if is_gone:
        return
    yield f"key          {_printable(letter.key)}"
    for name, header in letter.headers:
        yield f"header       {escaped(name)}: {_printable(header)}"
    yield from _value_lines(value)


def _content_line(original: Original, *, is_gone: bool) -> str:
    value = "no value" if original.value_bytes is None else f"a value of {original.value_bytes} bytes"
    digest = "" if original.value_sha256 is None else f", SHA-256 {original.value_sha256}"
    where = f"{original.topic} does not have it any more" if is_gone else f"read from {original.topic}, which keeps it"
    return f"content      too large for a dead letter: {value}{digest}; {where}"


def _value_lines(value: bytes | None) -> Iterator[str]:
    if value is None:
        yield "value        none: a tombstone"
        return
    yield f"value        {len(value)} bytes"
    yield _printable(value[:_SHOWN_BYTES])
    if len(value) > _SHOWN_BYTES:
        yield f"… and {len(value) - _SHOWN_BYTES} bytes more: --raw shows all"


def _members(letter: Listed, topic: str) -> dict[str, Any]:
    partition, offset = letter.place
    return {
        "dlq": {"topic": topic, "partition": partition, "offset": offset},
        "source": {
            "topic": letter.source_topic,
            "partition": letter.source_partition,
            "offset": letter.source_offset,
        },
        "timestamp": rfc3339_of(letter.timestamp_ms),
        "error_class": letter.error_class,
        "message": letter.message,
        "size": letter.size,
        "state": letter.state,
        "redrive_of": letter.redrive_of,
        "content": _HELD if letter.original is None else _IN_SOURCE,
    }


def _printable(data: bytes | None) -> str:
    r"""Bytes as text on one line: bytes that are no UTF-8 become ``\xff``, control characters ``\u001b``."""
    return "none" if data is None else escaped(data.decode(errors="backslashreplace"))


def _place(letter: Listed) -> str:
    return f"{letter.place[0]}:{letter.place[1]}"


def _source(letter: Listed) -> str:
    return f"{letter.source_topic}:{letter.source_partition}:{letter.source_offset}"
