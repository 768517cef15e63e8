"""Records from aiokafka's parser: without a further copy, with any header name, and a piece of a batch at a time.

aiokafka passes records one by one through three Python iterators, which takes longer than its parser. Here each of its
"records" is a :class:`Piece` with several records, mostly all of a batch.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from streams.partition.sizes import HEADER_OBJECT_BYTES
from streams.worker.transport.unpacking import PIECE_BYTES, pieces

__all__ = ["FetchResult", "Taken", "adapt_aiokafka"]

_RECORD_BYTES: Final = 200
"""The bytes that a record takes in memory besides its text: the object, its bytes objects, its list of headers."""


def adapt_aiokafka(directory: Path | None = None) -> None:
    """Patch aiokafka: every consumer of this process reads any header name, and passes records on as they were parsed.

    Args:
        directory: where large batches are unpacked; None: where temporary files go.
    """
    fetcher.MemoryRecords = partial(_Records, directory=directory)
    fetcher.PartitionRecords = _PartitionRecords
    fetcher.FetchResult = FetchResult


class Taken(list[Any]):
    """Some records of a partition, in order.

    Attributes:
        size: about the bytes that they take in memory.
    """

    size = 0


class Piece(list[Any]):
    """Some records of a batch, in order; at least one.

    Attributes:
        size: the bytes that they take in memory.
    """

    size = 0

    @property
    def offset(self) -> int:
        """The offset of the last record: a piece with an offset before the position is skipped."""
        last: int = self[-1].offset
        return last


class FetchResult(fetcher.FetchResult):
    """The records of one partition in one fetch. They are taken in portions, limited by number and by bytes.

    aiokafka limits only the number of records, but a valid record may have hundreds of KiB in its value or its headers.
    (``test_a_poll_takes_no_more_bytes_than_there_is_room_for``)

    Attributes:
        room: the number of bytes to take; the last piece of a batch may exceed it.
    """

    room = 8 * PIECE_BYTES
    _rest: Sequence[Any] = ()
    """The rest of a piece that was taken in part; the whole piece was counted then."""

    def getone(self) -> Any:
        """Not supported for records in pieces."""
        raise NotImplementedError

    def getall(self, max_records: int | None = None) -> Taken:
        """Take records, at least one if there is any."""
        taken = Taken()
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return taken
        records: Any = self._partition_records  # type: ignore[has-type]  # aiokafka's
        most = sys.maxsize if max_records is None else max_records
        while taken.size < self.room and len(taken) < most:
            found = self._rest
            if not found:
                piece = next(records, None)
                if piece is None:
                    self._update_position()
                    self._partition_records = None
                    return taken
                taken.size += piece.size
                found = piece
            lacking = most - len(taken)
            taken += found[:lacking]
            self._rest = found[lacking:]
        if taken:
            # The next position may be inside of a piece; aiokafka would use the piece's end.
            records.next_fetch_offset = taken[-1].offset + 1
            self._update_position()
        return taken


class _PartitionRecords(fetcher.PartitionRecords):
    """The records of one fetch of one partition, a piece at a time.

    aiokafka would make a ``ConsumerRecord`` of each: a copy of eleven attributes with a tuple of the headers. The
    parser's own record has everything that the worker reads. (``test_records_are_handed_on_as_they_were_parsed``)
    """

    def _consumer_record(self, _tp: Any, piece: Piece) -> Piece:
        """The piece without records before the position, which may be in the middle of a batch."""
        if piece[0].offset >= self.next_fetch_offset:
            return piece
        rest = Piece(record for record in piece if record.offset >= self.next_fetch_offset)
        rest.size = piece.size
        return rest


class _Records(_MemoryRecordsPy):
    r"""The batches of one fetch; made by aiokafka's fetcher.

    In Kafka's protocol a header's name is a string, but brokers do not check that: producers in C, Go or Rust may send
    any bytes. aiokafka raises a UnicodeDecodeError in the middle of the fetch, at the same record after every restart:
    one record would stop its partition for ever. Such a batch is parsed again by a slower parser, with ``\xff`` for
    bytes that are no UTF-8. (``test_a_header_name_that_is_no_text_does_not_stop_the_worker``)
    """

    def __init__(self, raw: bytes, directory: Path | None = None) -> None:
        super().__init__(raw)
        self._directory = directory

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, self._parsed(raw) if isinstance(batch, DefaultRecordBatch) else _of_old_format(batch))

    def _parsed(self, raw: memoryview) -> Iterator[Piece]:
        for part in pieces(raw, self._directory):
            records = Piece(_parsed(part))
            records.size = len(part) + _RECORD_BYTES * len(records)
            records.size += HEADER_OBJECT_BYTES * sum([len(record.headers) for record in records])
            if records:
                yield records


class _Batch:
    """A batch that yields its records in pieces; its other attributes are unchanged.

    Args:
        batch: aiokafka's batch.
        parsed: its pieces.
    """

    def __init__(self, batch: Any, parsed: Iterator[Piece]) -> None:
        self._batch = batch
        self._parsed = parsed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        """The first record, alone: a transaction marker."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Piece]:
        return self._parsed


def _of_old_format(batch: Any) -> Iterator[Piece]:
    """The pieces of a batch in the format before Kafka 0.11, which has no headers: all of it."""
    if records := Piece(batch):
        records.size = sum([_RECORD_BYTES + len(record.key or b"") + len(record.value or b"") for record in records])
        yield records


def _parsed(piece: bytes | memoryview) -> list[Any]:
    # All records at once: a Python step for each record would cost as much as the parser.
    try:
        return list(DefaultRecordBatch(piece))
    except UnicodeDecodeError:
        return list(_AnyNameBatch(piece))


class _AnyNameBatch(_DefaultRecordBatchPy):
    """aiokafka's slow parser, which decodes nothing but header names."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _Bytes):
            self._buffer: bytearray = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Bytes of which any slice can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
