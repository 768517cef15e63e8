"""The stored rows of a partition: their keys, their bytes, and read access to them."""

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from models.rows import ErasedApplication, Erasures, PartitionMark, Row, Rows

__all__ = ["ERASED_PREFIX", "MARK_KEY", "RowReader", "decode_row", "encode_row"]

MARK_KEY: Final = b"\x00partition"
"""Where a partition's mark stands in the table. Other keys contain a ``/``, so none can be equal."""

ERASED_PREFIX: Final = b"\x00erased-"
"""What the keys of erased applications start with; then comes the hash, without a ``/`` either."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Rows).decode


def encode_row(row: Rows) -> bytes:
    """A row as it stands in RocksDB and in the changelog."""
    return _encode(row)


def decode_row(raw: bytes) -> Row | Erasures | ErasedApplication | PartitionMark:
    """The row from its bytes."""
    row: Row | Erasures | ErasedApplication | PartitionMark = _decode(raw)
    return row


class RowReader(Protocol):
    """Read access to the stored rows of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """The bytes under a key, if any."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that starts so, with its bytes."""
