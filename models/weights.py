"""The weight of a row's events: at least their size in MessagePack, and a fifth of their size in a change's JSON."""

from typing import Final

from models.rows import Entry

__all__ = ["entry_weight"]

# The greatest size in MessagePack of digest, time, attempt, sequence, and the lengths of the texts.
_ENTRY_WEIGHT: Final = 72
# The lengths of name and value in MessagePack. A change's JSON takes 51 bytes around a factor, about five times as
# much.
_FACTOR_WEIGHT: Final = 10
_WIDEST_CHARACTER: Final = 6


def entry_weight(entry: Entry, execution_id: str) -> int:
    """An upper bound of the bytes that an execution's entry takes in a row."""
    factors = entry.factors
    characters = _weight_of(execution_id) + _weight_of(entry.event_id)
    if entry.supersedes is not None:
        characters += _weight_of(entry.supersedes)
    if entry.code is not None:
        characters += _weight_of(entry.code)
    for name, text in factors.items():
        characters += _weight_of(name) + _weight_of(text)
    return _ENTRY_WEIGHT + _FACTOR_WEIGHT * len(factors) + characters


def _weight_of(text: str) -> int:
    # JSON writes a control character as \\u0000, six bytes; no other character takes more in UTF-8 or JSON.
    return len(text) if text.isascii() and text.isprintable() else _WIDEST_CHARACTER * len(text)
