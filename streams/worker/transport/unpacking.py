"""Decompresses a batch piece by piece: a batch of a megabyte may contain gigabytes of compressed records.

aiokafka decompresses a batch as a whole, with all its records in memory at once. Here a batch that has more than
:data:`PIECE_BYTES` uncompressed goes into an unnamed file, and is read from there in pieces of about that size, or of
one larger record. Each piece is an uncompressed batch of its own, which aiokafka's fast parser reads.
"""

import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import local
from typing import BinaryIO, Final

import cramjam
from aiokafka.codec import snappy_decode
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

__all__ = ["PIECE_BYTES", "pieces"]

PIECE_BYTES: Final = 1024 * 1024
"""How many bytes of records are decompressed at once: about librdkafka's batch size, so that most batches are one
piece."""

_LENGTH: Final = struct.Struct(">i")
_LENGTH_AT: Final = 8
_LENGTH_COUNTS_FROM: Final = 12
_ATTRIBUTES: Final = struct.Struct(">h")
_ATTRIBUTES_AT: Final = 21
_COUNT_AT: Final = 57
_HEADER_BYTES: Final = 61
"""Bytes of a batch before its first record; see ``DefaultRecordBatch.HEADER_STRUCT``."""

_LONGEST_VARINT: Final = 5

_INTO: Final = {
    DefaultRecordBatch.CODEC_GZIP: cramjam.gzip.decompress_into,
    DefaultRecordBatch.CODEC_LZ4: cramjam.lz4.decompress_into,
    DefaultRecordBatch.CODEC_ZSTD: cramjam.zstd.decompress_into,
}


class _Scratch(local):
    """The buffer for decompressed batches. Allocating it for each batch would take as long as decompressing it."""

    def __init__(self) -> None:
        self.room = bytearray(PIECE_BYTES)


_scratch = _Scratch()


def pieces(raw: memoryview, directory: Path | None) -> Iterator[bytes | memoryview]:
    """The records of a batch, as uncompressed batches.

    Args:
        raw: the batch as it is in the log, in the format since Kafka 0.11.
        directory: the directory for decompressed large batches; None: the directory for temporary files.

    Raises:
        CorruptRecordException: the batch is damaged.
        OSError: the file cannot be written, for example because the disk is full.
    """
    attributes = _ATTRIBUTES.unpack_from(raw, _ATTRIBUTES_AT)[0]
    codec = attributes & DefaultRecordBatch.CODEC_MASK
    if codec == DefaultRecordBatch.CODEC_NONE:
        if len(raw) <= PIECE_BYTES:
            yield raw
        else:
            yield from _cut(raw, BytesIO(raw[_HEADER_BYTES:]))
        return
    packed = raw[_HEADER_BYTES:]
    if codec == DefaultRecordBatch.CODEC_SNAPPY:
        # This codec compresses 64 bytes into 3 at best, so a batch decompresses to about twenty times its size at most.
        records = snappy_decode(packed.tobytes())
        if len(records) <= PIECE_BYTES:
            yield _piece(raw, records, _count(raw))
        else:
            yield from _cut(raw, BytesIO(records))
        return
    with suppress(cramjam.DecompressionError):
        # This fails if the records are longer than the buffer, or damaged.
        length = _INTO[codec](packed, _scratch.room)
        yield _piece(raw, memoryview(_scratch.room)[:length], _count(raw))
        return
    with _unpacked(codec, packed, directory) as file:
        yield from _cut(raw, file)


def _unpacked(codec: int, packed: memoryview, directory: Path | None) -> BinaryIO:
    """The records in an unnamed file, which disappears when it is closed."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix="batch-") as named:
        try:
            _INTO[codec](packed, cramjam.File(named.name))
        except cramjam.DecompressionError as error:
            raise CorruptRecordException(f"a batch cannot be unpacked: {error}") from error
        return Path(named.name).open("rb")


def _cut(raw: memoryview, file: BinaryIO) -> Iterator[bytes]:
    """Pieces of whole records, each an uncompressed batch."""
    rest = b""
    left = _count(raw)
    while left:
        window = rest + file.read(PIECE_BYTES)
        end, count, lacking = _whole_records(window, left)
        if not count:
            window += file.read(lacking)
            end, count, lacking = _whole_records(window, left)
            if not count:
                raise CorruptRecordException("a batch ends within a record")
        yield _piece(raw, memoryview(window)[:end], count)
        left -= count
        rest = window[end:]


def _whole_records(window: bytes, most: int) -> tuple[int, int, int]:
    """The end of the last whole record, the number of whole records, and how many bytes of the next one are missing."""
    end = count = 0
    while count < most and end < len(window):
        size, start = _varint(window, end)
        if start + size > len(window):
            return end, count, start + size - len(window)
        end = start + size
        count += 1
    return end, count, _LONGEST_VARINT


def _varint(window: bytes, place: int) -> tuple[int, int]:
    """A record's length, and where its content begins. A length that is cut off counts as beyond the window."""
    number = shift = 0
    for at in range(place, min(place + _LONGEST_VARINT, len(window))):
        byte = window[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number has no eighth bit
            return (number >> 1) ^ -(number & 1), at + 1
        shift += 7
    return _LONGEST_VARINT, len(window)


def _count(raw: memoryview) -> int:
    count: int = _LENGTH.unpack_from(raw, _COUNT_AT)[0]
    return count


def _piece(raw: memoryview, records: bytes | memoryview, count: int) -> bytes:
    """Some of a batch's records as a batch, with the same offsets and times. Its checksum is not valid."""
    header = bytearray(raw[:_HEADER_BYTES])
    attributes = _ATTRIBUTES.unpack_from(header, _ATTRIBUTES_AT)[0] & ~DefaultRecordBatch.CODEC_MASK
    _ATTRIBUTES.pack_into(header, _ATTRIBUTES_AT, attributes)
    _LENGTH.pack_into(header, _COUNT_AT, count)
    _LENGTH.pack_into(header, _LENGTH_AT, _HEADER_BYTES + len(records) - _LENGTH_COUNTS_FROM)
    return b"".join((header, records))
