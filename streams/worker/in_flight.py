"""Bounds the memory of a worker's commits under way: large commits wait for each other."""

import asyncio
from typing import Final

__all__ = ["InFlight"]

_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of all commits under way: their records and rows are in memory until RocksDB has the rows. Four
partitions, each with the largest batch of the design's workload, take half of it."""


_ROUND_BYTES: Final = 24 * 1024 * 1024
"""The greatest number of bytes of output of one transaction, about as in memory: one and a half times the output of the
largest batch of the design's workload. The output can be many times larger than the records that it comes from: each
change has all factors of its pair, and each row has all events of its pair."""


class InFlight:
    """Counts the bytes of the commits under way. It is used on one event loop only.

    Args:
        most_bytes: the greatest number of bytes of all commits; beyond it the next commit waits until others have
            ended.
        round_bytes: the greatest number of bytes of output of one transaction.

    Attributes:
        round_bytes: the greatest number of bytes of output of one transaction.
    """

    def __init__(self, most_bytes: int = _BYTES, round_bytes: int = _ROUND_BYTES) -> None:
        self.round_bytes = round_bytes
        self._most_bytes = most_bytes
        self._bytes = 0
        self._commits = 0
        self._ended = asyncio.Event()

    async def wait_for_room(self, size: int) -> None:
        """Wait until there is room for another commit. If no other commit is under way, there is always room."""
        while self._commits and self._bytes + size > self._most_bytes:
            self._ended.clear()
            await self._ended.wait()

    def began(self, size: int) -> None:
        """Count a commit that begins."""
        self._commits += 1
        self._bytes += size

    def ended(self, size: int, _: object = None) -> None:
        """Count a commit that has ended. The second argument lets a task call this when it is done."""
        self._commits -= 1
        self._bytes -= size
        self._ended.set()
