"""Published records as a subscriber reads them."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidator import SubscriberError, UnreadableRecordError, decode_change, decode_factors, factor_value
from consolidator.testing import encode, sample_change, sample_factors

READERS = [(decode_change, encode(sample_change())), (decode_factors, encode(sample_factors()))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("11000", 11000),
        ("-1", -1),
        ("0", 0),
        ("0.10", Decimal("0.10")),
        ("-0.5", Decimal("-0.5")),
        ("1." + "3" * 37, Decimal("1." + "3" * 37)),
        ("true", True),
        ("false", False),
        ('"true"', "true"),
        ('"N\\u0059 \\"é\\""', 'NY "é"'),
        ('""', ""),
    ],
)
def test_a_factors_value_is_exact(text, value):
    """A whole number is an int, a fraction a Decimal with every digit; a text that looks like a word is a text."""
    found = factor_value(msgspec.Raw(text.encode()))
    assert (type(found), str(found)) == (type(value), str(value))


@given(
    st.one_of(
        st.text(),
        st.booleans(),
        st.integers(-(10**38), 10**38),
        st.decimals(allow_nan=False, allow_infinity=False, places=9),
    )
)
def test_any_scalar_comes_back(value):
    """What a producer can give, a subscriber gets: of the same kind, and equal."""
    found = sample_factors(factors={"f": value}).values()["f"]
    assert (found, isinstance(found, bool), isinstance(found, str)) == (
        value,
        isinstance(value, bool),
        isinstance(value, str),
    )


@pytest.mark.parametrize(("decode", "raw"), READERS, ids=["change", "factors"])
def test_a_later_member_is_ignored_and_a_later_version_is_not(decode, raw):
    """A member more is no error; a number more means that this package would misread the record."""
    assert decode(raw[:-1] + b',"later":1}') == decode(raw)
    with pytest.raises(UnreadableRecordError, match=r"has schema_version 2, this version .* knows 1") as caught:
        decode(raw.replace(b'"schema_version":1', b'"schema_version":2'))
    assert caught.value.newer_version == 2


@pytest.mark.parametrize(("decode", "raw"), READERS, ids=["change", "factors"])
@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda _: b"", lambda _: b"[]", lambda _: b'{"a":"\xff"}'])
def test_what_is_no_published_record_is_refused(decode, raw, damage):
    """The error is the package's own, and a ValueError as well."""
    with pytest.raises(UnreadableRecordError, match="the value is not what a worker publishes") as caught:
        decode(damage(raw))
    assert isinstance(caught.value, SubscriberError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.newer_version is None
    assert caught.value.detail


def test_values_are_immutable():
    """Whoever gets a change may hand it on."""
    with pytest.raises(AttributeError):
        sample_change().outcome = "cleared"
