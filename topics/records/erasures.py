"""Erasures of whole applications: the record in ``executions`` that erases one, and is kept.

Its key is ``/erasure/<hash>``, a key that no application has, and the hash is SHA-256 over a random salt and what every
key of the application starts with: it names no application, but with the id one can check that it is erased. The value
has the salt, and whether the erasure is in force or was lifted. See ``docs/decisions/0010``.

The record alone erases nothing, because every publisher may write any key: an *entry* in the topic ``erasures`` has to
name its place and its content. See ``docs/decisions/0026``.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from consolidator.keys import application_prefix
from consolidator.source_records import ERASURE_PREFIX
from models.errors import BadEventError, Defect
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION, newer_version, require_known_version, version_of

__all__ = [
    "ERASURE_PREFIX",
    "SALT_BYTES",
    "Erasure",
    "Forgotten",
    "entries_in",
    "erasure_of",
    "forgotten_in",
    "is_about_application",
    "parse_erasure",
    "salted_hash",
]

SALT_BYTES: Final = 16

_ENTRY: Final = b"erasure/"

_SCHEMA_VERSION: Final = 1

_ERASED, _LIFTED = "erased", "lifted"

_MAX_VALUE_BYTES: Final = 1_024
"""Most bytes of an erasure's value, which has about a hundred. Every publisher can write anything under such a key."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of an application, or its lift.

    Attributes:
        salt: random, so that no table of hashes can exist.
        hash: see :func:`salted_hash`.
        lifted: whether the erasure is lifted: events of the application are accepted again.
    """

    salt: bytes
    hash: bytes
    lifted: bool = False

    @property
    def key(self) -> bytes:
        """The record's key."""
        return ERASURE_PREFIX + self.hash.hex().encode()

    @property
    def value(self) -> bytes:
        """The record's value."""
        return f"{self._members()}}}".encode()

    def entry_key(self, partition: int, offset: int) -> bytes:
        """The key of the entry that confirms the record at a place of ``executions``; it is unique."""
        return _ENTRY + f"{partition}/{offset}".encode()

    @property
    def entry_value(self) -> bytes:
        """The value of that entry: the record's content, so that it confirms no other record at the same place."""
        return f'{self._members()},"hash":"{self.hash.hex()}"}}'.encode()

    def is_of(self, application_id: str) -> bool:
        """Whether the erasure is about an application."""
        return self.hash == salted_hash(self.salt, application_prefix(application_id))

    def _members(self) -> str:
        state = _LIFTED if self.lifted else _ERASED
        return f'{{"schema_version":{_SCHEMA_VERSION},"erasure":"{state}","salt":"{self.salt.hex()}"'


class Forgotten(NamedTuple):
    """The last erasure of an application.

    Attributes:
        partition: the partition of the record in ``executions``.
        offset: the offset of that record. Earlier records about the application are not shown any more.
        standing: the erasures to lift, so that its events are accepted again; empty: they were lifted.
        accepts_from: the offset of the record that lifted it: events count again from there on; None: it is in force.
    """

    partition: int
    offset: int
    standing: tuple[Erasure, ...]
    accepts_from: int | None = None

    @property
    def lifted(self) -> bool:
        """Whether events were accepted again after it."""
        return not self.standing

    def __str__(self) -> str:
        """The erasure in words, for people."""
        lifted = f", lifted at {self.partition}:{self.accepts_from}" if self.lifted else ""
        return f"erased at {self.partition}:{self.offset}{lifted}"


def salted_hash(salt: bytes, prefix: bytes) -> bytes:
    """SHA-256 over the salt and an application's :func:`consolidator.keys.application_prefix`."""
    return sha256(salt + prefix).digest()


def erasure_of(application_id: str, salt: bytes, *, lifted: bool = False) -> Erasure:
    """The erasure of an application."""
    return Erasure(salt, salted_hash(salt, application_prefix(application_id)), lifted)


def parse_erasure(key: bytes, value: bytes) -> Erasure:
    """Read a record whose key starts with :data:`ERASURE_PREFIX`.

    Raises:
        BadEventError: ``invalid_erasure``: it is not valid, or of a later version. Every publisher may write such a
            record, so it must not stop a worker. Its dead letter can be redriven by a later version.
    """
    newer = newer_version(version_of(value), _SCHEMA_VERSION)
    if newer is not None:
        raise BadEventError(
            Defect.INVALID_ERASURE,
            f"an erasure of schema_version {newer}, the newest known is {_SCHEMA_VERSION}: {LATER_VERSION}",
        )
    erasure = None
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        members = json.loads(value if len(value) <= _MAX_VALUE_BYTES else b"")
        erasure = Erasure(
            bytes.fromhex(members["salt"]),
            bytes.fromhex(key.removeprefix(ERASURE_PREFIX).decode()),
            {_ERASED: False, _LIFTED: True}[members["erasure"]],
        )
    if erasure is None or len(erasure.salt) != SALT_BYTES or erasure.key != key:
        raise BadEventError(
            Defect.INVALID_ERASURE,
            "the value of a record under /erasure/ cannot be read: only `consolidator erase` may write such a record",
        )
    return erasure


def entries_in(record: Record) -> Iterator[tuple[int, Erasure]]:
    """The erasures that a record of ``erasures`` confirms, each with its offset in ``executions``.

    Raises:
        ContractError: it is of a later version. If it were ignored, an erased application would come back.
    """
    key = record.key or b""
    if not key.startswith(_ENTRY) or record.value is None:
        return
    require_known_version(record, "an entry", _SCHEMA_VERSION)
    with suppress(ValueError, KeyError, TypeError):
        partition, offset = map(int, key.removeprefix(_ENTRY).split(b"/"))
        members = json.loads(record.value)
        salt, digest = bytes.fromhex(members["salt"]), bytes.fromhex(members["hash"])
        if partition == record.partition:
            yield offset, Erasure(salt, digest, {_ERASED: False, _LIFTED: True}[members["erasure"]])


def forgotten_in(entries: Mapping[int, Erasure], partition: int, application_id: str) -> Forgotten | None:
    """The last erasure of an application; None: it was never erased.

    Args:
        entries: all confirmed erasures in the application's partition, by offset.
        partition: that partition.
        application_id: the application.
    """
    at = accepts_from = None
    standing: dict[bytes, Erasure] = {}
    for offset, erasure in sorted(entries.items()):
        if not erasure.is_of(application_id):
            continue
        if erasure.lifted:
            if standing.pop(erasure.hash, None) is not None and not standing:
                accepts_from = offset
        elif erasure.hash not in standing:
            # A repeated erasure, while one is in force, does nothing.
            standing[erasure.hash] = erasure
            at, accepts_from = offset, None
    return None if at is None else Forgotten(partition, at, tuple(standing.values()), accepts_from)


def is_about_application(record: Record, application_id: str) -> bool:
    """Whether a source record concerns an application: by its key, as its erasure, or as one for all applications."""
    key = record.key or b""
    if key.startswith((application_prefix(application_id), ADOPTION_PREFIX)):
        return True
    if not key.startswith(ERASURE_PREFIX) or record.value is None:
        return False
    try:
        erasure = parse_erasure(key, record.value)
    except BadEventError:
        return False
    return erasure.is_of(application_id)
