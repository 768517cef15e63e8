"""Whose a record is: however JSON spells an id, and whatever became of the bytes, each is found and no other taken."""

import json
from base64 import b64encode

from hypothesis import assume, given
from hypothesis import strategies as st

from consolidator.keys import event_key
from streams.operations.holdings import Search, Whose
from topics.records.dead_letter_format import KEY
from topics.records.record import Record

SPELT = {"/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
ITS = {Whose.ITS, Whose.MENTIONED}

ids = st.text(st.sampled_from('ab1/"\\\n\t\x00\x1f\x7f-é😀%: ,{}[]'), min_size=1, max_size=6).filter(str.strip)
"""Ids with everything that JSON escapes, or that stands between its strings."""


@st.composite
def spelt(draw, text):
    """A text in one of the spellings that JSON has for it, character by character."""
    parts = []
    for character in text:
        ways = [f"\\u{ord(character):04x}"] if ord(character) < 0x10000 else [json.dumps(character)[1:-1]]
        if character in SPELT:
            ways.append(SPELT[character])
        if character not in '"\\' and ord(character) >= 0x20:
            ways.append(character)
        parts.append(draw(st.sampled_from(ways)))
    return '"' + "".join(parts) + '"'


KINDS = (
    "event",
    "no event",
    "cut off",
    "garbage behind",
    "twice",
    "array",
    "structured",
    "base 64",
    "UTF-16",
    "nested",
)


@st.composite
def values(draw, application):
    """A value that is about an application: an event, a bad one, or what something on the way made of it."""
    member = draw(spelt("application_id"))
    gap = draw(st.sampled_from(["", " ", "\n"]))
    text = f'{{"event_id":"e",{member}{gap}:{gap}{draw(spelt(application))},"status":"started"}}'
    kind = draw(st.sampled_from(KINDS))
    match kind:
        case "no event":
            text = text.replace('"status":"started"', '"status":17')
        case "cut off":
            text = text[: -draw(st.integers(1, 20))]
        case "more behind":
            text += draw(st.sampled_from(["}", '"', "x", "\x00"]))
        case "twice":
            text = text.replace("{", '{"event_id":"f",', 1)
        case "array":
            text = f"[{text}]"
        case "structured":
            text = f'{{"specversion":"1.0","id":"1","data":{text}}}'
        case "base 64":
            text = json.dumps({"specversion": "1.0", "id": "1", "data_base64": b64encode(text.encode()).decode()})
        case "nested":
            text = f'{{"payload":{json.dumps(text)}'
    return text.encode("utf-16" if kind == "UTF-16" else "utf-8")


@st.composite
def records(draw, application):
    """A record of executions that is about an application, under its canonical key, a producer's own, or none."""
    key = draw(st.sampled_from([event_key(application, "e"), b"a-producers-own-key", None]))
    return Record("executions", 0, 1, 0, key, draw(values(application)), ())


def as_letter(record):
    return Record("executions.dlq", 0, 1, 0, b"executions/0/1", record.value, ((KEY, record.key),))


@given(st.data(), ids)
def test_every_record_of_an_application_is_found(data, application):
    """In executions and as a dead letter."""
    record = data.draw(records(application))
    search = Search(application)
    assert search.source(record) in ITS
    assert search.dead_letter(as_letter(record)) in ITS


@given(st.data(), ids, ids)
def test_no_record_of_another_application_is_touched(data, application, other):
    """Also where one id is a part of the other."""
    assume(application != other)
    if data.draw(st.booleans()):
        other = data.draw(st.sampled_from([application + other, other + application]))
    record = data.draw(records(other))
    search = Search(application)
    assert search.source(record) not in ITS
    assert search.dead_letter(as_letter(record)) not in ITS


@given(st.binary(max_size=60), st.sampled_from(["loan-1", "a", '"', "0"]))
def test_of_any_bytes_something_can_be_said(value, application):
    """Nothing that somebody may have published ends the search."""
    search = Search(application)
    assert search.source(Record("executions", 0, 1, 0, None, value, ())) in Whose
