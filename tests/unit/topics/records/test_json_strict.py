"""Strict JSON: what every lenient parser lets through is refused, and what is exact stays exact."""

from decimal import Decimal

import pytest

from models.errors import BadEventError, Defect
from topics.records.json_strict import LOST_DEPTH, MAX_DEPTH, parse_object


def refusal(raw):
    with pytest.raises(BadEventError) as caught:
        parse_object(raw)
    return caught.value.defect


def nested(levels, opening=b'{"a":', closing=b"}"):
    return opening * levels + b"1" + closing * levels


@pytest.mark.parametrize(
    ("raw", "defect"),
    [
        pytest.param(b"", Defect.EMPTY, id="empty"),
        pytest.param(b"   ", Defect.INVALID_JSON, id="white space"),
        pytest.param(b"\xff", Defect.INVALID_UTF8, id="no UTF-8"),
        pytest.param(b'{"a":"\xff"}', Defect.INVALID_UTF8, id="no UTF-8 in a value"),
        pytest.param(b'{"\xff":1}', Defect.INVALID_UTF8, id="no UTF-8 in a key"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', Defect.INVALID_UTF8, id="a surrogate in UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), Defect.INVALID_UTF8, id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', Defect.INVALID_JSON, id="byte-order mark"),
        pytest.param(b"{", Defect.INVALID_JSON, id="truncated"),
        pytest.param(b'{"a":1', Defect.INVALID_JSON, id="truncated after a value"),
        pytest.param(b'{"a":"x\\', Defect.INVALID_JSON, id="truncated in an escape"),
        pytest.param(b'{"a":1}}', Defect.INVALID_JSON, id="trailing text"),
        pytest.param(b'{"a":1,}', Defect.INVALID_JSON, id="trailing comma"),
        pytest.param(b"{'a':1}", Defect.INVALID_JSON, id="single quotes"),
        pytest.param(b'{"a":01}', Defect.INVALID_JSON, id="leading zero"),
        pytest.param(b'{"a":"\x01"}', Defect.INVALID_JSON, id="raw control character"),
        pytest.param(b'{\x0b"a":1}', Defect.INVALID_JSON, id="vertical tab"),
        pytest.param(b'{"a":"\\ud800"}', Defect.INVALID_JSON, id="lone high surrogate"),
        pytest.param(b'{"a":"\\udc00 and more text"}', Defect.INVALID_JSON, id="lone low surrogate"),
        pytest.param(b'{"\\ud800\\u0041":1}', Defect.INVALID_JSON, id="lone surrogate in a key"),
        pytest.param(b'{"a":NaN}', Defect.INVALID_JSON, id="NaN"),
        pytest.param(b'{"a":[{"b":NaN}]}', Defect.INVALID_JSON, id="NaN, nested"),
        pytest.param(b'{"a":-Infinity}', Defect.INVALID_JSON, id="infinity"),
        pytest.param(b"[]", Defect.NOT_AN_OBJECT, id="array"),
        pytest.param(b'"x"', Defect.NOT_AN_OBJECT, id="string"),
        pytest.param(b"null", Defect.NOT_AN_OBJECT, id="null"),
        pytest.param(b"1", Defect.NOT_AN_OBJECT, id="number"),
    ],
)
def test_what_is_no_json_object_is_refused_by_its_kind(raw, defect):
    """Each kind of malformed value has its own reason."""
    assert refusal(raw) is defect


@pytest.mark.parametrize(
    "number",
    [
        "1e999",
        "-1e999",
        "1e-999",
        "1e39",
        "1e-39",
        "1.5e-38",
        "9" * 39,
        "-" + "9" * 39,
        "0." + "9" * 39,
        "1." + "0" * 37 + "1",
        "1" + "0" * 39,
        "9" * 4_300,
        "9" * 50_000,
        "0." + "9" * 50_000,
        "1e" + "9" * 25,
        "1e-" + "9" * 25,
    ],
    ids=lambda number: number[:12],
)
@pytest.mark.parametrize("place", ['{"a":%s}', '{"a":[[{"unknown":[1,%s]}]]}'], ids=["top", "nested"])
def test_a_number_beyond_the_limits_is_refused_wherever_it_stands(number, place):
    """More than 38 digits or an exponent beyond 38 never gets in, not even in a field that nobody reads."""
    assert refusal((place % number).encode()) is Defect.NUMBER_LIMIT


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9" * 38, 10**38 - 1),
        ("-" + "9" * 38, 1 - 10**38),
        ("1e38", Decimal("1e38")),
        ("1" + "0" * 38, 10**38),
        ("0e999", Decimal(0)),
        ("0e" + "9" * 25, Decimal(0)),
        ("1e-38", Decimal("1e-38")),
        ("-0", 0),
        ("1.50", Decimal("1.50")),
        ("18446744073709551616", 2**64),
        ("0." + "1" * 37, Decimal("0." + "1" * 37)),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_number_within_the_limits_is_exact(text, value):
    """Integers are int and fractions Decimal, with every digit; nothing goes through a float."""
    found = parse_object(f'{{"a":{text}}}'.encode())["a"]
    assert (found, type(found)) == (value, type(value))
    assert str(found) == str(value)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1},{"c":1,"c":2}]}',
        b'{"a" :1,"a":":x"}',
        b'{"a"\n:1,"a":2}',
        b'{"a"\t:1,\r\n"a"\r:2}',
        b'{"\\u0061":1,"a":2}',
        b'{"a":"b\\":c","b":{"c":"\\":","c":1}}',
        b'{"":1,"":2}',
        b'{"occurred_at":"10:00","occurred_at":"2025-03-03T09:00:00Z"}',
        b'{"occurred_at":"2025-03-03T09:00:00Z","a":{"occurred_at":"::","occurred_at":""}}',
        b'{"a":"x","occurred_at":"::","a":"y"}',
        b'{"a":":::","a":1}',
        b'{"a":1,"a":2,"occurred_at":"\\u003a"}',
        b'{"a":1 ,"b" :2,"a" :3}',
    ],
)
def test_a_key_twice_is_refused_however_it_is_written(raw):
    """Escapes, white space and colons inside strings hide no duplicate."""
    assert refusal(raw) is Defect.DUPLICATE_KEY


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' { "a" : 1 } ', {"a": 1}),
        (b'{"a":1,"b":{"a":1}}', {"a": 1, "b": {"a": 1}}),
        (b'{"a":":","b":"::"}', {"a": ":", "b": "::"}),
        (b'{"a":"\\":\\":"}', {"a": '":":'}),
        (b'{\n\t"a": "x:y"\r\n}', {"a": "x:y"}),
        (b'{"occurred_at":"09:00:00"}', {"occurred_at": "09:00:00"}),
        (b'{"occurred_at":5,"a":":"}', {"occurred_at": 5, "a": ":"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a":[true,false,null,"",[],{}]}', {"a": [True, False, None, "", [], {}]}),
    ],
)
def test_what_is_right_is_read(raw, value):
    """Colons, quotes, escapes and white space in legal places are no offence."""
    assert parse_object(raw) == value


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")], ids=["objects", "arrays"])
def test_nesting_ends_at_the_cap(opening, closing):
    """An object may hold 31 more levels; one level more, or a hundred thousand, is refused and never overflows."""
    inside = nested(MAX_DEPTH - 1, opening, closing)
    assert parse_object(b'{"top":' + inside + b"}")
    assert refusal(b'{"top":' + nested(MAX_DEPTH, opening, closing) + b"}") is Defect.TOO_DEEP
    assert refusal(b'{"top":' + nested(100_000, opening, closing) + b"}") is Defect.TOO_DEEP


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")], ids=["objects", "arrays"])
def test_a_lost_key_may_have_been_nested_deeply(opening, closing):
    """A duplicate key whose first value is nested to any depth is a bad event, and for one reason with every Python."""
    # With Python 3.11 the parsers give up below 1,000 levels, with 3.12 at 1,500, with 3.13 at 10,000.
    depths = (MAX_DEPTH + 1, *range(LOST_DEPTH - 5, 1_100), *range(1_100, 20_000, 100), 100_000)
    defects = [refusal(b'{"a":' + nested(levels, opening, closing) + b',"a":1}') for levels in depths]
    first = depths.index(LOST_DEPTH)
    assert defects == first * [Defect.DUPLICATE_KEY] + (len(depths) - first) * [Defect.TOO_DEEP]


def test_brackets_in_texts_are_no_depth():
    """Only what nests counts: neither what a string holds, escaped quotes included, nor what stands side by side."""
    text = b'"' + b'\\"[{' * LOST_DEPTH + b'"'
    many = b"[" + b",".join([b"{}"] * LOST_DEPTH) + b"]"
    assert parse_object(b'{"a":' + text + b',"b":' + many + b"}")["b"] == [{}] * LOST_DEPTH
    assert refusal(b'{"a":' + text + b',"b":' + many + b',"b":1}') is Defect.DUPLICATE_KEY


def test_a_refusal_does_not_repeat_the_value():
    """The message of an error is free of what the event held: factor values are nobody's business in a log."""
    for raw in (b'{"a":"canary', b'{"canary":1,"canary":2}', b'{"a":"canary\xff"}', b'{"a":[1e99999]}'):
        with pytest.raises(BadEventError) as caught:
            parse_object(raw)
        assert "canary" not in str(caught.value)
        assert "99999" not in str(caught.value)
