"""The first member of every JSON record of this program: the version of its meaning.

A later version adds members without a new number, and readers ignore what they do not know. A new number means that
readers which know only the former one would misread the record.
"""

from typing import Any, Final

import msgspec

from models.errors import ContractError
from topics.records.record import Record

__all__ = ["LATER_VERSION", "newer_version", "require_known_version", "version_of"]

LATER_VERSION: Final = "a later version has written it: use that version, or a later one (docs/upgrading.md)"
"""The advice for a record with an unknown version number."""


_GREATEST: Final = 2**31 - 1
"""The greatest number that an error names. A foreign record may have a number of many digits."""


class _Versioned(msgspec.Struct):
    schema_version: Any = None


_decode: Final = msgspec.json.Decoder(_Versioned).decode


def newer_version(version: object, known: int) -> int | None:
    """A schema version that is newer than the newest known one; None: it is known, or not a version."""
    return min(version, _GREATEST) if type(version) is int and version > known else None


def require_known_version(record: Record, what: str, known: int) -> None:
    """Raise if a record is of a newer version than the newest known one.

    Args:
        record: the record.
        what: names what it is, with its article.
        known: the newest known version.

    Raises:
        ContractError: it is of a newer one.
    """
    newer = newer_version(version_of(record.value), known)
    if newer is not None:
        raise ContractError(
            f"{record.topic} partition {record.partition} offset {record.offset}: {what} of schema_version {newer}, "
            f"this program knows {known}: {LATER_VERSION}"
        )


def version_of(value: bytes | None) -> object:
    """The schema version in a record's value; None: it has none, or the value is no JSON object."""
    try:
        return _decode(value or b"").schema_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
