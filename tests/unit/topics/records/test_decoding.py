"""Decoding: every kind of bad input has its reason, and two spellings of one event are one event."""

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.errors import BadEventError, Defect
from models.events import ALL_ATTEMPTS, Status
from models.lengths import MAX_ID_BYTES, MAX_NAME_BYTES
from topics.records.decoding import FAR_FUTURE_MICROS, MAX_COUNTER, decode_event

EVENT = {
    "application_id": "app",
    "execution_id": "e1",
    "processor": "bank_statement",
    "status": "completed",
    "occurred_at": "2025-03-03T09:00:00Z",
    "output": {"factors": {"f_revenue_monthly": 10000}},
    "event_id": "evt-1",
}
# 2025-03-03T09:00:00Z in microseconds.
NINE = 1_740_992_400_000_000
LIMIT = 10_000
ABSENT = object()


def raw_of(**changes):
    return json.dumps({name: value for name, value in (EVENT | changes).items() if value is not ABSENT}).encode()


def read(raw=None, **changes):
    return decode_event(raw_of(**changes) if raw is None else raw, max_bytes=LIMIT)


def refusal(raw=None, **changes):
    with pytest.raises(BadEventError) as caught:
        read(raw, **changes)
    return caught.value.defect


def message(raw=None, **changes):
    with pytest.raises(BadEventError) as caught:
        read(raw, **changes)
    return str(caught.value)


def with_text(name, text):
    """The event with one member written exactly so."""
    return raw_of(**{name: "@"}).replace(b'"@"', text.encode())


def test_every_field_arrives():
    """A whole event becomes a typed value, its time in UTC microseconds."""
    event = read(
        attempt=2, sequence=0, supersedes="e0", schema_version=1, occurred_at="2025-03-03T10:00:00.5+01:00", extra=[1]
    )
    assert (event.application_id, event.execution_id, event.processor) == ("app", "e1", "bank_statement")
    assert (event.status, event.attempt, event.sequence) == (Status.COMPLETED, 2, 0)
    assert (event.occurred_at, event.factors) == (NINE + 500_000, {"f_revenue_monthly": 10000})
    assert (event.supersedes, event.event_id, event.code, event.output_ignored) == ("e0", "evt-1", None, False)
    assert len(event.digest) == 32


def test_defaults_are_filled_in():
    """Without them: first attempt, no sequence, no factors, nothing superseded."""
    event = read(output=ABSENT)
    assert (event.attempt, event.sequence, event.factors, event.supersedes) == (1, -1, {}, None)


@pytest.mark.parametrize(
    ("status", "attempt"),
    [
        ("requested", 1),
        ("started", 1),
        ("completed", 1),
        ("failed", 1),
        ("superseded", ALL_ATTEMPTS),
        ("cancelled", ALL_ATTEMPTS),
    ],
)
@pytest.mark.parametrize("written", [ABSENT, None])
def test_an_attempt_left_out_is_the_first_or_all(status, attempt, written):
    """Superseded and cancelled mean all attempts when they name none; null and absent are the same."""
    event = read(status=status, attempt=written, output=ABSENT)
    assert (event.status.text, event.attempt) == (status, attempt)


def test_a_failure_has_a_code():
    """The error's code is kept, its message is not; both may be missing."""
    assert read(status="failed", error={"code": "TIMEOUT", "message": "late"}, output=ABSENT).code == "TIMEOUT"
    assert read(status="failed", error={"message": "late"}).code is None
    assert read(status="failed", error=None).code is None
    assert read(status="completed", error=["ignored"]).code is None


@pytest.mark.parametrize("output", [{"factors": {"f": 1}}, {}, ["of a wrong shape"], "text"])
def test_an_output_is_ignored_on_any_status_but_completed(output):
    """Whatever its shape, it is no factor and no defect there: it is noted."""
    event = read(status="failed", output=output)
    assert (event.factors, event.output_ignored) == ({}, True)
    assert not read(status="failed", output=None).output_ignored
    assert not read(status="completed", output={}).output_ignored


@pytest.mark.parametrize("output", [ABSENT, None, {}, {"factors": None}, {"factors": {}}])
def test_an_empty_output_is_legal(output):
    """A success may have found nothing."""
    assert read(output=output).factors == {}


def test_factors_are_scalars_and_exact():
    """Strings, booleans, nulls and numbers arrive as they are written."""
    raw = with_text("output", '{"factors":{"a":0.10,"b":true,"c":null,"d":"x","e":1,"f":12345678901234567890.123}}')
    factors = read(raw).factors
    assert factors == {
        "a": Decimal("0.10"),
        "b": True,
        "c": None,
        "d": "x",
        "e": 1,
        "f": Decimal("12345678901234567890.123"),
    }
    assert [type(value) for value in factors.values()] == [Decimal, bool, type(None), str, int, Decimal]


WHOLE_NUMBER_MEANT = ['"1"', "true", "1.0", "1e0", "[1]", "{}", '""']


@pytest.mark.parametrize(
    ("raw", "defect"),
    [
        *[
            pytest.param(raw, defect, id=name)
            for name, raw, defect in [
                ("empty", b"", Defect.EMPTY),
                ("no UTF-8", b'{"application_id":"\xff"}', Defect.INVALID_UTF8),
                ("no JSON", b"execution e1 completed", Defect.INVALID_JSON),
                ("byte-order mark", b"\xef\xbb\xbf" + raw_of(), Defect.INVALID_JSON),
                ("truncated", raw_of()[:-1], Defect.INVALID_JSON),
                ("an array", b"[" + raw_of() + b"]", Defect.NOT_AN_OBJECT),
                ("NaN", with_text("output", '{"factors":{"f":NaN}}'), Defect.INVALID_JSON),
                ("infinity, nested", with_text("extra", "[[Infinity]]"), Defect.INVALID_JSON),
                ("1e999", with_text("output", '{"factors":{"f":1e999}}'), Defect.NUMBER_LIMIT),
                ("1e999, nested", with_text("extra", '{"deep":[1e999]}'), Defect.NUMBER_LIMIT),
                ("thousands of digits", with_text("attempt", "9" * 5_000), Defect.NUMBER_LIMIT),
                ("too deep", with_text("extra", "[" * 40 + "]" * 40), Defect.TOO_DEEP),
                ("a key twice", raw_of()[:-1] + b',"status":"failed"}', Defect.DUPLICATE_KEY),
                ("a key twice, escaped", raw_of()[:-1] + b',"st\\u0061tus":"failed"}', Defect.DUPLICATE_KEY),
                ("a factor twice", with_text("output", '{"factors":{"f":1,"f":1}}'), Defect.DUPLICATE_KEY),
                ("too large", raw_of(extra="x" * LIMIT), Defect.TOO_LARGE),
                ("lone surrogate in an id", with_text("execution_id", '"e\\ud800"'), Defect.INVALID_JSON),
                ("lone surrogate in a factor's name", with_text("output", '{"\\udc00":1}'), Defect.INVALID_JSON),
            ]
        ],
        *[
            pytest.param(with_text(name, text), Defect.INVALID_FIELD, id=f"{name}={text}")
            for name in ("attempt", "sequence", "schema_version")
            for text in WHOLE_NUMBER_MEANT
        ],
        *[
            pytest.param(with_text(name, text), Defect.INVALID_FIELD, id=f"{name}={text}")
            for name in ("application_id", "execution_id", "processor", "supersedes", "event_id")
            for text in ('""', "1", "true", "[]", "{}")
        ],
    ],
)
def test_bad_input_has_its_reason(raw, defect):
    """Each kind of the design's bad input is refused for what it is."""
    assert refusal(raw) is defect


@pytest.mark.parametrize("name", ["application_id", "execution_id", "processor", "status", "occurred_at"])
@pytest.mark.parametrize("value", [ABSENT, None])
def test_a_missing_field_is_refused_by_its_name(name, value):
    """Absent and null are the same, and the message says which field it is."""
    with pytest.raises(BadEventError, match=f"^{name} is missing$") as caught:
        read(**{name: value})
    assert caught.value.defect is Defect.MISSING_FIELD


@pytest.mark.parametrize("status", ["done", "COMPLETED", "", 3, True, ["completed"], {}])
def test_an_unknown_status_is_refused(status):
    """Only the six statuses, spelled in small letters, are statuses."""
    assert refusal(status=status) is Defect.UNKNOWN_STATUS


@pytest.mark.parametrize("version", [2, 0, -1, 10**30])
def test_an_unknown_schema_version_is_refused(version):
    """A newer event is not guessed at; versions begin at 1."""
    assert refusal(schema_version=version) is Defect.UNKNOWN_SCHEMA_VERSION
    assert read(schema_version=None) == read()


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempt", 0), ("attempt", -1), ("attempt", MAX_COUNTER + 1), ("sequence", -1), ("sequence", MAX_COUNTER + 1)],
)
def test_a_counter_has_bounds(name, value):
    """Attempts begin at 1 and sequences at 0; neither exceeds 32 bits."""
    assert refusal(**{name: value}) is Defect.INVALID_FIELD
    assert read(attempt=MAX_COUNTER, sequence=MAX_COUNTER).sequence == MAX_COUNTER


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-03T09:00:00",
        "2025-03-03 09:00:00Z",
        "2025-03-03",
        "2025-03-03T09:00Z",
        "2025-03-03T090000Z",
        "2025-W10-1T09:00:00Z",
        "2025-03-03T09:00:00,5Z",
        "2025-03-03T09:00:00.Z",
        "2025-03-03T09:00:00+0100",
        "2025-03-03T09:00:00+24:00",
        "2025-03-03T09:00:00+05:99",
        "2025-02-29T09:00:00Z",
        "2025-13-01T09:00:00Z",
        "2025-03-03T24:00:00Z",
        "2025-03-03T09:60:00Z",
        "2025-03-03T09:00:60Z",
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-30T23:59:60Z",
        "2016-06-31T23:59:60Z",
        "2016-09-30T23:59:60Z",
        "2017-01-01T00:00:60Z",
        "1971-12-31T23:59:60Z",
        "9999-12-31T23:59:60Z",
        "2025-03-03T24:00:00.5Z",
        "0000-03-03T09:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "\N{FULLWIDTH DIGIT TWO}025-03-03T09:00:00Z",
        "yesterday",
    ],
)
def test_a_time_that_is_none_is_refused(text):
    """A time needs an offset and has to exist, in the years 1 to 9999 in UTC."""
    assert refusal(occurred_at=text) is Defect.INVALID_TIME


@pytest.mark.parametrize("value", [0, True, [], 1740992400])
def test_a_time_is_a_text(value):
    """Neither a number of seconds nor anything else stands for a time."""
    assert refusal(occurred_at=value) is Defect.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2025-03-03T09:00:00Z", NINE),
        ("2025-03-03t09:00:00z", NINE),
        ("2025-03-03T09:00:00.000001Z", NINE + 1),
        ("2025-03-03T09:00:00.5Z", NINE + 500_000),
        ("2025-03-03T09:00:00.9999999Z", NINE + 999_999),
        ("2025-03-03T03:30:00-05:30", NINE),
        ("2025-03-03T09:00:00-00:00", NINE),
        ("2025-03-03T09:00:00.000000999999999999999999999999999999999999Z", NINE),
        ("2025-03-02T23:00:00-10:00", NINE),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_time_is_stored_in_utc_microseconds(text, micros):
    """Every writing of RFC 3339 is read; what is finer than a microsecond is cut off."""
    assert read(occurred_at=text).occurred_at == micros


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("1972-06-30T23:59:60Z", datetime(1972, 7, 1, tzinfo=UTC)),
        ("2015-06-30T23:59:60Z", datetime(2015, 7, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31t23:59:60z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.000000Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.250000Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60.9999999Z", datetime(2017, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)),
        ("2016-12-31T15:59:60-08:00", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T08:59:60+09:00", datetime(2017, 1, 1, tzinfo=UTC)),
        # No leap second so far: a rule decides and not a table, so that the verdict is the same for ever.
        ("2031-06-30T23:59:60Z", datetime(2031, 7, 1, tzinfo=UTC)),
    ],
)
def test_a_leap_second_is_the_instant_that_posix_gives_it(text, following):
    """23:59:60 in UTC, at the end of a June or December from 1972 on, is 00:00:00 of the next day."""
    assert read(occurred_at=text).occurred_at == round(following.timestamp() * 1_000_000)
    assert read(occurred_at=text, event_id=ABSENT) == read(occurred_at=following.isoformat(), event_id=ABSENT)


def test_a_second_that_cannot_be_a_leap_second_is_called_so():
    """The message says where a leap second can be."""
    assert "second 60: only the last minute of June or December in UTC" in message(occurred_at="2025-03-03T09:00:60Z")


def test_the_far_future_is_more_than_a_day_after_the_records_own_time():
    """Exactly 24 hours ahead is a wrong clock, a microsecond more is refused; a file has no time to compare with."""

    def at(recorded_at):
        return decode_event(raw_of(), max_bytes=LIMIT, recorded_at=recorded_at)

    assert at(NINE - FAR_FUTURE_MICROS).occurred_at == NINE
    with pytest.raises(BadEventError) as caught:
        at(NINE - FAR_FUTURE_MICROS - 1)
    assert caught.value.defect is Defect.FAR_FUTURE
    assert at(None).occurred_at == NINE


@pytest.mark.parametrize(
    "output", [[], "x", 1, True, {"factors": []}, {"factors": "x"}, {"factors": {"f": []}}, {"factors": {"f": {}}}]
)
def test_an_output_of_a_wrong_shape_is_refused(output):
    """An output is an object, its factors are one, and a factor is a scalar."""
    assert refusal(output=output) is Defect.INVALID_OUTPUT


@pytest.mark.parametrize("error", [[], "x", 1, {"code": 1}, {"code": ["x"]}])
def test_an_error_of_a_wrong_shape_is_refused(error):
    """A failure's error is an object, its code a string."""
    assert refusal(status="failed", error=error) is Defect.INVALID_FIELD


@pytest.mark.parametrize("text", ["\x00\x1f\x7f", "\u202e gnp.exe", "<script>alert(1)</script>", "\N{BOM}", "a/b%c"])
def test_odd_characters_are_kept(text):
    """Control and bidi characters and markup are data; whoever shows them escapes them."""
    event = read(execution_id=text, application_id=text, output={"factors": {text: text}})
    assert (event.execution_id, event.application_id, event.factors) == (text, text, {text: text})


def test_the_limit_of_bytes_is_inclusive():
    """An event of exactly the greatest size is read."""
    raw = raw_of(extra="")
    raw = raw_of(extra="x" * (LIMIT - len(raw)))
    assert read(raw).event_id == "evt-1"
    assert refusal(raw + b" ") is Defect.TOO_LARGE


def test_a_structured_cloudevent_is_unwrapped():
    """In CloudEvents' structured mode the data is the event; the envelope's own members are not the event's."""
    envelope = {"specversion": "1.0", "id": "other", "source": "/x", "type": "y", "data": EVENT}
    assert read(json.dumps(envelope).encode()) == read()
    assert refusal(json.dumps(envelope | {"data": "text"}).encode()) is Defect.INVALID_FIELD
    assert refusal(json.dumps(envelope | {"data": {}}).encode()) is Defect.MISSING_FIELD
    assert read(specversion="1.0") == read()
    assert read(data={}) == read()


def base64_of(raw, **members):
    envelope = {"specversion": "1.0", "id": "1", "source": "/x", "type": "y"} | members
    return json.dumps(envelope | {"data_base64": b64encode(raw).decode()}).encode()


def test_a_structured_cloudevent_in_base64_is_decoded():
    """Its bytes are judged like any others, and messages say where they stand."""
    assert read(base64_of(raw_of())) == read()
    assert read(base64_of(raw_of(), data=None)) == read()
    for raw, defect in [
        (base64_of(raw_of()[:-1]), Defect.INVALID_JSON),
        (base64_of(b""), Defect.EMPTY),
        (base64_of(b"[]"), Defect.NOT_AN_OBJECT),
        (base64_of(raw_of()[:-1] + b',"status":"failed"}'), Defect.DUPLICATE_KEY),
        (base64_of(gzip.compress(raw_of())), Defect.INVALID_UTF8),
    ]:
        assert refusal(raw) is defect
        assert message(raw).startswith("data_base64 of the CloudEvent: ")
    assert "gzip" in message(base64_of(gzip.compress(raw_of())))
    assert refusal(base64_of(b"{}")) is Defect.MISSING_FIELD
    assert refusal(base64_of(base64_of(raw_of()))) is Defect.MISSING_FIELD


@pytest.mark.parametrize("encoded", ["e30", "e30=\n", "e3 0=", "e3-_", "é30=", 7, ["e30="], {}])
def test_what_is_no_base64_is_refused_by_name(encoded):
    """No other alphabet, no missing padding, no line breaks, no other type."""
    raw = json.dumps({"specversion": "1.0", "data_base64": encoded}).encode()
    assert refusal(raw) is Defect.INVALID_FIELD
    assert "data_base64" in message(raw)


def test_a_cloudevent_with_two_contents_is_refused():
    """Nobody can tell which of them is meant."""
    raw = json.dumps({"specversion": "1.0", "data": EVENT, "data_base64": b64encode(raw_of()).decode()}).encode()
    assert refusal(raw) is Defect.INVALID_FIELD
    assert "both data and data_base64" in message(raw)
    assert read(data_base64="e30=") == read()


@pytest.mark.parametrize(
    ("encode", "defect", "name"),
    [
        (lambda text: text.encode("utf-8-sig"), Defect.INVALID_JSON, "byte-order mark"),
        (lambda text: text.encode("utf-16"), Defect.INVALID_UTF8, "UTF-16"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), Defect.INVALID_UTF8, "UTF-16"),
        (lambda text: text.encode("utf-16-le"), Defect.INVALID_JSON, "UTF-16"),
        (lambda text: text.encode("utf-16-be"), Defect.INVALID_JSON, "UTF-16"),
        (lambda text: text.encode("utf-32"), Defect.INVALID_UTF8, "UTF-32"),
        (lambda text: text.encode("utf-32-be"), Defect.INVALID_JSON, "UTF-32"),
        (lambda text: gzip.compress(text.encode()), Defect.INVALID_UTF8, "gzip"),
        (lambda text: b"\x28\xb5\x2f\xfd" + text.encode(), Defect.INVALID_UTF8, "zstd"),
        (lambda text: b"\x04\x22\x4d\x18\xff" + text.encode(), Defect.INVALID_UTF8, "lz4"),
        (lambda text: b"PK\x03\x04" + text.encode(), Defect.INVALID_JSON, "ZIP"),
        (lambda text: b"\x00\x00\x00\x00\x07" + text.encode(), Defect.INVALID_JSON, "schema registry"),
    ],
)
def test_another_format_is_named(encode, defect, name):
    """Whoever sees the dead letter knows what its producer has to change."""
    raw = encode(raw_of().decode())
    assert refusal(raw) is defect
    assert name in message(raw)


@pytest.mark.parametrize(
    "text",
    [
        *[r"\ud800", r"x\udc00", r"\ud83dx", r"\ud83d\n\ude00", r"\ud83d\ud83d\ude00", r"\ude00\ud83d"],
        *[r"\\\ud800", r"\ud83d\ude00\uDBFF", r"\u00e9\uD800\u00e9"],
    ],
)
@pytest.mark.parametrize("name", ["execution_id", "ignored"])
def test_half_of_a_surrogate_pair_is_named(text, name):
    """Wherever it stands, the message says what it is, and not that the input is truncated."""
    for raw in (with_text(name, f'"{text}"'), raw_of()[:-1] + f',"{text}":1}}'.encode()):
        assert refusal(raw) is Defect.INVALID_JSON
        assert "half of a surrogate pair" in message(raw)


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", r"\\\\ud800", r"\u00e9", "\U0001f600"])
def test_a_whole_pair_is_a_character(text):
    """So is a backslash before letters that look like half of one."""
    raw = with_text("execution_id", f'"{text}"')
    assert read(raw).execution_id == json.loads(f'"{text}"')
    assert "surrogate" not in message(raw[:-1])


IDS = ("application_id", "execution_id", "event_id", "supersedes")


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize(("name", "limit"), [*[(name, MAX_ID_BYTES) for name in IDS], ("processor", MAX_NAME_BYTES)])
def test_an_id_and_a_name_have_a_length_in_bytes(name, limit, character):
    """512 for ids, 256 for names: inclusive, and in UTF-8, whatever the characters are."""
    longest = character * (limit // len(character.encode()))
    longest += "x" * (limit - len(longest.encode()))
    assert getattr(read(**{name: longest}), name) == longest
    assert refusal(**{name: longest + "x"}) is Defect.TOO_LONG
    assert message(**{name: longest + "x"}) == f"{name} has {limit + 1} bytes in UTF-8, the limit is {limit}"


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_factors_name_and_an_errors_code_have_a_length_in_bytes(character):
    """They become labels and columns: 256 bytes; a factor's value and an error's message have none of their own."""
    longest = character * (MAX_NAME_BYTES // len(character.encode()))
    assert read(output={"factors": {longest: "v" * 5_000}}).factors == {longest: "v" * 5_000}
    assert refusal(output={"factors": {"f": 1, longest + "x": None}}) is Defect.TOO_LONG
    assert read(status="failed", error={"code": longest, "message": "m" * 5_000}).code == longest
    assert refusal(status="failed", error={"code": longest + "x"}) is Defect.TOO_LONG


def test_what_is_not_read_has_no_length():
    """An output or an error on a status that ignores it, and members that nobody knows."""
    name = "x" * 1_000
    assert read(status="started", output={"factors": {name: 1}}, error={"code": name}, **{name: name}).output_ignored


@pytest.mark.parametrize("length", [65, 5_000])
def test_a_time_has_a_length(length):
    """Its decimals are cut off anyway."""
    text = "2025-03-03T09:00:00." + "0" * (length - 21) + "Z"
    assert read(occurred_at=text.replace("0" * (length - 21), "0" * 43)).occurred_at == NINE
    assert refusal(occurred_at=text) is Defect.TOO_LONG


@pytest.mark.parametrize("number", ["1e38", "1" + "0" * 38, "0e400", "1.0e-38", "1" + "0" * 38 + ".0"])
def test_a_number_is_judged_by_its_value(number):
    """Zeros at its ends and its exponent are spelling."""
    (value,) = read(with_text("output", f'{{"factors":{{"f":{number}}}}}')).factors.values()
    with_ignored = read(with_text("ignored", f"[{number}]"))
    assert value == Decimal(number)
    assert with_ignored == read()


SPELLINGS = [
    {"attempt": 1},
    {"attempt": None, "sequence": None, "supersedes": None, "schema_version": 1, "error": None},
    {"occurred_at": "2025-03-03T10:00:00.000+01:00"},
    {"unknown": {"trace": 1}},
]


@pytest.mark.parametrize("changes", SPELLINGS)
def test_two_spellings_of_one_event_are_one(changes):
    """Defaults written out, another zone and unknown fields change neither the digest nor the derived id."""
    assert read(event_id=ABSENT, **changes) == read(event_id=ABSENT)


def test_numbers_and_order_are_spelling_too():
    """10000, 10000.0 and 1e4 are one content, and so are members in another order."""
    texts = ['{"a":10000,"b":0}', '{"b":-0.0,"a":10000.00}', '{"b":0e3,"a":1e4}']
    assert len({read(with_text("output", f'{{"factors":{text}}}')).digest for text in texts}) == 1
    assert len({read(output=output).digest for output in (ABSENT, None, {}, {"factors": {}})}) == 1


def test_an_event_without_an_id_has_its_contents():
    """The derived id is the digest in hexadecimal, and an id of its own does not alter the content."""
    nameless = read(event_id=ABSENT)
    assert nameless.event_id == nameless.digest.hex()
    assert read().digest == nameless.digest
    assert read(event_id="other").digest == nameless.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"application_id": "app2"},
        {"execution_id": "e2"},
        {"processor": "credit_check"},
        {"status": "failed"},
        {"attempt": 2},
        {"sequence": 0},
        {"occurred_at": "2025-03-03T09:00:00.000001Z"},
        {"output": {"factors": {"f_revenue_monthly": "10000"}}},
        {"output": {"factors": {"f_revenue_monthly": None}}},
        {"supersedes": "e0"},
    ],
)
def test_another_content_is_another_event(changes):
    """Every known field counts, and a number is not the text of that number."""
    assert read(**changes).digest != read().digest


def test_the_code_of_a_failure_is_content_and_its_message_is_not():
    """Two wordings of one failure are one event; another code is another."""
    first = read(status="failed", error={"code": "TIMEOUT", "message": "late"})
    assert read(status="failed", error={"code": "TIMEOUT", "message": "too late"}).digest == first.digest
    assert read(status="failed", error={"code": "OTHER"}).digest != first.digest


def test_a_refusal_names_the_field_and_never_the_value():
    """What an event held appears in no message."""
    for changes in ({"attempt": "canary"}, {"status": "canary"}, {"occurred_at": "canary"}, {"output": "canary"}):
        with pytest.raises(BadEventError) as caught:
            read(**changes)
        assert "canary" not in str(caught.value)
        assert next(iter(changes)) in str(caught.value)
