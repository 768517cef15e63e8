"""Finds the application that a record belongs to, by its value; JSON may spell an id in several ways.

A JSON value names its application in the member ``application_id``. A value that is not JSON (cut off, damaged, of
another format) is searched for that member; if it cannot be found, every string in the value counts.
"""

import binascii
import json
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final

__all__ = ["Naming"]

_MEMBER: Final = "application_id"
_MOST_UNPACKED: Final = 16 * 1024 * 1024
_MOST_NESTED: Final = 4
"""How deep JSON in strings is searched: a producer's pipeline may encode an event several times."""

# The longer ones come first, because a byte-order mark of UTF-32 may begin with one of UTF-16.
_ENCODINGS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"{\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00{", "utf-32-be"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"{\x00", "utf-16-le"),
    (b"\x00{", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31

_QUOTES: Final = re.compile(r'\\.|"', re.DOTALL)
_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_COLON: Final = re.compile(r"\s*:\s*")
_LITERAL: Final = re.compile(r"\s*:\s*([^\s,}\]\"]+)[\s,}\]]")
_IN_WORDS: Final = frozenset("_-.:/%@+~#$!*\\")
"""Characters of ids besides letters and digits. An id that is found next to one of them may be part of a longer id."""


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its members, repeated ones included."""


class Naming:
    """Finds out whether a value names one application.

    Args:
        application_id: the application; not empty.
    """

    def __init__(self, application_id: str) -> None:
        self._id = application_id
        self._signs = (application_id.encode(), b"\\", b"data_base64", _GZIP)
        self._beginnings = tuple(sign for sign, _ in _ENCODINGS)

    def may_name(self, value: bytes) -> bool:
        """Quick check: whether a value can contain the id. Most values of other applications cannot."""
        return any(sign in value for sign in self._signs) or value.startswith(self._beginnings)

    def names(self, value: bytes) -> bool | None:
        """Whether a value names this application; None: it names none."""
        found = _named(_text_of(value), _MOST_NESTED)
        return None if found is None else self._id in found

    def mentions(self, value: bytes) -> bool:
        """Whether the application's id is a string of its own in a value that names no application."""
        return bool(self._id.strip()) and self._mentioned(_text_of(value), _MOST_NESTED)

    def is_part_of(self, value: bytes) -> bool:
        """Whether a value contains the id at all, even as a part of a longer text."""
        text = _text_of(value)
        return bool(self._id.strip()) and (self._id in text or self._id in _unescaped(text))

    def _mentioned(self, text: str, nested: int) -> bool:
        strings = _strings(text)
        if any(_unescaped(string) == self._id for string in strings):
            return True
        if not any(_COLON.match(text, end + 1) for _, end in _quoted(text)) and _stands_in(self._id, text):
            return True
        return nested > 0 and any(self._mentioned(inner, nested - 1) for inner in _nested(text))


def _text_of(value: bytes) -> str:
    """A value as text, whatever the encoding."""
    if value.startswith(_GZIP):
        with suppress(zlib.error):
            value = zlib.decompressobj(_GZIP_BITS).decompress(value, _MOST_UNPACKED)
    for beginning, encoding in _ENCODINGS:
        if value.startswith(beginning):
            with suppress(UnicodeDecodeError):
                return value.decode(encoding)
    return value.decode(errors="surrogateescape")


def _named(text: str, nested: int) -> Sequence[str] | None:
    """The ids of the applications that a text names; None: it names none."""
    parsed: object = None
    with suppress(ValueError, RecursionError):
        parsed = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, strict=False)
    found = _named_in(parsed) if isinstance(parsed, _Pairs) else [*_made_out(text)]
    if not found and nested > 0:
        found = [name for inner in _nested(text) for name in _named(inner, nested - 1) or ()]
    return found or None


def _named_in(members: _Pairs) -> list[str]:
    """In a structured CloudEvent, the id is the one of the event inside."""
    found: list[str] = []
    if any(name == "specversion" for name, _ in members):
        for name, value in members:
            if name == "data" and isinstance(value, _Pairs):
                found += _named_in(value)
            elif name == "data_base64" and isinstance(value, str):
                with suppress(binascii.Error, ValueError):
                    found += _named(_text_of(b64decode(value)), 0) or ()
    return found or [value for name, value in members if name == _MEMBER and isinstance(value, str)]


def _made_out(text: str) -> Iterator[str]:
    """The values after the member's name, in a text that is no JSON or has the member deeper inside."""
    ends = _quoted(text)
    for at, (start, end) in enumerate(ends):
        if _unescaped(text[start:end]) != _MEMBER or _COLON.match(text, end + 1) is None:
            continue
        literal = _LITERAL.match(text, end + 1)
        if literal is not None:
            yield literal[1]
        elif at + 2 < len(ends) and not text[end + 1 : ends[at + 2][0] - 1].strip(" \t\r\n:"):
            yield _unescaped(text[slice(*ends[at + 2])])


def _nested(text: str) -> Iterator[str]:
    """The strings of a text that are JSON themselves."""
    # Take every second piece: the others are the text between the strings.
    for string in _strings(text)[::2]:
        if "\\" in string and (inner := _unescaped(string)).lstrip().startswith(("{", "[")):
            yield inner


def _strings(text: str) -> list[str]:
    return [text[start:end] for start, end in _quoted(text)]


def _quoted(text: str) -> list[tuple[int, int]]:
    """The text between each quotation mark and the next one: strings and the text outside of them, in turn.

    If the beginning of the text is cut off, they may be swapped, so both are returned.
    """
    marks = [found.start() for found in _QUOTES.finditer(text) if found[0] == '"']
    return [(start + 1, end) for start, end in pairwise(marks)]


def _unescaped(string: str) -> str:
    if "\\" not in string:
        return string
    text = _ESCAPES.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), string)
    # Join the two halves of a surrogate pair to one character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_halves(text) else text


def _has_halves(text: str) -> bool:
    return any("\ud800" <= character <= "\udbff" for character in text)


def _stands_in(word: str, text: str) -> bool:
    """Whether a word occurs in a text as a whole word."""
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (_belongs(before) or _belongs(after)):
            return True
        at = text.find(word, at + 1)
    return False


def _belongs(character: str) -> bool:
    return character.isalnum() or character in _IN_WORDS if character else False
