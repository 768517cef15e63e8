"""The rows of one partition as the fold sees them: what is being written, what is cached, what is on disk.

A row that was folded stays pinned until RocksDB has it; after that it is merely cached, and may be forgotten.
"""

from collections.abc import Container, Iterator, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from models.rows import Erasures, PartitionMark, Row, Rows
from streams.core.fold import Pair

__all__ = ["MARK_KEY", "PairCache", "RowReader", "decode_row", "encode_row"]

MARK_KEY = b"\x00partition"
"""Where a partition's mark stands in the table. Other keys contain a ``/``, so none can be equal."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Rows).decode


def encode_row(row: Rows) -> bytes:
    """A row as it stands in RocksDB and in the changelog."""
    return _encode(row)


def decode_row(raw: bytes) -> Row | Erasures | PartitionMark:
    """The row from its bytes."""
    row: Row | Erasures | PartitionMark = _decode(raw)
    return row


class RowReader(Protocol):
    """Read access to the stored rows of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """The bytes under a key, if any."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that starts so, with its bytes."""


class PairCache:
    """Decoded pairs by row key, the longest unused forgotten first - but none that RocksDB does not have yet.

    Args:
        limit: how many pairs to keep besides those that are pinned.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pairs: dict[bytes, Pair] = {}

    def get(self, key: bytes) -> Pair | None:
        """The pair under a key, if it is here."""
        return self._pairs.get(key)

    def put(self, key: bytes, pair: Pair) -> None:
        """Keep a pair as the most recently used one."""
        self._pairs.pop(key, None)
        self._pairs[key] = pair

    def keys(self, prefix: bytes) -> list[bytes]:
        """The keys here that start so."""
        return [key for key in self._pairs if key.startswith(prefix)]

    def shrink(self, pinned: Sequence[Container[bytes]]) -> None:
        """Forget the longest unused beyond the limit.

        Args:
            pinned: the keys of pairs that are being written: they stay.
        """
        excess = len(self._pairs) - self._limit
        if excess > 0:
            for key in list(islice(self._pairs, excess)):
                if not any(key in keys for keys in pinned):
                    del self._pairs[key]
