"""The stored rows of a partition: their keys, their bytes, and read access to them."""

import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol, get_args

import msgspec

from models.errors import ContractError
from models.rows import (
    EarlierHalfwayMark,
    EarlierMark,
    EarlierMark2,
    ErasedApplication,
    Erasures,
    HalfwayMark,
    PartitionMark,
    Row,
    Rows,
)

__all__ = ["ERASED_PREFIX", "KNOWN_FORMATS", "MARK_KEY", "RowReader", "decode_row", "encode_row", "is_pair_key"]

MARK_KEY: Final = b"\x00partition"
"""The key of a partition's mark in the table. No other row has it: the other keys contain
a ``/``, or start with :data:`ERASED_PREFIX`."""

ERASED_PREFIX: Final = b"\x00erased-"
"""The prefix of the keys of erased applications; the hash follows, and contains no ``/``."""

_TAGS: Final = [str(kind.__struct_config__.tag) for kind in get_args(Rows)]

KNOWN_FORMATS: Final = {tag.rstrip("0123456789"): int(re.sub("[a-z]+", "", tag)) for tag in _TAGS}
"""The newest format of each kind of row, from its tag."""

_Earlier = EarlierMark | EarlierMark2 | EarlierHalfwayMark

encode_row: Final[Callable[[Rows], bytes]] = msgspec.msgpack.Encoder().encode
"""Encodes a row for RocksDB and the changelog. It is bound directly, without a wrapper, because it is called for every
changed row."""

_decode: Final = msgspec.msgpack.Decoder(Rows | _Earlier).decode


def decode_row(
    raw: bytes, key: bytes = b"", partition: int = -1
) -> Row | Erasures | ErasedApplication | PartitionMark | HalfwayMark:
    """Decode a row of any known format.

    Args:
        raw: the bytes.
        key: the row's key, for an error's text.
        partition: the state's partition, for an error's text; -1: a replay's state.

    Raises:
        ContractError: the row is of a format that this program does not know.
    """
    try:
        row: Rows | _Earlier = _decode(raw)
    except msgspec.MsgspecError as error:
        raise _unreadable(raw, key, partition, str(error)) from error
    if isinstance(row, _Earlier):
        mark = PartitionMark(row.partition, row.applied, row.ruleset, row.erasures, row.topic_id)
        return HalfwayMark.of(mark, row.adoption, row.gone_over) if isinstance(row, EarlierHalfwayMark) else mark
    return row


def _unreadable(raw: bytes, key: bytes, partition: int, problem: str) -> ContractError:
    """The error that names the format that was found and those that are known."""
    tag = _tag_of(raw)
    found = re.fullmatch("([a-z]+)([0-9]+)", tag)
    known = KNOWN_FORMATS.get(found[1]) if found else None
    where = "a replay's" if partition < 0 else f"partition {partition}'s"
    text = f"{where} mark" if key == MARK_KEY else f"{where} row {key.decode(errors='backslashreplace')!r}"
    if found is not None and known is not None and int(found[2]) <= known:
        return ContractError(
            f"{text} says that it has format {tag}, and is none ({problem}): something else has written it. Nothing of "
            "it was used. If the changelog has the right one, remove the worker's state directory: it is rebuilt"
        )
    knows = ", ".join(f"{kind}{number}" for kind, number in KNOWN_FORMATS.items())
    return ContractError(
        f"{text} has format {tag!r}; this program knows {knows} and earlier ones: a later version has written it. "
        "Nothing was done. Start that version, or a later one, again (docs/upgrading.md)"
    )


def _tag_of(raw: bytes) -> str:
    """The tag at the start of a row; "": it has none."""
    try:
        first = msgspec.msgpack.decode(raw, type=list)[:1]
    except msgspec.MsgspecError:
        return ""
    return first[0] if first and isinstance(first[0], str) else ""


def is_pair_key(key: bytes) -> bool:
    """Whether a key is that of a pair. A key that is only an application's prefix belongs to its erased events."""
    return 0 < key.find(b"/") < len(key) - 1


class RowReader(Protocol):
    """Read access to the stored rows of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """The value under a key, if any."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that starts with a prefix, with its value."""
