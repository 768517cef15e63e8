"""Structured-mode CloudEvents: the event is their data, whichever way it is written."""

import gzip
import json
from base64 import b64encode

import pytest

from models.errors import Defect
from tests.inputs.one_event import EVENT, message, raw_of, read, refusal
from topics.records.content import event_of, payload_of
from topics.records.record import Record


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
        (base64_of(gzip.compress(raw_of(), mtime=0)), Defect.INVALID_UTF8),
    ]:
        assert refusal(raw) is defect
        assert message(raw).startswith("data_base64 of the CloudEvent: ")
    assert "gzip" in message(base64_of(gzip.compress(raw_of(), mtime=0)))
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


def test_whoever_looks_for_an_application_finds_it_in_an_envelope_too():
    """tail, dlq and erase read the event inside, and take what holds none for an event of its own."""

    def found(raw):
        record = Record("executions", 0, 0, 0, b"foreign", raw, ())
        return event_of(payload_of(record)).get("application_id")

    assert found(base64_of(raw_of())) == "app"
    assert found(json.dumps({"specversion": "1.0", "data": EVENT}).encode()) == "app"
    assert found(raw_of()) == "app"
    for raw in (base64_of(b"{"), base64_of(raw_of(), data=EVENT), b'{"specversion":"1.0","data":1}'):
        assert found(raw) is None
