"""Records as aiokafka's parser gives them: not copied once more, with any header name, a piece of a batch at a time."""

from collections.abc import Iterator
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
"""What a record takes in memory besides its text: the object, its bytes objects, its list of headers."""


def adapt_aiokafka(directory: Path | None = None) -> None:
    """Let every consumer of this process read any header name, and hand its records on as they were parsed.

    Args:
        directory: where large batches are unpacked; None: where temporary files go.
    """
    fetcher.MemoryRecords = partial(_Records, directory=directory)
    fetcher.PartitionRecords = _PartitionRecords
    fetcher.FetchResult = FetchResult


class Taken(list[Any]):
    """Some records of a partition, in order.

    Attributes:
        size: what they take in memory, give or take a piece of a batch.
    """

    size = 0


class FetchResult(fetcher.FetchResult):
    """What one fetch brought of one partition, of which some is taken at a time: so many records, and so many bytes.

    aiokafka counts records. A legal one may have hundreds of KiB, in its value or in its headers.
    (``test_a_poll_takes_no_more_bytes_than_there_is_room_for``)

    Attributes:
        room: bytes that are taken; the last piece of a batch may go beyond.
    """

    room = 8 * PIECE_BYTES
    _counted = 0
    """The last piece that is part of what was taken."""

    def getall(self, max_records: int | None = None) -> Taken:
        """Take records, at least one if there is any."""
        taken = Taken()
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return taken
        records: Any = self._partition_records  # type: ignore[has-type]  # aiokafka's
        source, left = records._records, self.room  # noqa: SLF001
        for record in records:
            taken.append(record)
            if source.piece != self._counted:
                self._counted = source.piece
                left -= source.size
            if left <= 0 or len(taken) == max_records:
                self._update_position()
                break
        else:
            self._update_position()
            self._partition_records = None
        taken.size = self.room - left
        return taken


class _PartitionRecords(fetcher.PartitionRecords):
    """The records of one fetch of one partition, for which aiokafka makes a ``ConsumerRecord`` each.

    That is a copy of eleven attributes, in Python, with a tuple of the headers: a tenth of what an event costs. The
    parser's own record has all that is read here. (``test_records_are_handed_on_as_they_were_parsed``)
    """

    def __iter__(self) -> Iterator[Any]:
        # The generator itself, instead of a call of __next__ around each step of it.
        iterator: Iterator[Any] = self._records_iterator
        return iterator

    def _consumer_record(self, _tp: Any, record: Any) -> Any:
        return record


class _Records(_MemoryRecordsPy):
    r"""The batches of one fetch; made by aiokafka's fetcher.

    Kafka's protocol calls a header's name a string, and no broker looks: producers in C, Go or Rust may send any bytes.
    aiokafka raises a UnicodeDecodeError in the middle of the fetch, at the same record after every restart: one record
    would stop its partition for good. Such a batch is parsed once more, slowly, with ``\xff`` for what is no UTF-8.
    (``test_a_header_name_that_is_no_text_does_not_stop_the_worker``)

    Attributes:
        piece: the number of the piece of a batch that was parsed last.
        size: what its records take in memory.
    """

    def __init__(self, raw: bytes, directory: Path | None = None) -> None:
        super().__init__(raw)
        self.piece = 0
        self.size = 0
        self._directory = directory

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(raw, batch, self) if isinstance(batch, DefaultRecordBatch) else batch

    def parsed(self, raw: memoryview) -> Iterator[list[Any]]:
        """The records of a batch, a piece at a time."""
        for piece in pieces(raw, self._directory):
            records = _parsed(piece)
            self.size = len(piece) + _RECORD_BYTES * len(records)
            self.size += HEADER_OBJECT_BYTES * sum([len(record.headers) for record in records])
            self.piece += 1
            yield records


class _Batch:
    """A batch that is parsed by aiokafka's own fast parser if that can."""

    def __init__(self, raw: memoryview, batch: Any, source: _Records) -> None:
        self._raw = raw
        self._batch = batch
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        for records in self._source.parsed(self._raw):
            yield from records


def _parsed(piece: bytes | memoryview) -> list[Any]:
    # All at once: a step of ours for each record would cost as much as the parser.
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
