"""Foreign text, printed or logged: what moves the cursor, colours the screen or turns the reading direction."""

import json
import unicodedata

# Cc: controls, ESC and the one-character CSI among them. Cf: bidirectional overrides, zero-width characters.
# Cs: lone surrogates, which no terminal can be sent. Zl, Zp: line and paragraph separators.
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")

_BASIC_PLANE_END = 0xFFFF


def escaped(text: str) -> str:
    r"""``text`` with every unprintable character written as JSON writes it: ``\u001b``.

    Applied to a line of JSON, the line means the same as before: such characters stand inside strings only.
    """
    # What Python calls printable has none of them, in every script; it is asked of each line of a log.
    if text.isprintable():
        return text
    return "".join(_escape(character) if _is_unprintable(character) else character for character in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE


def _escape(character: str) -> str:
    # Beyond the basic plane JSON needs two escapes; json.dumps knows how.
    return f"\\u{ord(character):04x}" if ord(character) <= _BASIC_PLANE_END else json.dumps(character)[1:-1]
