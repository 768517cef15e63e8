"""The size of records, in Kafka's format and in memory: upper bounds, computed without encoding them."""

from collections.abc import Sequence
from typing import Final

from models.lengths import WIDEST_CHARACTER
from streams.partition.batch import SourceRecord

__all__ = ["BATCH_BYTES", "HEADER_OBJECT_BYTES", "decoded_together", "framed_size", "memory_size"]

BATCH_BYTES: Final = 61
"""Bytes that Kafka's format puts before the records of a batch."""

_RECORD_BYTES: Final = 36
"""Most bytes around a record's key, value and headers: six numbers of at most five bytes, and the attributes."""

_HEADER_BYTES: Final = 10
"""Most bytes around a header's name and value: two numbers."""

_DECODED_RECORDS: Final = 4_000
_DECODED_BYTES: Final = 2 * 1024 * 1024
"""The greatest number of records, and of bytes, that are decoded together: a decoded event of numbers takes twenty
times its bytes."""

HEADER_OBJECT_BYTES: Final = 150
"""The bytes that a header takes in memory besides its text: a producer can put 16,000 empty headers into 64 KiB."""


def framed_size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    """An upper bound of a record's size in Kafka's format, uncompressed.

    Args:
        key: its key.
        value: its value.
        headers: its headers.
    """
    size = _RECORD_BYTES
    if key is not None:
        size += len(key)
    if value is not None:
        size += len(value)
    for name, text in headers:
        size += _HEADER_BYTES + (len(name) if name.isascii() else WIDEST_CHARACTER * len(name))
        if text is not None:
            size += len(text)
    return size


def memory_size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    """About the bytes of a record in memory.

    Args:
        key: its key.
        value: its value.
        headers: its headers.
    """
    return framed_size(key, value, headers) + HEADER_OBJECT_BYTES * len(headers)


def decoded_together(records: Sequence[SourceRecord], start: int) -> int:
    """The end of the records that are decoded together: some of the batch, at least one.

    Args:
        records: the records of the batch.
        start: the index of the first record.

    Returns:
        One past the index of the last record.
    """
    size = 0
    stop = min(start + _DECODED_RECORDS, len(records))
    for number in range(start, stop):
        value = records[number].value
        size += 0 if value is None else len(value)
        if size > _DECODED_BYTES:
            return number + 1
    return stop
