"""Tombstones of events: which event one is about, and in which partition that is at home."""

from collections.abc import Callable
from typing import NamedTuple

from consolidator.keys import parse_event_key, partition_of
from models.errors import BadEventError, Defect
from models.lengths import MAX_ID_BYTES, fits
from streams.partition.batch import SourceRecord
from topics.records.erasures import ERASURE_HEADER

__all__ = ["Tombstone", "tombstone_of"]


class Tombstone(NamedTuple):
    """The event that a tombstone erases.

    Attributes:
        key: the record's.
        application_id: of the event.
        event_id: the event's.
        home: the partition in which the event is at home.
    """

    key: bytes
    application_id: str
    event_id: str
    home: int


def tombstone_of(
    record: SourceRecord, partition: int, partitions: int, knows: Callable[[str, str], bool]
) -> Tombstone | None:
    """The event that a record without a value erases; None: it only removes a foreign record of an erased application.

    Args:
        record: the record.
        partition: where it stands.
        partitions: how many there are.
        knows: whether the state has an event of an application: one from before there were limits may be longer.

    Raises:
        BadEventError: its key is not an event's, or is longer than a key may be and names no event in the state.
    """
    key = record.key
    identity = None if key is None else parse_event_key(key)
    is_too_long = identity is not None and not all(fits(part, MAX_ID_BYTES) for part in identity)
    is_erasures = any(name == ERASURE_HEADER for name, _ in record.headers)
    if identity is not None and is_too_long and not is_erasures and not knows(*identity):
        raise BadEventError(
            Defect.TOO_LONG,
            f"the key of a tombstone names an application or an event with more than {MAX_ID_BYTES} bytes: there "
            "is no such event",
        )
    # An unknown id beyond the limits is not hashed.
    home = -1 if identity is None or (is_too_long and is_erasures) else partition_of(identity[0], partitions)
    if home != partition and is_erasures:
        # An application's erasure wrote it to remove a foreign record; the canonical copy has a tombstone of its own.
        return None
    if identity is None or key is None:
        raise BadEventError(
            Defect.TOMBSTONE_KEY, "a tombstone needs the key of the event that it erases: application_id/event_id"
        )
    return Tombstone(key, *identity, home)
