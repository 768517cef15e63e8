"""Where the worker publishes a record of ``executions`` again: under its canonical key, in its canonical partition.

The payload decides: see ``docs/topics.md``. Only records that are valid events get this far, as the others are dead
letters; so this reads the two ids, and checks nothing else.
"""

import re
from base64 import b64decode
from typing import Final, NamedTuple

import msgspec

from consolidator.keys import application_prefix, event_key, parse_event_key, partition_of
from consolidator.source_records import CONTROL_PREFIXES, ERASURE_HEADER

__all__ = ["CopyOf", "SourceRecord", "copy_of"]

_DERIVED_ID: Final = re.compile(rb"[0-9a-f]{64}")
"""The id of an event that brings none: the SHA-256 of its canonical content."""


class SourceRecord(NamedTuple):
    """A record of ``executions``.

    Attributes:
        partition: where it stands.
        offset: where it stands.
        timestamp_ms: when the broker appended it, in milliseconds since the epoch.
        key: its key.
        value: its value; None: a tombstone.
        headers: their names.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: tuple[str, ...]


class CopyOf(NamedTuple):
    """How to recognise the copy of a record.

    Attributes:
        original: the record.
        partition: the copy's partition.
        key: the copy's key, or for an event without an id the first part of it, which ends with ``/``.
        is_certain: whether there is a copy. For an event without an id that depends on an id that is not computed here.
    """

    original: SourceRecord
    partition: int
    key: bytes
    is_certain: bool

    def is_it(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether a later record in the partition, with this key and value, is the copy."""
        if key is None or value != self.original.value:
            return False
        if not self.key.endswith(b"/"):
            return key == self.key
        derived = key.startswith(self.key) and _DERIVED_ID.fullmatch(key, len(self.key)) is not None
        return derived and key != self.original.key


class _Member(msgspec.Struct):
    """The members of an event, or of a CloudEvent's envelope, that are read."""

    application_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    event_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    specversion: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_OBJECT: Final = msgspec.json.Decoder(_Member)
_TEXT: Final = msgspec.json.Decoder(str)
_OPTIONAL_TEXT: Final = msgspec.json.Decoder(str | None)


def copy_of(record: SourceRecord, partitions: int) -> CopyOf | None:
    """How to recognise the copy of a record that is no dead letter; None: it was not published again.

    Args:
        record: the record.
        partitions: how many partitions the topic has.
    """
    if record.key.startswith(CONTROL_PREFIXES):
        return None
    if record.value is None:
        return _copy_of_tombstone(record, partitions)
    try:
        application_id, event_id = _ids(record.value)
    except (msgspec.DecodeError, ValueError):
        # It is no event, so that the worker has published no copy.
        return None
    home = partition_of(application_id, partitions)
    is_home = home == record.partition
    if event_id is None:
        prefix = application_prefix(application_id)
        is_foreign = not (is_home and record.key.startswith(prefix) and _DERIVED_ID.fullmatch(record.key, len(prefix)))
        return CopyOf(record, home, prefix, is_foreign)
    canonical = event_key(application_id, event_id)
    return None if is_home and record.key == canonical else CopyOf(record, home, canonical, is_certain=True)


def _copy_of_tombstone(record: SourceRecord, partitions: int) -> CopyOf | None:
    identity = parse_event_key(record.key)
    if identity is None or ERASURE_HEADER in record.headers:
        return None
    home = partition_of(identity[0], partitions)
    return None if home == record.partition else CopyOf(record, home, record.key, is_certain=True)


def _ids(value: bytes) -> tuple[str, str | None]:
    """The application's id, and the event's if it brings one.

    Raises:
        msgspec.DecodeError: the value is no event.
        ValueError: the same.
    """
    members = _OBJECT.decode(value)
    if members.specversion is not msgspec.UNSET:
        data, encoded = _given(members.data), _given(members.data_base64)
        if encoded is not None:
            members = _OBJECT.decode(b64decode(_TEXT.decode(encoded), validate=True))
        elif data is not None:
            members = _OBJECT.decode(data)
    application_id, event_id = _given(members.application_id), _given(members.event_id)
    if application_id is None:
        raise ValueError("an event has an application_id")
    return _TEXT.decode(application_id), None if event_id is None else _OPTIONAL_TEXT.decode(event_id)


def _given(member: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | None:
    """A member that is there and not null."""
    return member if isinstance(member, msgspec.Raw) and bytes(member) != b"null" else None
