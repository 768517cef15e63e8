"""How a value that is wrong is shown in a message."""

from pathlib import Path
from typing import Final

__all__ = ["shown"]

_LONGEST_SHOWN: Final = 60
_LONGEST_PATH_SHOWN: Final = 1_000


def shown(value: object) -> str:
    """A value for a message: quoted and escaped. All but paths are cut to the length of a line."""
    text = str(value)
    longest = _LONGEST_PATH_SHOWN if isinstance(value, Path) else _LONGEST_SHOWN
    if len(text) > longest:
        text = f"{text[:longest]}…"
    return repr(text) if text.isprintable() else ascii(text)
