"""What the events of a row weigh: at least their bytes in MessagePack, and a fifth of theirs in a change's JSON."""

from typing import Final

from models.rows import Entry

__all__ = ["entry_weight"]

# The digest, the time, attempt, sequence, and the lengths of the texts, at their longest in MessagePack.
_ENTRY_WEIGHT: Final = 72
# Lengths in MessagePack; and a change takes 51 bytes around a factor's name and value, five times as much.
_FACTOR_WEIGHT: Final = 10
_WIDEST_CHARACTER: Final = 6


def entry_weight(entry: Entry, execution_id: str) -> int:
    """At least the bytes that an entry, of an execution, takes in a row."""
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
