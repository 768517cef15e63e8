"""The events of an application that tombstones erased: sorted hashes in one row."""

from bisect import bisect_left
from hashlib import sha256
from typing import Final

from models.errors import BadEventError, Defect

__all__ = ["ERASED_EVENTS", "HASH_BYTES", "erased_hash", "holds", "with_hash"]

ERASED_EVENTS: Final = 32_768
"""Most events of one application that tombstones may erase: 0.6 MB of hashes in one row. An application has at most
2,000 executions of a processor; to erase more events, erase the application as a whole."""

HASH_BYTES: Final = 16


def erased_hash(event_id: str) -> bytes:
    """The hash that is kept of an erased event's id."""
    return sha256(event_id.encode()).digest()[:HASH_BYTES]


def holds(hashes: tuple[bytes, ...], erased: bytes) -> bool:
    """Whether an event is among those that were erased."""
    place = bisect_left(hashes, erased)
    return place < len(hashes) and hashes[place] == erased


def with_hash(hashes: tuple[bytes, ...], erased: bytes) -> tuple[bytes, ...]:
    """The hashes with one more hash.

    Raises:
        BadEventError: ``execution_limit``: the row is full.
    """
    if len(hashes) >= ERASED_EVENTS:
        raise BadEventError(
            Defect.EXECUTION_LIMIT,
            f"tombstones erased {ERASED_EVENTS} events of the application already, the most that a row can hold: "
            "`consolidator erase` erases the application as a whole",
        )
    place = bisect_left(hashes, erased)
    return (*hashes[:place], erased, *hashes[place:])
