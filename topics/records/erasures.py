"""Erasures of whole applications: the record in ``executions`` that says so, and remains.

Its key is ``/erasure/<hash>``, a key that no application has, and the hash is SHA-256 over a random salt and what every
key of the application starts with: it names nobody, but whoever has the id can see that it is erased. The value has the
salt, and whether the erasure is in force or was lifted. See ``docs/decisions/0010``.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from models.errors import BadEventError, Defect
from topics.contract.keys import application_prefix
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.record import Record
from topics.records.schema_version import LATER_VERSION, newer_version, version_of

__all__ = [
    "ERASURE_HEADER",
    "ERASURE_PREFIX",
    "SALT_BYTES",
    "Erasure",
    "erasure_of",
    "is_about_application",
    "parse_erasure",
    "salted_hash",
]

ERASURE_PREFIX: Final = b"/erasure/"
"""What the keys of these records start with; an application's id is not empty, so no other key has a ``/`` there."""

ERASURE_HEADER: Final = "consolidator_erasure"
"""On every tombstone of an erasure: that a foreign key is removed on purpose, and for which hash."""

SALT_BYTES: Final = 16

_SCHEMA_VERSION: Final = 1

_ERASED, _LIFTED = "erased", "lifted"

_MAX_VALUE_BYTES: Final = 1_024
"""Of an erasure, which has about a hundred: whoever may publish may write anything under such a key."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An application is erased, or is so no more.

    Attributes:
        salt: random, so that nobody can have a table of hashes.
        hash: see :func:`salted_hash`.
        lifted: events of the application are accepted again.
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
        state = _LIFTED if self.lifted else _ERASED
        return f'{{"schema_version":{_SCHEMA_VERSION},"erasure":"{state}","salt":"{self.salt.hex()}"}}'.encode()


def salted_hash(salt: bytes, prefix: bytes) -> bytes:
    """SHA-256 over the salt and an application's :func:`topics.contract.keys.application_prefix`."""
    return sha256(salt + prefix).digest()


def erasure_of(application_id: str, salt: bytes, *, lifted: bool = False) -> Erasure:
    """The erasure of an application."""
    return Erasure(salt, salted_hash(salt, application_prefix(application_id)), lifted)


def parse_erasure(key: bytes, value: bytes) -> Erasure:
    """Read a record whose key starts with :data:`ERASURE_PREFIX`.

    Raises:
        BadEventError: ``invalid_erasure``: it is none, or of a later version. Whoever may publish may write such a
            record, so it stops no worker; the dead letter says what it waits for, and can be redriven.
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
            "a record under /erasure/ is no erasure: it is written by `consolidator erase`, and by nothing else",
        )
    return erasure


def is_about_application(record: Record, application_id: str) -> bool:
    """Whether a source record is the application's: under its keys, about its erasure, or about everything."""
    key = record.key or b""
    if key.startswith((application_prefix(application_id), ADOPTION_PREFIX)):
        return True
    if not key.startswith(ERASURE_PREFIX) or record.value is None:
        return False
    try:
        erasure = parse_erasure(key, record.value)
    except BadEventError:
        return False
    return erasure.hash == salted_hash(erasure.salt, application_prefix(application_id))
