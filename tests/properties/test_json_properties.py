"""Laws of strict JSON and of canonical content, against the standard library's slow and thorough parser."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadEventError, Defect
from tests.inputs.strategies import events
from tests.inputs.workloads import to_json
from tests.oracle.folds import MAX_EVENT_BYTES, decoded
from topics.records.decoding import decode_event
from topics.records.json_strict import parse_object

# Texts that look like the structure around them, some of them with an escape.
_TEXTS = st.sampled_from(["a", "b", "", ":", '":', '"a":1', "x:y", "\\", "\n", "occurred_at", "09:00:00Z", "é", "a :"])
_GAPS = st.sampled_from(["", "", "", "", " ", "\n", "\t", " \r\n"])


@st.composite
def _strings(draw: st.DrawFn) -> str:
    """A JSON string, sometimes with its first character escaped although it need not be."""
    text = draw(_TEXTS)
    if text and draw(st.integers(0, 5)) == 0:
        return f'"\\u{ord(text[0]):04x}' + json.dumps(text[1:], ensure_ascii=False)[1:]
    return json.dumps(text, ensure_ascii=False)


def _objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(_GAPS, _strings(), _GAPS, _GAPS, values, _GAPS)
    return st.lists(member.map(lambda m: f"{m[0]}{m[1]}{m[2]}:{m[3]}{m[4]}{m[5]}"), max_size=4).map(
        lambda members: "{" + ",".join(members) + "}"
    )


_SCALARS = _strings() | st.sampled_from(["1", "-0", "0.10", "1e2", "true", "null", "[]", "{}"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: _objects(inner) | st.lists(inner, max_size=3).map(lambda v: f"[{','.join(v)}]"),
    max_leaves=8,
)


class _DuplicateKeyError(Exception):
    pass


def _reference(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise _DuplicateKeyError
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique, parse_float=Decimal)


@given(_objects(_VALUES))
def test_a_key_twice_is_found_exactly_where_it_is(text: str) -> None:
    """However keys, colons, quotes, escapes and white space are arranged: refused if and only if a key comes twice."""
    try:
        wanted = _reference(text)
    except _DuplicateKeyError:
        wanted = Defect.DUPLICATE_KEY
    try:
        found = parse_object(text.encode())
    except BadEventError as error:
        found = error.defect
    assert repr(found) == repr(wanted)


@given(st.binary(max_size=60) | st.text('{}[]":,\\ue0159.-+trulfasn \n').map(str.encode))
def test_no_bytes_at_all_break_the_decoder(raw: bytes) -> None:
    """Whatever arrives is an event or a bad event: nothing else is ever raised."""
    with suppress(BadEventError):
        decode_event(raw, max_bytes=MAX_EVENT_BYTES)


@given(st.data())
def test_another_spelling_is_the_same_event(data: st.DataObject) -> None:
    """Members in another order, defaults written out, unknown fields and white space change nothing of an event."""
    event = data.draw(events(pairs=[("app", "p")], number=0, event_id=data.draw(st.sampled_from(["e", None]))))
    spelled: dict[str, Any] = {"unknown": {"a": [1]}, "schema_version": 1, "sequence": None, "supersedes": None} | event
    if event["status"] not in {"superseded", "cancelled"} and event.get("attempt") is None:
        spelled["attempt"] = 1
    members = data.draw(st.permutations(list(spelled.items())))
    raw = to_json(dict(members)).replace(b',"', b' ,\n "')
    assert decode_event(raw, max_bytes=MAX_EVENT_BYTES) == decoded(event)
