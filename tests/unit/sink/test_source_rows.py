"""What the database keeps beside events, and what it keeps of nobody."""

import random

from sqlalchemy import Engine, select

from consolidator.keys import event_key
from streams.sink.schema import CURRENT
from tests.inputs.cases import ok, one_factor
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Record, record_of
from tests.simulation.sink import SimulatedSink, SimulatedTopics
from topics.records.erasures import erasure_of

CATALOGUE = one_factor("sum")
SALT = bytes(16)


def sunk(engine: Engine, items, seed: int = 1) -> SimulatedSink:
    """A worker and a sink take the items one by one: each is a cut of its own."""
    topics = SimulatedTopics(CATALOGUE)
    sink = SimulatedSink(engine, topics)
    for at, item in enumerate(items):
        topics.take([Record(at, item.key, item.value) if isinstance(item, Record) else record_of(at, item)])
        sink.run(random.Random(seed))
    return sink


def rows(engine: Engine, table) -> list:
    with engine.connect() as connection:
        return list(connection.execute(select(table)))


def test_further_copies_are_kept_with_their_places(database):
    """In the cut of the first one and in later ones; of several only what was published again."""
    first = ok("a", 1, {"x": 1})
    sunk(database, [first, ok("b", 2, {"x": 2}), first, first])
    assert [(row.event_id, row.source_offset) for row in rows(database, CURRENT.event_copies)] == [
        (rows(database, CURRENT.lifecycle_events)[0].event_id, 2),
        (rows(database, CURRENT.lifecycle_events)[0].event_id, 3),
    ]
    assert rows(database, CURRENT.incomplete_applications) == []


def test_of_an_erased_event_no_copy_remains(database):
    """A tombstone takes its copies away, late ones stay out, and the application is noted as incomplete."""
    first = ok("a", 1, {"x": 1}) | {"event_id": "gone"}
    application = first["application_id"]
    sunk(database, [first, first, Tombstone(application, "gone"), first, ok("b", 2, {"x": 2})])
    assert rows(database, CURRENT.event_copies) == []
    assert [row.execution_id for row in rows(database, CURRENT.lifecycle_events)] == ["b"]
    assert [tuple(row) for row in rows(database, CURRENT.incomplete_applications)] == [(application, 0)]


def test_an_erased_application_is_named_nowhere(database):
    """Neither by what was there, nor by tombstones and bad records that come after its erasure."""
    first = ok("a", 1, {"x": 1}) | {"event_id": "gone"}
    application = first["application_id"]
    erasure = erasure_of(application, SALT)
    items = [
        first,
        first,
        Record(0, event_key(application, "refused"), b"no JSON"),
        Record(0, erasure.key, erasure.value),
        Tombstone(application, "gone"),
        Record(0, event_key(application, "late"), b"no JSON"),
    ]
    sunk(database, items)
    for table in CURRENT.metadata.tables.values():
        assert [row for row in rows(database, table) if application in map(str, row)] == [], table.name
    assert [row.state for row in rows(database, CURRENT.erased_applications)] == ["erased"]


def test_a_lift_is_remembered(database):
    """Events count again, and whoever asks learns that there was an erasure."""
    first = ok("a", 1, {"x": 1})
    erasure = erasure_of(first["application_id"], SALT)
    lift = erasure_of(first["application_id"], SALT, lifted=True)
    control = [Record(0, one.key, one.value) for one in (erasure, lift)]
    sunk(database, [first, *control, ok("b", 2, {"x": 2})])
    assert [row.state for row in rows(database, CURRENT.erased_applications)] == ["lifted"]
    assert [row.execution_id for row in rows(database, CURRENT.lifecycle_events)] == ["b"]


def test_each_time_is_kept_once(database):
    """Only what is later than everything before it: a clock that goes back adds nothing."""
    topics = SimulatedTopics(CATALOGUE)
    sink = SimulatedSink(database, topics)
    times = [50, 50, 51, 40, 51, 60]
    batch = [record_of(at, ok(f"e{at}", at)) for at in range(len(times))]
    topics.take([Record(one.offset, one.key, one.value, 1_800_000_000_000 + times[one.offset]) for one in batch])
    sink.run(random.Random(3))
    found = [
        (row.recorded_at_ms - 1_800_000_000_000, row.source_offset) for row in rows(database, CURRENT.record_times)
    ]
    assert found == [(50, 0), (51, 2), (60, 5)]
    assert rows(database, CURRENT.sink_position)[0].record_time_ms == 1_800_000_000_060
