"""Records as aiokafka's parser gives them: not copied once more, and with header names that are no UTF-8."""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

__all__ = ["adapt_aiokafka"]


def adapt_aiokafka() -> None:
    """Let every consumer of this process read any header name, and hand its records on as they were parsed."""
    fetcher.MemoryRecords = _Records
    fetcher.PartitionRecords = _PartitionRecords


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
    """

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(raw, batch) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch:
    """A batch that is parsed by aiokafka's own fast parser if that can."""

    def __init__(self, raw: memoryview, batch: Any) -> None:
        self._raw = raw
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        # All at once: a step of ours for each record would cost as much as the parser.
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(_AnyNameBatch(self._raw)))


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
