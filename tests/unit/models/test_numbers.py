"""Exact numbers: canonical text, limits, and one rounding, half to even."""

from decimal import Decimal, localcontext

import pytest

from models.numbers import (
    MAX_EXPONENT,
    ONE,
    exact_number,
    round_ratio,
    scalar_text,
    text_of_units,
    units_of,
    within_limits,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (-7, "-7"),
        (10**38 - 1, "9" * 38),
        (Decimal("11000.00"), "11000"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0.250"), "0.25"),
        (Decimal("-0.50"), "-0.5"),
        (Decimal("-0.00"), "0"),
        (Decimal("0E+5"), "0"),
        (Decimal(100), "100"),
        ("NY", '"NY"'),
        ('"\\\n\x00', '"\\"\\\\\\n\\u0000"'),
        ("Zürich", '"Zürich"'),
        ("", '""'),
    ],
)
def test_every_scalar_has_one_text(value, text):
    """Numbers are plain, without exponent, trailing zeros or a negative zero; strings are JSON."""
    assert scalar_text(value) == text


def test_the_text_of_a_number_never_rounds():
    """All 38 digits stand in the text, whatever the decimal context says."""
    number = Decimal("-1234567890123456789012345678901234567.8")
    with localcontext(prec=3):
        assert scalar_text(number) == "-1234567890123456789012345678901234567.8"


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        (10**38 - 1, True),
        (10**38, True),
        (10**38 + 1, False),
        (10**38 + 10, True),
        (10**39 - 10, True),
        (10**39, False),
        (-(10**38) + 1, True),
        (-(10**38), True),
        (-(10**39), False),
        (Decimal("1E+38"), True),
        (Decimal("1E+39"), False),
        (Decimal("1E-38"), True),
        (Decimal("1E-39"), False),
        (Decimal("1.5E-38"), False),
        (Decimal("9" * 38), True),
        (Decimal("9" * 39), False),
        (Decimal("1." + "0" * 37), True),
        (Decimal("1." + "0" * 38), True),
        (Decimal("1." + "0" * 36 + "1"), True),
        (Decimal("1." + "0" * 37 + "1"), False),
        (Decimal("1.0E-38"), True),
        (Decimal("9" * 38 + "0"), True),
        (Decimal("0E+39"), True),
        (Decimal("0E-400"), True),
        (Decimal("1E+999999999"), False),
        (Decimal("1E-999999999"), False),
        (Decimal(0), True),
        (Decimal("NaN"), False),
        (Decimal("sNaN"), False),
        (Decimal("-Infinity"), False),
    ],
)
def test_the_limits_are_38_digits_and_38_places(number, accepted):
    """A number within them is a whole count of 10**-38 below 10**39, of 38 significant digits; others are refused."""
    assert within_limits(number) is accepted


@pytest.mark.parametrize(
    "spellings",
    [
        ["1e38", "1" + "0" * 38, "1" + "0" * 38 + ".000", "0.1e39", "1E+38", "100e36", "1" + "0" * 500 + "e-462"],
        ["0", "-0", "0e400", "0.0e-400", "-0e" + "9" * 5_000, "0." + "0" * 5_000],
        ["1e-38", "1.0e-38", "0.01e-36", "0." + "0" * 37 + "1", "0." + "0" * 37 + "1" + "0" * 500],
        ["2.5", "25e-1", "2.50", "0.00025e4", "2." + "5" + "0" * 5_000],
    ],
)
def test_a_number_has_one_verdict_and_one_text_however_it_is_spelled(spellings):
    """Zeros at the ends and exponents are spelling."""
    (text,) = {scalar_text(exact_number(spelling)) for spelling in spellings}
    assert exact_number(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        *["1e39", "1" + "0" * 39, "0.1e40", "1e-39", "0.1e-38", "1.5e-38", "1e999999999", "1e-999999999"],
        *["1e" + "9" * 30, "-1e-" + "9" * 30, "9" * 39],
        *["9" * 250_000, "0." + "1" * 250_000, "1" + "0" * 250_000],
    ],
    ids=lambda text: text[:20],
)
def test_a_number_beyond_the_limits_is_refused_however_it_is_spelled(text):
    """No exponent is worked out for it."""
    assert exact_number(text) is None


@pytest.mark.parametrize("text", ["0", "1", "-1", "0.25", "-0.5", "1" + "0" * 38, "0." + "0" * 37 + "1", "12000.01"])
def test_units_and_back(text):
    """A canonical text and its count of 10**-38 tell each other."""
    assert text_of_units(units_of(text)) == text
    with localcontext(prec=100):
        assert units_of(text) == Decimal(text) * 10**MAX_EXPONENT


@pytest.mark.parametrize(
    ("values", "scale", "text"),
    [
        (["10000", "12000"], 2, "11000"),
        (["10", "10", "11"], 2, "10.33"),
        (["0.01", "0.02"], 2, "0.02"),
        (["0.02", "0.03"], 2, "0.02"),
        (["-0.01", "-0.02"], 2, "-0.02"),
        (["-0.02", "-0.03"], 2, "-0.02"),
        (["0.2", "0.3"], 0, "0"),
        (["-0.2", "-0.2"], 0, "0"),
        (["1", "2"], 0, "2"),
        (["-1", "-2"], 0, "-2"),
        (["2", "0", "0"], 38, "0." + "6" * 37 + "7"),
        (["100000000000000000000000000000", "1", "-100000000000000000000000000000"], 2, "0.33"),
    ],
)
def test_a_ratio_is_rounded_once_half_to_even(values, scale, text):
    """The exact quotient is rounded, below zero as above; minus zero is 0."""
    assert round_ratio(sum(map(units_of, values)), len(values), scale) == text


def test_one_is_a_whole_count_of_units():
    """The unit divides 1, so every number that may come in is a whole count of it."""
    assert (units_of("1"), text_of_units(ONE), text_of_units(0)) == (ONE, "1", "0")
