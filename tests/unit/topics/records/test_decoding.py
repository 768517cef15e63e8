"""Decoding: every kind of bad input has its reason, and two spellings of one event are one event."""

from decimal import Decimal

import pytest

from models.errors import BadEventError, Defect
from models.events import ALL_ATTEMPTS, Status
from tests.inputs.one_event import ABSENT, LIMIT, NINE, raw_of, read, refusal, with_text
from topics.records.decoding import MAX_COUNTER


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
