"""The applications of a partition that are erased as a whole. If there is any, it is looked up for every event."""

from models.rows import ErasedApplication
from streams.partition.state.row_codec import ERASED_PREFIX, RowReader, decode_row
from topics.records.erasures import Erasure, salted_hash

__all__ = ["ErasedApplications", "erased_key"]

_REMEMBERED = 32_768
"""Most applications whose answer is cached: hashing costs a microsecond, and an application's events come in bursts."""

_REMEMBERED_BYTES = 256
"""Longest key prefix whose answer is cached, so that all cached answers together take 8 MiB at most."""


def erased_key(erasure: Erasure) -> bytes:
    """The key of an erased application's row."""
    return ERASED_PREFIX + erasure.hash.hex().encode()


class ErasedApplications:
    """The erased applications of one partition.

    Args:
        rows: the stored rows.
        stored: whether any of the rows is about an erasure.
        partition: the partition, for an error's text.
    """

    def __init__(self, rows: RowReader, *, stored: bool, partition: int = -1) -> None:
        self._hashes: dict[bytes, set[bytes]] = {}
        self._known: dict[bytes, bool] = {}
        for key, raw in rows.scan(ERASED_PREFIX) if stored else ():
            row = decode_row(raw, key, partition)
            if isinstance(row, ErasedApplication):
                self._hashes.setdefault(row.salt, set()).add(row.hash)

    def holds(self, prefix: bytes) -> bool:
        """Whether an application is erased.

        Args:
            prefix: the prefix of its keys.
        """
        found = self._known.get(prefix)
        if found is None:
            found = any(salted_hash(salt, prefix) in hashes for salt, hashes in self._hashes.items())
            if len(prefix) > _REMEMBERED_BYTES:
                return found
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[prefix] = found
        return found

    def add(self, erasure: Erasure) -> bool:
        """Note that an application is erased; return whether that is new."""
        hashes = self._hashes.setdefault(erasure.salt, set())
        if erasure.hash in hashes:
            return False
        hashes.add(erasure.hash)
        self._known.clear()
        return True

    def lift(self, erasure: Erasure) -> bool:
        """Note that an erasure is lifted; return whether the application was erased."""
        hashes = self._hashes.get(erasure.salt, set())
        if erasure.hash not in hashes:
            return False
        hashes.remove(erasure.hash)
        self._known.clear()
        return True
