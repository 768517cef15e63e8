"""A packed batch is unpacked a piece at a time, however much it unpacks to."""

import tracemalloc

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from streams.worker.transport.aiokafka_records import _Records
from streams.worker.transport.unpacking import PIECE_BYTES, pieces

CODECS = {
    "none": DefaultRecordBatch.CODEC_NONE,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}
LONGEST = 3 * PIECE_BYTES
"""A record that is larger than a piece."""


def batch(codec, lengths, *, first=0):
    """One batch of records with values of these lengths, the odd ones with headers."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 1, -1, -1, -1, 2**31 - 1)
    for number, length in enumerate(lengths, first):
        headers = [("name", b"text"), ("none", None)] if number % 2 else []
        builder.append(number, 5 + number, b"k%d" % number if number % 3 else None, b"v" * length, headers)
    return bytes(builder.build())


def told(records):
    return [(r.offset, r.timestamp, r.key, len(r.value), list(r.headers)) for r in records]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("lengths", "least"),
    [
        ([450] * 100, 1),
        ([PIECE_BYTES - 500], 1),
        ([450] * 20_000, 8),
        ([200_000] * 40, 8),
        ([10, LONGEST, 20, 0], 2),
        ([LONGEST] * 3, 3),
        ([127, 128, 8_191, 8_192, 16_383, 16_384, 2_097_151, 2_097_152] * 2, 4),
    ],
    ids=["small", "one piece", "many", "large", "one larger than a piece", "each larger", "lengths of lengths"],
)
def test_every_record_comes_once_in_order_as_aiokafka_parses_it(codec, lengths, least, tmp_path):
    """Whatever packed it, whether it is one piece or hundreds, and wherever a piece ends."""
    raw = batch(codec, lengths)
    found = list(_Records(raw, tmp_path).next_batch())
    assert told(record for piece in found for record in piece) == told(DefaultRecordBatch(raw))
    assert len(found) >= least
    assert list(tmp_path.iterdir()) == []


def test_a_piece_has_so_many_bytes_or_is_one_record(tmp_path):
    """Otherwise a batch that unpacks to gigabytes would be in memory as a whole."""
    raw = memoryview(batch("zstd", [450] * 10_000 + [LONGEST] + [450] * 10_000))
    sizes = [len(piece) for piece in pieces(raw, tmp_path)]
    assert sorted(sizes)[-2] <= PIECE_BYTES + 1_000
    assert max(sizes) <= LONGEST + 1_000


def test_memory_does_not_grow_with_what_a_batch_unpacks_to(tmp_path):
    """64 MiB in a batch of some KiB: a few pieces are in memory at a time."""
    raw = batch("zstd", [200_000] * 320)
    assert len(raw) < 100_000
    tracemalloc.start()
    try:
        records = _Records(raw, tmp_path)
        assert sum(len(piece) for piece in records.next_batch()) == 320
        assert tracemalloc.get_traced_memory()[1] < 10 * PIECE_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_damaged_batch_is_named_as_that(codec, tmp_path):
    """It fails in memory and in a file, and leaves no file."""
    raw = bytearray(batch(codec, [450] * 20_000))
    raw[100:130] = bytes(30)
    with pytest.raises(CorruptRecordException, match="cannot be unpacked"):
        list(_Records(bytes(raw), tmp_path).next_batch())
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_ends_within_a_record_is_named_as_that():
    """The broker looks at each record, but nothing of ours goes on for ever if it should not."""
    raw = bytearray(batch("none", [450] * 20_000))
    with pytest.raises(CorruptRecordException, match="ends within a record"):
        list(pieces(memoryview(raw)[:-1], None))


def test_a_strange_header_name_in_a_later_piece_is_written_out(tmp_path):
    """The slow parser takes one piece, not the batch."""
    raw = batch("none", [450] * 5_000).replace(b"name", b"\xff\xfe\xfd\xfc")
    found = list(_Records(raw, tmp_path).next_batch())
    names = {name for piece in found for record in piece for name, _ in record.headers}
    assert names == {r"\xff\xfe\xfd\xfc", "none"}
    assert len(found) > 1


def test_the_directory_may_be_missing_or_full(tmp_path):
    """The system's error comes out, for whoever says what to do."""
    with pytest.raises(OSError, match="No such file"):
        list(_Records(batch("lz4", [450] * 20_000), tmp_path / "none").next_batch())
