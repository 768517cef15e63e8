"""What a worker's commits under way have in memory, so that they stay few where each of them is large."""

import asyncio
from typing import Final

__all__ = ["InFlight"]

_BYTES: Final = 64 * 1024 * 1024
"""In all commits under way: what they are made of lies in memory until RocksDB has it. Four partitions with the most
events of the design's workload in each come to half of it."""


_ROUND_BYTES: Final = 24 * 1024 * 1024
"""That may come of one transaction, about as they lie in memory: half as much again as of the most events in the
design's workload. What comes of the records may be many times what they are themselves: all factors of a pair stand in
each of its changes, and all its events in its row."""


class InFlight:
    """Counts the bytes of the commits under way. On one event loop.

    Args:
        most_bytes: beyond it the next one waits until others have ended.
        round_bytes: that may come of one transaction.

    Attributes:
        round_bytes: the same.
    """

    def __init__(self, most_bytes: int = _BYTES, round_bytes: int = _ROUND_BYTES) -> None:
        self.round_bytes = round_bytes
        self._most_bytes = most_bytes
        self._bytes = 0
        self._commits = 0
        self._ended = asyncio.Event()

    async def wait_for_room(self, size: int) -> None:
        """Wait until another commit has room; one that is alone has, however large it is."""
        while self._commits and self._bytes + size > self._most_bytes:
            self._ended.clear()
            await self._ended.wait()

    def began(self, size: int) -> None:
        """A commit is under way."""
        self._commits += 1
        self._bytes += size

    def ended(self, size: int, _: object = None) -> None:
        """It is over; may be called back with what it was."""
        self._commits -= 1
        self._bytes -= size
        self._ended.set()
