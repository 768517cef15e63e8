"""A client knows where the worker publishes a record again, from the record alone: held against the worker's edge."""

import json
from base64 import b64encode
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consolidator.keys import event_key, partition_of
from consolidator.source_records import ERASURE_HEADER
from consolidator.waiting.copies import SourceRecord, copy_of
from models.events import LifecycleEvent
from streams.partition.record_kinds import Edge, Foreign
from streams.partition.ruleset_switches import NoSwitches
from topics.records.erasure_authority import NoErasure

PARTITIONS = 4
IDS = st.one_of(st.sampled_from(["a", "b", "a/b", "50%", "ü"]), st.text(min_size=1, max_size=5))
EVENT = {
    "application_id": "a",
    "execution_id": "e",
    "processor": "p",
    "status": "started",
    "occurred_at": "2025-03-03T09:00:00Z",
}


@dataclass
class Record:
    """A record as the worker's edge takes it."""

    key: bytes | None
    value: bytes | None
    headers: tuple = ()
    offset: int = 7
    timestamp: int = 1_800_000_000_000


def kind_of(record, partition):
    """What the worker takes a record for."""
    [kind], _ = Edge(partition, PARTITIONS, 1 << 18).classified([record], NoSwitches(), NoErasure())
    return kind


def known(record, partition):
    """What the client knows about its copy."""
    headers = tuple(name for name, _ in record.headers)
    source = SourceRecord(partition, record.offset, record.timestamp, record.key, record.value, headers)
    return copy_of(source, PARTITIONS)


def plain(event):
    return event


def enveloped(event):
    return {"specversion": "1.0", "id": "1", "data": event}


def encoded(event):
    return {"specversion": "1.0", "data": None, "data_base64": b64encode(json.dumps(event).encode()).decode()}


def annotated(event):
    """An event with a member of this name is no envelope."""
    return {"specversion": "1.0", **event}


@example(application_id="a", event_id=None, wrap=plain, keyed_by="/", partition=0, at_home=False)
@given(
    application_id=IDS,
    event_id=st.one_of(st.none(), IDS),
    wrap=st.sampled_from([plain, enveloped, encoded, annotated]),
    keyed_by=st.one_of(st.none(), IDS),
    partition=st.integers(0, PARTITIONS - 1),
    at_home=st.booleans(),
)
def test_the_client_and_the_worker_agree_about_events(application_id, event_id, wrap, keyed_by, partition, at_home):
    """Whichever key and partition an event has: the same copy, or none."""
    event = EVENT | {"application_id": application_id} | ({} if event_id is None else {"event_id": event_id})
    if at_home:
        partition = partition_of(application_id, PARTITIONS)
    value = json.dumps(wrap(event)).encode()
    key = (keyed_by or "x").encode() if event_id is None or keyed_by else event_key(application_id, event_id)
    agree(Record(key, value), partition)


def agree(record, partition):
    kind, copy = kind_of(record, partition), known(record, partition)
    if isinstance(kind, Foreign):
        assert copy is not None
        assert copy.partition == kind.partition
        assert copy.is_it(kind.key, record.value)
        assert not copy.is_it(kind.key, b"another value")
        assert not copy.is_it(None, record.value)
    else:
        assert isinstance(kind, LifecycleEvent)
        assert copy is None or not copy.is_certain
        assert copy is None or not copy.is_it(record.key, record.value)


def test_an_event_without_an_id_may_have_its_derived_key():
    """Whether it has one cannot be told from a producer's own digest: its copy is looked for, and need not be there."""
    value = json.dumps(EVENT).encode()
    home = partition_of("a", PARTITIONS)
    canonical = kind_of(Record(b"x", value), home).key
    agree(Record(canonical, value), home)
    own = b"a/" + b"0" * 64
    copy = known(Record(own, value), home)
    assert not copy.is_certain
    assert copy.is_it(canonical, value)
    assert not copy.is_it(own, value)
    agree(Record(own, value), home)


@pytest.mark.parametrize("key", [b"a/1", b"b/1", b"50%25/1", b"c/1"])
@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_the_client_and_the_worker_agree_about_tombstones(key, partition):
    """Only the key can decide."""
    kind, copy = kind_of(Record(key, None), partition), known(Record(key, None), partition)
    assert isinstance(kind, Foreign) == (copy is not None)
    if copy is not None:
        assert (copy.partition, copy.key) == (kind.partition, kind.key)
        assert copy.is_it(key, None)


def test_a_tombstone_of_an_erasure_has_no_copy():
    """The copy of what it removes has a tombstone of its own."""
    away = (partition_of("a", PARTITIONS) + 1) % PARTITIONS
    assert known(Record(b"a/1", None), away) is not None
    assert known(Record(b"a/1", None, ((ERASURE_HEADER, b"x"),)), away) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"x", None),
        (b"/erasure/x", b"{}"),
        (b"/ruleset/x", b"{}"),
        (b"x", b"no JSON"),
        (b"x", b"[]"),
        (b"x", b"{}"),
        (b"x", b'{"application_id": 1}'),
        (b"x", b'{"application_id": "a", "event_id": 1}'),
        (b"x", b'{"specversion": "1.0", "data_base64": "?"}'),
        (b"x", b'{"specversion": "1.0", "data": 1}'),
    ],
)
def test_what_is_no_event_has_no_copy(key, value):
    """It is a dead letter, or has a meaning of its own."""
    assert known(Record(key, value), 0) is None
