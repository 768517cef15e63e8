"""Exact numbers: canonical JSON text of a scalar, and decimals as integers of a fixed unit.

Factor values are kept as the canonical JSON text of a scalar: ``11000``, ``0.25``, ``true``, ``"NY"``. Comparing texts
compares typed (``true`` is not ``1``), and writing one out costs nothing.

For arithmetic a number is a whole count of ``10**-38``: :data:`MAX_DIGITS` and :data:`MAX_EXPONENT` make that exact for
every number that may come in, and Python's integers make sums exact whatever their size (docs/decisions/0004).
"""

from decimal import Decimal
from json.encoder import encode_basestring as quote
from typing import Final

__all__ = [
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "ONE",
    "Scalar",
    "quote",
    "round_ratio",
    "scalar_text",
    "text_of_units",
    "units_of",
    "within_limits",
]

Scalar = str | bool | int | Decimal
"""What a factor may be on the wire: a JSON string, boolean or number (as int or Decimal, never a float)."""

MAX_DIGITS: Final = 38
"""Most significant digits of a number that comes in: what SQL's NUMERIC(38) and Parquet's decimal128 can hold."""

MAX_EXPONENT: Final = 38
"""Greatest magnitude of a number's decimal exponent; with it 10**-38 divides every number that comes in."""

ONE: Final[int] = 10**MAX_EXPONENT
"""The number 1 in units of 10**-38."""

_INTEGER_LIMIT: Final[int] = 10**MAX_DIGITS

_POWERS: Final = tuple(10**exponent for exponent in range(MAX_EXPONENT + 1))
"""Of ten: looked up, as raising takes longer than all the rest of reading a number."""


def within_limits(number: int | Decimal) -> bool:
    """Whether a number is small enough to be exact everywhere: at most 38 digits and an exponent of at most ±38."""
    if isinstance(number, int):
        return -_INTEGER_LIMIT < number < _INTEGER_LIMIT
    _, digits, exponent = number.as_tuple()
    return (
        isinstance(exponent, int)  # NaN and the infinities have a letter here
        and len(digits) <= MAX_DIGITS
        and exponent >= -MAX_EXPONENT
        and abs(number.adjusted()) <= MAX_EXPONENT
    )


def scalar_text(value: Scalar) -> str:
    """The canonical JSON text of a scalar: plain numbers, no exponent, no trailing zeros, no negative zero."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def units_of(text: str) -> int:
    """A canonical number text as a whole count of 10**-38."""
    whole, _, fraction = text.partition(".")
    units: int = int(whole + fraction) * _POWERS[MAX_EXPONENT - len(fraction)]
    return units


def text_of_units(units: int) -> str:
    """A count of 10**-38 as canonical JSON text."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), ONE)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{MAX_EXPONENT}d}".rstrip("0")


def round_ratio(units: int, divisor: int, scale: int) -> str:
    """``units / divisor`` rounded once, half to even, to ``scale`` decimal places, as canonical JSON text.

    Args:
        units: a count of 10**-38.
        divisor: a whole number above zero.
        scale: decimal places of the result, 0 to 38.
    """
    unit = _POWERS[MAX_EXPONENT - scale]
    step = unit * divisor
    quotient, remainder = divmod(units, step)
    if remainder * 2 > step or (remainder * 2 == step and quotient & 1):
        quotient += 1
    return text_of_units(quotient * unit)
