"""CloudEvents, with the official package as the other side: what we publish it reads, what it writes we read.

The package is an oracle of tests alone: its JSON codec makes floats, and loses digits.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_binary_event,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from consolidator.records import decode_factors
from models.errors import BadEventError
from tests.inputs.cases import ok
from tests.inputs.workloads import Rates, believable, load_catalogue, to_json
from tests.oracle.folds import MAX_EVENT_BYTES, Partition, records_of
from topics.records.decoding import decode_event

EVENT = ok("e-1", 1, {"f": 10000}, event_id="event-1")
ATTRIBUTES = {"id": "event-1", "type": "consolidator.execution.completed", "source": "/lender", "specversion": "1.0"}


def decoded(raw: bytes) -> Any:
    return decode_event(raw, max_bytes=MAX_EVENT_BYTES)


@pytest.fixture(scope="module")
def published() -> Partition:
    """A day of sixty applications."""
    partition = Partition(load_catalogue())
    partition.take(*records_of(believable(3, 60, rates=Rates(erased=0.05))))
    return partition


def test_what_is_published_are_events_in_binary_mode(published: Partition) -> None:
    """The package finds each attribute in the headers, the record's key, and the value as data."""
    types = {"factor-changes": "consolidator.factor-change.v1", "factors": "consolidator.factors.v1"}
    assert {sent.topic for sent in published.sent} == set(types)
    for sent in published.sent:
        found = from_kafka_event(KafkaMessage(dict(sent.headers), sent.key, sent.value))
        payload = json.loads(sent.value)
        assert found.get_data() == payload
        assert found.get_specversion() == "1.0"
        assert found.get_type() == types[sent.topic]
        assert found.get_source() == "/consolidator"
        assert found.get_subject() == payload["application_id"]
        assert found.get_datacontenttype() == "application/json"
        assert found.get_extension("partitionkey") == sent.key.decode()
        if sent.topic == "factor-changes":
            assert found.get_id() == payload["id"]


def test_the_package_writes_the_headers_that_we_write(published: Partition) -> None:
    """Read and written again, a record has the same headers: none is missing, misspelled or spare.

    The package adds its own clock as ``ce_time``, which is optional.
    """
    for sent in published.sent:
        message = KafkaMessage(dict(sent.headers), None, sent.value)
        written = to_binary_event(from_binary_event(message)).headers
        assert {name: value for name, value in written.items() if name != "ce_time"} == dict(sent.headers)


@pytest.mark.parametrize("data", [json.loads(to_json(EVENT)), to_json(EVENT)], ids=["data", "data_base64"])
def test_an_event_in_structured_mode_is_read(data: Any) -> None:
    """As the package writes it: an object as ``data``, bytes as ``data_base64``."""
    message = to_structured_event(CloudEvent(ATTRIBUTES | {"datacontenttype": "application/json"}, data))
    assert message.headers == {"content-type": b"application/cloudevents+json"}
    assert decoded(message.value) == decoded(to_json(EVENT))


def test_an_event_in_binary_mode_is_its_payload() -> None:
    """The headers are not read: the payload decides."""
    message = to_binary_event(CloudEvent(ATTRIBUTES, json.loads(to_json(EVENT))))
    assert decoded(message.value) == decoded(to_json(EVENT))


def test_an_envelope_without_data_erases_nothing() -> None:
    """Structured mode has no tombstone: the envelope is a value, and becomes a dead letter."""
    message = to_structured_event(CloudEvent(ATTRIBUTES, None))
    assert message.value
    with pytest.raises(BadEventError):
        decoded(message.value)


def test_an_empty_value_is_no_tombstone() -> None:
    """The package writes no null for an event without data, but an empty value, which is a dead letter as well."""
    message = to_binary_event(CloudEvent(ATTRIBUTES, None))
    assert message.value == b""
    with pytest.raises(BadEventError):
        decoded(message.value)


def test_the_packages_reader_loses_digits() -> None:
    """Why values are read from the record's bytes: the package makes a float of 38 digits, the client a Decimal."""
    exact = Decimal("1." + "3" * 37)
    partition = Partition({"processors": {}})
    partition.take(*records_of([ok("e", 1, {"f": exact})]))
    [sent] = [sent for sent in partition.sent if sent.topic == "factors"]
    event = from_kafka_event(KafkaMessage(dict(sent.headers), sent.key, sent.value))
    data: Any = event.get_data()
    assert Decimal(repr(data["factors"]["f"])) != exact
    assert decode_factors(sent.value).values() == {"f": exact}
