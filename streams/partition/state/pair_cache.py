"""A cache of decoded pairs that evicts the least recently used pair first.

A pair that was folded stays pinned until RocksDB has it; after that it is merely cached, and may be forgotten.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Final

from streams.core.fold import Pair

__all__ = ["PairCache"]


_PAIR_WEIGHT: Final = 128
"""The weight of a pair without its events."""


def weight_of(key: bytes, pair: Pair) -> int:
    """The weight of a decoded pair: an eighth of the bytes that it takes in memory, if its row has many small factors.

    With few factors it takes half as much memory.

    Args:
        key: its row's key.
        pair: the pair.
    """
    return _PAIR_WEIGHT + len(key) + pair.row.weight


class PairCache:
    """Decoded pairs by row key. The least recently used is evicted first, but never one that RocksDB does not have yet.

    Args:
        limit: how many pairs to keep besides those that are pinned.
        max_weight: their greatest total weight, see :func:`weight_of`: pairs grow with their executions, by a factor of
            a thousand.

    Attributes:
        get: returns the pair under a key, if it is cached.
    """

    def __init__(self, limit: int, max_weight: int) -> None:
        self._limit = limit
        self._max_weight = max_weight
        self._weight = 0
        self._pairs: dict[bytes, Pair] = {}
        self.get: Final = self._pairs.get

    def put_all(self, pairs: Mapping[bytes, Pair]) -> None:
        """Keep pairs as the most recently used ones, in this order."""
        cached, weight = self._pairs, self._weight
        for key, pair in pairs.items():
            earlier = cached.pop(key, None)
            cached[key] = pair
            weight += weight_of(key, pair) if earlier is None else pair.row.weight - earlier.row.weight
        self._weight = weight

    def clear(self) -> None:
        """Forget every pair."""
        self._pairs.clear()
        self._weight = 0

    def drop(self, key: bytes) -> None:
        """Forget a pair, if it is cached."""
        pair = self._pairs.pop(key, None)
        if pair is not None:
            self._weight -= weight_of(key, pair)

    def keys(self, prefix: bytes) -> list[bytes]:
        """The cached keys that start with a prefix."""
        return [key for key in self._pairs if key.startswith(prefix)]

    def shrink(self, pinned: Sequence[Container[bytes]]) -> None:
        """Evict the least recently used pairs beyond the limits.

        Args:
            pinned: the keys of pairs that are being written: they stay.
        """
        excess = len(self._pairs) - self._limit
        forgotten: list[bytes] = []
        for key, pair in self._pairs.items():
            if len(forgotten) >= excess and self._weight <= self._max_weight:
                break
            if not any(key in keys for keys in pinned):
                forgotten.append(key)
                self._weight -= weight_of(key, pair)
        for key in forgotten:
            del self._pairs[key]
