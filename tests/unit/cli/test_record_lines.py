"""What tail prints of a record, and where it starts: pure functions of bytes and text."""

import json

import pytest

from streams.cli.output.record_json import is_about, json_line
from streams.cli.output.record_lines import heading, readable_line
from streams.runtime.escaping import escaped
from topics.reading.positions import AtOffset, AtTime, Beginning, End, parse_start
from topics.records import dead_letter_format
from topics.records.adoptions import CATALOGUE_PREFIX, Adoption
from topics.records.bindings import Binding
from topics.records.erasures import erasure_of
from topics.records.record import Record

ESC = "\x1b"


def record(value, *, key=b"app-1/k", headers=()):
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Record("t", 2, 7, 1_767_225_600_123, key, raw, tuple(headers))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", Beginning()),
        ("end", End()),
        ("2:1500", AtOffset(2, 1500)),
        ("1970-01-01T00:00:01Z", AtTime(1000)),
        ("1970-01-01T01:00:01.5+01:00", AtTime(1500)),
        pytest.param("1970-01-01T00:00:00.0001Z", AtTime(1), id="rounded up: nothing from before"),
        pytest.param("1969-12-31T00:00:00Z", AtTime(0), id="before the epoch: never negative"),
    ],
)
def test_a_start_is_read(text, start):
    """Edges, offsets and times with their offset from UTC are understood."""
    assert parse_start(text) == start


def test_a_number_beyond_all_bounds_is_no_payload():
    """An exponent of twenty digits ends no command: the line says what the record is not, in every form."""
    absurd = record(b'{"application_id":"app-1","a":1e99999999999999999999}')
    assert "no JSON object" in readable_line("executions", absurd)
    assert json.loads(json_line(absurd))["key"] == "app-1/k"
    assert is_about("executions", absurd, "app-1")


@pytest.mark.parametrize(
    "text", ["", "start", "2026-01-01T00:00:00", "2026-01-01", "2026-13-01T00:00:00Z", "1:", ":1", "-1:5", "1:2:3"]
)
def test_anything_else_is_refused(text):
    """A time without an offset, an impossible date, or another word is no start."""
    with pytest.raises(ValueError, match="is n"):
        parse_start(text)


@pytest.mark.parametrize("character", [ESC, "\x9b", "\x7f", "\n", "\u202e", "\u2028", "\u200b", "\U000e0001", "\ud800"])
def test_what_could_steer_a_terminal_is_escaped(character):
    """Controls, direction overrides, separators and lone surrogates are printed as JSON escapes, and mean the same."""
    text = escaped(f"a{character}b")
    assert character not in text
    assert json.loads(f'"{text}"') == f"a{character}b"


def test_readable_text_is_left_alone():
    """Letters of any language and symbols are shown as they are."""
    assert escaped("Zoë 東京 ✓ →") == "Zoë 東京 ✓ →"


def test_json_keeps_every_digit():
    """A number is printed as it was published, never by way of a float."""
    value = b'{"f": 1234567890.12345678901234567890,\n "g": 1e2}'
    assert '"value":{"f":1234567890.12345678901234567890,"g":1e2}' in json_line(record(value))


def test_json_names_place_time_key_and_headers():
    """A line has everything that the record has, headers in order and repeated ones kept."""
    line = json.loads(json_line(record({"a": 1}, headers=[("h", b"1"), ("h", None)])))
    assert line == {
        "topic": "t",
        "partition": 2,
        "offset": 7,
        "timestamp": "2026-01-01T00:00:00.123Z",
        "key": "app-1/k",
        "headers": [["h", "1"], ["h", None]],
        "value": {"a": 1},
    }


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param(None, None, id="tombstone"),
        pytest.param(b"not json", "not json", id="text"),
        pytest.param(b'{"a":NaN}', '{"a":NaN}', id="NaN is no JSON"),
        pytest.param(b"[1]", "[1]", id="no object"),
        pytest.param(b"\xff", "base64:/w==", id="bytes"),
        pytest.param(b'{"a":"\xff"}', "base64:eyJhIjoi/yJ9", id="object with invalid UTF-8"),
        pytest.param(b'{"a":' * 5_000, '{"a":' * 5_000, id="too deep"),
    ],
)
def test_json_of_what_is_no_object(raw, shown):
    """A tombstone is null; any other value that is no JSON object is a string."""
    assert json.loads(json_line(record(raw)))["value"] == shown


def test_json_lines_cannot_steer_a_terminal():
    """Foreign text in a value or header is escaped, and one record stays one line."""
    line = json_line(record(f'{{"a":"{ESC}[31m\x9b"}}'.replace(ESC, "\\u001b").encode(), headers=[("h", b"\x1b\n")]))
    assert line.isprintable()
    assert json.loads(line)["value"] == {"a": f"{ESC}[31m\x9b"}


def test_line_of_an_execution():
    """An execution's line names application, processor, execution, status and attempt."""
    event = {
        "application_id": "app-1",
        "processor": "credit_check",
        "execution_id": "e1",
        "status": "failed",
        "attempt": 2,
    }
    assert readable_line("executions", record(event)).split() == [
        "2026-01-01T00:00:00.123Z",
        "app-1",
        "credit_check",
        "e1",
        "failed",
        "2",
    ]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (b"/erasure/ab", {"erasure": "erased"}, "no event, an application's erasure if"),
        (b"/erasure/ab", {"erasure": "lifted"}, "no event, an application's lift if"),
        (b"/erasure/ab", b"\xff", "no event, an application's erasure if"),
        (b"/erasure/ab", None, "no event, an application's erasure if"),
        (b"/ruleset/ab", {"adopts": "x"}, "no event, a ruleset's adoption if"),
    ],
)
def test_line_of_a_record_that_is_no_event(key, value, told):
    """It names no application and no execution: what it is for is said, not a row of dashes."""
    line = readable_line("executions", record(value, key=key))
    assert told in line
    assert line.endswith(key.decode())


def test_line_of_a_change():
    """A change's line says the outcome before and now, each factor before and after, and the cause."""
    change = {
        "application_id": "app-1",
        "processor": "bank_statement",
        "previous_outcome": "consolidated",
        "outcome": "partial",
        "changed": [{"factor": "f_a", "op": "updated", "before": 1.50, "after": 2}, {"factor": "f_b", "before": True}],
        "cause": {"execution_id": "e2", "status": "failed", "attempt": 1},
    }
    line = readable_line("factor-changes", record(change))
    assert "consolidated → partial" in line
    assert line.endswith("f_a: 1.5 → 2, f_b: true → -  (e2 failed, attempt 1)")


def test_line_of_factors():
    """A factors line shows the outcome and each factor's value."""
    factors = {"application_id": "app-1", "processor": "p", "outcome": "partial", "factors": {"f_a": 11000}}
    assert readable_line("factors", record(factors)).endswith("partial      f_a=11000")


def test_line_of_a_dead_letter():
    """A dead letter's line shows where it came from and why, by our own headers, which come last."""
    headers = [
        (dead_letter_format.CLASS, b"older"),
        (dead_letter_format.CLASS, b"invalid_json"),
        (dead_letter_format.MESSAGE, b"line 1: no brace"),
    ]
    line = readable_line("dlq", record(b"\xff", key=b"uat.executions/1/12", headers=headers))
    assert line.split(maxsplit=3)[1:] == ["uat.executions:1:12", "invalid_json", "line 1: no brace"]


@pytest.mark.parametrize("kind", ["executions", "factor-changes", "factors", "dlq"])
@pytest.mark.parametrize("value", [None, b"", b"\x1b", {}, {"changed": 3, "factors": 3, "cause": 3}, {"changed": [1]}])
@pytest.mark.parametrize("key", [None, b"\xff", b"\x1b[2J"])
def test_every_record_has_a_printable_line(kind, value, key):
    """Whatever bytes stand in a topic, a line is shown and steers nothing."""
    assert readable_line(kind, record(value, key=key)).isprintable()


def test_records_are_chosen_by_the_payload_before_the_key():
    """The payload decides which application a record is about; a tombstone's key tells it."""
    assert is_about("executions", record({"application_id": "app-2"}, key=b"app-1/x"), "app-2")
    assert not is_about("executions", record({"application_id": "app-2"}, key=b"app-1/x"), "app-1")
    assert is_about("executions", record(None, key=b"app-1/x"), "app-1")
    assert is_about("executions", record({"specversion": "1.0", "data": {"application_id": "app-3"}}), "app-3")


def test_an_unreadable_dead_letter_is_chosen_by_its_original_key():
    """A dead letter's own key is a place, so the key that it once had is asked."""
    letter = record(b"\xff", key=b"executions/0/1", headers=[(dead_letter_format.KEY, b"app-1/x")])
    assert is_about("dlq", letter, "app-1")
    assert not is_about("dlq", letter, "executions")
    assert not is_about("dlq", record(b"\xff", key=b"executions/0/1"), "executions")


ERASURE = erasure_of("app-1", bytes(16))


def written(key, value):
    return Record("t", 2, 7, 1_767_225_600_123, key, value, ())


@pytest.mark.parametrize(
    ("kind", "entry", "words"),
    [
        ("rulesets", (Adoption(2, 1500, "b" * 8, "a" * 8).key, Adoption(2, 1500, "b" * 8, "a" * 8).value),
         "adoption     from 2:1500 on aaaaaaaa, instead of bbbbbbbb"),
        ("rulesets", (b"binding/1", Binding("lending-2", "p.", moved_from="lending").value),
         "binding      topics with the prefix 'p.' to lending-2, moved from lending"),
        ("rulesets", (CATALOGUE_PREFIX + b"abc", b'{"name":"lending","version":"7","processors":{}}'),
         "catalogue    lending/7 abc"),
        ("erasures", (ERASURE.entry_key(2, 1500), ERASURE.entry_value), "erasure      2:1500"),
        ("erasures", (ERASURE.entry_key(2, 1500), erasure_of("app-1", bytes(16), lifted=True).entry_value),
         "lift         2:1500"),
    ],
)  # fmt: skip
def test_what_the_workers_write_for_each_other_is_read_by_people(kind, entry, words):
    """Which ruleset holds from where on, whose the topics are, what is erased: one line each."""
    line = readable_line(kind, written(*entry))
    assert words in line
    assert line.startswith("2026-01-01T00:00:00")
    assert heading(kind)


@pytest.mark.parametrize("kind", ["rulesets", "erasures"])
@pytest.mark.parametrize(
    "entry",
    [
        (b"adoption/2/7", b'{"schema_version":9}'),
        (b"erasure/2/7", b'{"schema_version":9}'),
        (b"binding/x", b"[]"),
        (b"catalogue/x", b"\xff"),
        (None, b""),
    ],
)
def test_an_entry_of_a_later_version_ends_no_command(kind, entry):
    """The line says that this version does not read it; JSON shows what stands there."""
    assert "nothing that this version reads" in readable_line(kind, written(*entry))
    assert json_line(written(*entry))


def test_an_entry_is_about_the_application_whose_hash_it_has():
    """The id is nowhere in it."""
    entry = written(ERASURE.entry_key(2, 1500), ERASURE.entry_value)
    assert is_about("erasures", entry, "app-1")
    assert not is_about("erasures", entry, "app-2")
