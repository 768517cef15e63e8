"""Escapes characters in foreign text that move the cursor, colour the screen or change the reading direction."""

import json
import unicodedata

# Cc: controls, ESC and the one-character CSI among them. Cf: bidirectional overrides, zero-width characters.
# Cs: lone surrogates, which cannot be encoded for a terminal. Zl, Zp: line and paragraph separators.
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")

_BASIC_PLANE_END = 0xFFFF


def escaped(text: str) -> str:
    r"""``text`` with every unprintable character written as JSON writes it: ``\u001b``.

    A line of JSON keeps its meaning, because such characters occur only inside its strings.
    """
    # Quick check, for every log line: a text that Python calls printable has no such character.
    if text.isprintable():
        return text
    return "".join(_escape(character) if _is_unprintable(character) else character for character in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE


def _escape(character: str) -> str:
    # A character beyond the basic plane needs two escapes in JSON, which json.dumps makes.
    return f"\\u{ord(character):04x}" if ord(character) <= _BASIC_PLANE_END else json.dumps(character)[1:-1]
