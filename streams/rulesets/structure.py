"""Limits the depth and the length of parts of a catalogue's text before it is parsed: both are expensive for parsers.

``tomllib`` takes a minute for one key of 200,000 parts. Here strings and comments are taken out, and what is left is
counted, in time that is proportional to the text.
"""

import re
from typing import Final

from models.errors import CatalogueError
from topics.records.foreign_formats import has_half_a_surrogate_pair

__all__ = ["require_plain_structure"]

MAX_DEPTH: Final = 8
"""Levels of tables and arrays, and parts of a key. A catalogue needs five."""

MAX_TOKEN_CHARS: Final = 4_000
"""Most characters of a number or a bare key. Python reads integers of up to 4,300 digits; the limits of numbers are
far below."""

# The quantifiers are possessive ("+" after them), so that a match never backtracks. Text that is not closed is left to
# the parser, which refuses it and names the place.
_JSON_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TOML_STRING_OR_COMMENT: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"""'
    r"|'''(?:[^']++|'(?!''))*+'''"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_TOKEN: Final = re.compile(rf"[^\s=,.\[\]{{}}]{{{MAX_TOKEN_CHARS + 1}}}")
_LONG_KEY: Final = re.compile(rf"(?:\.[^.=,\n\[\]{{}}]*+){{{MAX_DEPTH}}}")
_BRACKETS: Final = re.compile(r"[\[{]++|[\]}]++")


def require_plain_structure(text: str, *, suffix: str, source: str) -> None:
    """Raise if a text must not be given to a parser.

    Args:
        text: the file's content.
        suffix: ``.toml`` or ``.json``.
        source: the file's name in messages.

    Raises:
        CatalogueError: a key has too many parts, tables or arrays are nested too deep, a number or bare key is too
            long, or a string holds half of a surrogate pair.
    """
    is_toml = suffix == ".toml"
    if not is_toml and has_half_a_surrogate_pair(text.encode()):
        raise CatalogueError(f"{source}: an escape from \\ud800 to \\udfff stands alone: it is no character")
    # Each string is replaced by a letter, because keys may be quoted strings.
    bare = _TOML_STRING_OR_COMMENT.sub("s", text) if is_toml else _JSON_STRING.sub("s", text)
    if is_toml and _LONG_KEY.search(bare):
        raise CatalogueError(f"{source}: a key has more than {MAX_DEPTH} parts")
    if _deepest(bare) > MAX_DEPTH:
        raise CatalogueError(f"{source}: tables and arrays are nested deeper than {MAX_DEPTH} levels")
    if _LONG_TOKEN.search(bare):
        raise CatalogueError(f"{source}: a number or a bare key has more than {MAX_TOKEN_CHARS} characters")


def _deepest(bare: str) -> int:
    """The nesting depth of brackets; counting stops beyond the limit."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(bare):
        count = len(found[0])
        depth += count if found[0][0] in "[{" else -count
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    return deepest
