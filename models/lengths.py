"""How long a text may be that becomes a key, a label, or an entry of a cache: in bytes of UTF-8.

The same numbers hold in the decoder (:mod:`topics.records.decoding`), in the JSON Schemas (which can count characters
only) and for the names of a catalogue. See ``docs/decisions/0018``.
"""

from typing import Final

from models.errors import BadEventError, Defect

__all__ = [
    "MAX_ID_BYTES",
    "MAX_KEY_BYTES",
    "MAX_NAME_BYTES",
    "MAX_TIME_BYTES",
    "WIDEST_CHARACTER",
    "bytes_of",
    "fits",
    "too_long",
]

MAX_ID_BYTES: Final = 512
"""Most bytes of an application's, an execution's or an event's id: room for fourteen UUIDs; hashed in under 30 µs."""

MAX_NAME_BYTES: Final = 256
"""Most bytes of a processor's name, a factor's name or an error's code: people write them, as labels and columns."""

MAX_TIME_BYTES: Final = 64
"""Most bytes of a time: 20 to 25 are enough, the rest is room for decimals, which are cut off."""

MAX_KEY_BYTES: Final = 3 * MAX_ID_BYTES + 1 + MAX_ID_BYTES
"""Most bytes of a canonical key: in the application's id each ``/`` or ``%`` takes three bytes."""

WIDEST_CHARACTER: Final = 4
"""Bytes that a character takes in UTF-8, at most."""


def fits(text: str, limit: int) -> bool:
    """Whether a text has at most ``limit`` bytes in UTF-8; a short text is not encoded to find out."""
    length = len(text)
    if length * WIDEST_CHARACTER <= limit:
        return True
    return length <= limit and (text.isascii() or bytes_of(text) <= limit)


def too_long(what: str, text: str, limit: int) -> BadEventError:
    """The error for an event with a text that is too long.

    Args:
        what: names the text.
        text: the text.
        limit: the most bytes that it may have in UTF-8.
    """
    return BadEventError(Defect.TOO_LONG, f"{what} has {bytes_of(text)} bytes in UTF-8, the limit is {limit}")


def bytes_of(text: str) -> int:
    """How many bytes a text has in UTF-8. A lone surrogate, which has none, counts as three."""
    return len(text.encode("utf-8", "surrogatepass"))
