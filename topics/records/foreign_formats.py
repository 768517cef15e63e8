"""Recognises formats other than JSON in UTF-8. Dead letters name the format, so that producers know what to change."""

import re
from typing import Final

__all__ = ["foreign_format", "has_half_a_surrogate_pair"]

_UTF8: Final = "JSON is UTF-8 (RFC 8259, section 8.1)"
_COMPRESSED: Final = "Kafka compresses batches by itself (compression.type)"

# The longer ones come first, because a byte-order mark of UTF-32 may begin with one of UTF-16.
_BEGINNINGS: Final = (
    (b"\xef\xbb\xbf", "it begins with a byte-order mark, which JSON must not have (RFC 8259, section 8.1)"),
    (b"\xff\xfe\x00\x00", f"it is UTF-32; {_UTF8}"),
    (b"\x00\x00\xfe\xff", f"it is UTF-32; {_UTF8}"),
    (b"{\x00\x00\x00", f"it is UTF-32; {_UTF8}"),
    (b"\x00\x00\x00{", f"it is UTF-32; {_UTF8}"),
    (b"\xff\xfe", f"it is UTF-16; {_UTF8}"),
    (b"\xfe\xff", f"it is UTF-16; {_UTF8}"),
    (b"{\x00", f"it is UTF-16; {_UTF8}"),
    (b"\x00{", f"it is UTF-16; {_UTF8}"),
    (b"\x1f\x8b", f"it is compressed with gzip; {_COMPRESSED}"),
    (b"\x28\xb5\x2f\xfd", f"it is compressed with zstd; {_COMPRESSED}"),
    (b"\x04\x22\x4d\x18", f"it is compressed with lz4; {_COMPRESSED}"),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"\x00", "it begins with a zero byte, as the serialisers of a schema registry write it"),
)

# The pattern skips valid text from the beginning: other characters, other escapes, and whole pairs. The possessive
# quantifiers ("+" after them) never backtrack, so the time is proportional to the size of the value.
_HALF_A_PAIR: Final = re.compile(
    rb"(?:[^\\]++|\\(?:[^u]|u(?:(?![dD][89a-fA-F])[^\\]{4}|[dD][89abAB][^\\]{2}\\u[dD][c-fC-F][^\\]{2})))*+"
    rb"\\u[dD][89a-fA-F]",
    re.DOTALL,
)


def foreign_format(raw: bytes) -> str | None:
    """The probable format of a value by its first bytes, in words; None: it is unknown."""
    return next((name for beginning, name in _BEGINNINGS if raw.startswith(beginning)), None)


def has_half_a_surrogate_pair(raw: bytes) -> bool:
    r"""Whether a JSON text has half of a surrogate pair, such as ``\ud83d``, without the other half."""
    return _HALF_A_PAIR.match(raw) is not None
