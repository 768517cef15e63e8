"""Strict JSON: refuses what lenient parsers accept, at the speed of a lenient parser.

``msgspec`` parses; it already refuses NaN, Infinity, a byte-order mark, trailing text and lone surrogates, and gives
every fraction as an exact :class:`~decimal.Decimal`. It keeps the last of two equal keys, though. Every key is followed
by a colon, so if the text has no more colons than there are keys in the result, no key was lost. If it has more
(strings may contain colons, too), the keys are counted more exactly, and finally by the standard library, which returns
every pair.
"""

import json
import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from models.errors import BadEventError, Defect
from models.numbers import MAX_DIGITS, MAX_EXPONENT, exact_number, within_limits
from topics.records.foreign_formats import foreign_format, has_half_a_surrogate_pair

__all__ = ["LOST_DEPTH", "MAX_DEPTH", "parse_object"]

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and objects. An event needs three levels; the rest is room for fields we ignore."""

LOST_DEPTH: Final = 500
"""The limit of nesting for a text in which a duplicate key has lost a value: up to it, the text is refused for the key,
beyond it for its depth. Both parsers can handle this depth with every Python version, even below hundreds of calls.
Their own limits differ between Python versions, but a verdict must not."""

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")

_INTEGER_LIMIT: Final = 10**MAX_DIGITS
_LEAST_INTEGER: Final = -_INTEGER_LIMIT
_TIME_KEY: Final = "occurred_at"
"""The one field of an event that has colons in its value."""


def _number(text: str) -> Decimal:
    """The exact value of a JSON fraction; called by the parser."""
    # A short number without an exponent has fewer digits and decimal places than the limits.
    if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
        return Decimal(text)
    number = exact_number(text)
    if number is None:
        raise _number_limit()
    return number


_decoder: Final = msgspec.json.Decoder(float_hook=_number)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Returns:
        The object; integers as int, other numbers as Decimal.

    Raises:
        BadEventError: empty, not UTF-8, not JSON, not an object, a key twice, too deep, or a number beyond 38 digits.
    """
    if not raw:
        raise BadEventError(Defect.EMPTY, "the value is empty")
    try:
        value = _decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise _malformed(raw, str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    except msgspec.ValidationError:
        # msgspec refuses an integer of thousands of digits.
        raise _number_limit() from None
    except msgspec.DecodeError as error:
        raise _malformed(raw, str(error)) from None
    if type(value) is not dict:
        raise BadEventError(Defect.NOT_AN_OBJECT, "the top level is not a JSON object")
    if _may_have_lost_a_key(raw, _count_keys(value, 1), value.get(_TIME_KEY)):
        _refuse_duplicate_keys(raw)
    return value


def _may_have_lost_a_key(raw: bytes, keys: int, time: Any) -> bool:
    if b"\\" in raw:
        # Escaped colons or quotes would make the counts wrong.
        return True
    colons = raw.count(b":") - (time.count(":") if type(time) is str else 0)
    if colons == keys:
        return False
    # The more exact count does not find keys with white space before their colon.
    return raw.count(b'":') != keys or b" :" in raw or b"\n" in raw or b"\r" in raw or b"\t" in raw


def _malformed(raw: bytes, reason: str) -> BadEventError:
    """The error for a value that cannot be parsed, with its probable format."""
    known = foreign_format(raw)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return BadEventError(Defect.INVALID_UTF8, "the value is not UTF-8" + ("" if known is None else f": {known}"))
    if known is not None:
        return BadEventError(Defect.INVALID_JSON, f"the value is not JSON: {known}")
    if has_half_a_surrogate_pair(raw):
        return BadEventError(
            Defect.INVALID_JSON,
            r"an escape from \ud800 to \udfff stands alone: half of a surrogate pair is no character",
        )
    return BadEventError(Defect.INVALID_JSON, reason)


def _too_deep() -> BadEventError:
    return BadEventError(Defect.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels")


def _number_limit() -> BadEventError:
    return BadEventError(
        Defect.NUMBER_LIMIT,
        f"a number has more than {MAX_DIGITS} significant digits or an exponent beyond ±{MAX_EXPONENT}",
    )


def _count_keys(value: Any, depth: int) -> int:
    """Count the keys of an object or array and below; refuse integers beyond the limit and nesting beyond the cap."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    keys = 0
    children = value
    if type(value) is dict:
        keys = len(value)
        children = value.values()
    for child in children:
        kind = type(child)
        if kind is str:
            continue
        if kind is int:
            if not _LEAST_INTEGER < child < _INTEGER_LIMIT and not within_limits(child):
                raise _number_limit()
        elif kind is dict or kind is list:
            keys += _count_keys(child, depth + 1)
    return keys


def _refuse_duplicate_keys(raw: bytes) -> None:
    if _is_deeper(raw, LOST_DEPTH):
        raise _too_deep()
    # Integers stay texts, because Python refuses to parse thousands of digits. Their limits were checked already.
    json.loads(raw, object_pairs_hook=_unique, parse_int=str, parse_float=str)


def _is_deeper(raw: bytes, limit: int) -> bool:
    """Whether a JSON text is nested deeper than a limit, also in values that were lost because of a repeated key."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        if bracket in b"[{":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise BadEventError(Defect.DUPLICATE_KEY, "an object has the same key twice")
    return unique
