"""Exact numbers: canonical JSON text of a scalar, and decimals as integers of a fixed unit.

Factor values are kept as the canonical JSON text of a scalar: ``11000``, ``0.25``, ``true``, ``"NY"``. Comparing texts
compares typed (``true`` is not ``1``), and writing one out costs nothing.

For arithmetic a number is an integer multiple of ``10**-38``: :data:`MAX_DIGITS` and :data:`MAX_EXPONENT` make that
exact for every number that may come in, and Python's integers make sums exact whatever their size
(docs/decisions/0004).

Which numbers may come in is judged by value, never by spelling (docs/decisions/0018): zero; and every other number
that is a multiple of ``10**-38``, is below ``10**39``, and has at most 38 significant digits once the zeros at both
ends are left away. So ``1e38`` and a 1 with 38 zeros are one number with one verdict, as are ``0e400`` and ``0``.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from json.encoder import encode_basestring as quote
from typing import Final

__all__ = [
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "ONE",
    "Scalar",
    "exact_number",
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
"""Most significant digits of a number that comes in, without the zeros at its ends."""

MAX_EXPONENT: Final = 38
"""Greatest exponent of a number's first digit, and of its last one with a minus: 10**-38 divides every number."""

ONE: Final[int] = 10**MAX_EXPONENT
"""The number 1 in units of 10**-38."""

_INTEGER_LIMIT: Final[int] = 10**MAX_DIGITS
# A number of one digit more is within the limits if the last one is a zero.
_LONGEST_INTEGER: Final[int] = 10 * _INTEGER_LIMIT
_ZERO: Final = Decimal(0)

# This context refuses a number that does not fit before it computes with the exponent: so 1e999999999 costs no more
# than 1e39.
_LIMITS: Final = Context(
    prec=MAX_DIGITS, Emax=MAX_EXPONENT, Emin=-MAX_EXPONENT, traps=[Inexact, InvalidOperation, Overflow]
)

_POWERS: Final = tuple(10**exponent for exponent in range(MAX_EXPONENT + 1))
"""A table of the powers of ten: computing one would take longer than all other steps of reading a number."""


def within_limits(number: int | Decimal) -> bool:
    """Whether a number is within the limits, by its value (see the module). NaN and the infinities are not."""
    if isinstance(number, int):
        if -_INTEGER_LIMIT < number < _INTEGER_LIMIT:
            return True
        return -_LONGEST_INTEGER < number < _LONGEST_INTEGER and number % 10 == 0
    if not number.is_finite():
        return False
    try:
        return _has_38_places(_LIMITS.plus(number))
    except ArithmeticError:
        return False


def exact_number(text: str) -> Decimal | None:
    """The number in a JSON text; None: it is not within the limits.

    Raises nothing, and takes time in proportion to the text, whatever its exponent says.
    """
    try:
        number = _LIMITS.create_decimal(text)
    except ArithmeticError:
        return None
    if not number:
        # A zero is returned without its exponent, which means nothing.
        return _ZERO
    return number if _has_38_places(number) else None


def _has_38_places(number: Decimal) -> bool:
    """Whether a number of at most 38 digits is a multiple of 10**-38."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_EXPONENT:
        exponent = number.normalize(_LIMITS).as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_EXPONENT


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
