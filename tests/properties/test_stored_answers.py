"""What the database gives of an application is what Kafka gives, or it says that it has not all of it."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from consolidator.keys import partition_of
from consolidator.records import decode_change
from streams.audit.history.as_of import AsOf, known_as_of, true_as_of
from streams.audit.history.timeline import Entry, Fate, timeline
from streams.core.pair_summary import summary_of
from streams.partition.record_kinds import is_adoption
from streams.replay.application_log import ApplicationLog, KeptLog
from streams.rulesets.rule_book import RuleBook
from streams.sink.database import transaction
from streams.sink.reading.snapshot import NotStoredError
from streams.sink.reading.stored import Stored, read_stored
from streams.sink.schema import CURRENT, SINK_DATABASE
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, APPLICATION, OTHER_APPLICATION, event_logs
from tests.oracle.expected import Tombstone
from tests.oracle.folds import MAX_EVENT_BYTES, RECORDED_MS, catalogue_of, record_of
from tests.simulation.adopting_sink import AdoptedTopics, adoption_record
from tests.simulation.sink import SimulatedSink
from topics.contract.declared import Topics
from topics.reading.positions import AtOffset, End
from topics.records.adoptions import Adoption
from topics.records.erasures import erasure_of, is_about_application
from topics.records.record import Record

PARTITIONS = 3
HOME = partition_of(APPLICATION, PARTITIONS)
AFTER = ADVERSARIAL_CATALOGUE | {"version": "2", "processors": {}}
SALT = bytes(range(16))
GROUP = "app"
KEPT = (Fate.FOLDED, Fate.COPY, Fate.RULESET)


@st.composite
def sources(draw: st.DrawFn) -> AdoptedTopics:
    """A partition: copies, mostly without, sometimes with all that no database may hold; adoptions, true and forged."""
    is_odd = draw(st.booleans())
    log: list[Any] = list(draw(event_logs(max_pairs=3, tombstones=is_odd)))
    if is_odd:
        named = [item for item in log if isinstance(item, dict) and "event_id" in item]
        for one in draw(st.lists(st.sampled_from(named), max_size=1)) if named else []:
            log.insert(draw(st.integers(0, len(log))), Tombstone(one["application_id"], one["event_id"]))
        for kind in draw(st.lists(st.sampled_from(["erased", "lifted", "forged", "bad", "foreign"]), max_size=2)):
            log.insert(draw(st.integers(0, len(log))), kind)
    for kind in draw(st.lists(st.sampled_from(["adopted", "claimed"]), max_size=2)):
        log.insert(draw(st.integers(0, len(log))), kind)
    return AdoptedTopics(ADVERSARIAL_CATALOGUE, AFTER, *_placed(draw, log), partition=HOME, partitions=PARTITIONS)


def _placed(draw: st.DrawFn, log: Sequence[Any]) -> tuple[list[Record], list[Adoption]]:
    """The items at offsets with gaps and at times of which several records share one."""
    digests = [catalogue_of(ADVERSARIAL_CATALOGUE).digest, catalogue_of(AFTER).digest]
    offset, now, records = -1, RECORDED_MS, []
    adoptions: list[Adoption] = []
    for item in log:
        offset += draw(st.sampled_from([1, 1, 1, 2, 7]))
        now += draw(st.sampled_from([0, 0, 1, 5]))
        match item:
            case "adopted":
                found = Adoption(HOME, offset, digests[len(adoptions) % 2], digests[(len(adoptions) + 1) % 2])
                adoptions.append(found)
                records.append(adoption_record(found, now))
            case "claimed":
                records.append(adoption_record(Adoption(HOME, offset, "a", "b"), now))
            case "erased" | "lifted" | "forged":
                erasure = erasure_of(APPLICATION, SALT, lifted=item == "lifted")
                key = erasure.key if item != "forged" else b"/erasure/" + b"0" * 64
                records.append(Record("executions", HOME, offset, now, key, erasure.value, ()))
            case "bad" | "foreign":
                of = record_of(offset, {**_EVENT, "application_id": OTHER_APPLICATION})
                value = b"no JSON" if item == "bad" else of.value
                records.append(Record("executions", HOME, offset, now, f"{APPLICATION}/x".encode(), value, ()))
            case _:
                one = record_of(offset, item)
                records.append(Record("executions", HOME, offset, now, one.key, one.value, ()))
    return records, adoptions


_EVENT = {"execution_id": "x", "processor": "p", "status": "started", "occurred_at": "2025-03-03T09:00:00Z"}


def sink_into(engine: Engine, topics: AdoptedTopics) -> SimulatedSink:
    """A sink at an empty database of this installation."""
    with transaction(engine) as connection:
        for table in (*CURRENT.metadata.tables.values(), SINK_DATABASE):
            connection.execute(table.delete())
        connection.execute(insert(SINK_DATABASE).values(("id", GROUP, "executions", "", PARTITIONS)))
    return SimulatedSink(engine, topics)


def in_kafka(topics: AdoptedTopics, application: str, end: int) -> ApplicationLog:
    """The application's log as it is read from the source, up to an offset; nothing is left out for an erasure."""
    records = [one for one in topics.source if is_about_application(one, application)]
    return ApplicationLog(application, KeptLog("executions", PARTITIONS, records), HOME, 0, end)


def is_whole(log: ApplicationLog, topics: AdoptedTopics) -> bool:
    """Whether everything of it may be in a database."""
    return all(
        one.fate in KEPT or is_adoption(one.record.key)
        for one in timeline(log, topics.topics, topics.book, max_event_bytes=MAX_EVENT_BYTES)
    )


def told_entry(entry: Entry) -> Any:
    record = entry.record
    where = (record.topic, record.partition, record.offset, record.timestamp_ms, is_adoption(record.key))
    return where, entry.fate, entry.event_id, entry.event, entry.reason, entry.changes


def told(answer: AsOf, book: RuleBook) -> Any:
    found = {
        name: (summary_of(one.pair, book.of_row(one.pair.row)), one.last_change, one.pair)
        for name, one in answer.processors.items()
    }
    return found, answer.sources.events, [(place, str(error)) for place, error in answer.sources.refused]


def folded(log: ApplicationLog, topics: Topics, book: RuleBook) -> Any:
    """Everything that a log is asked for: its timeline, and what was known and true at each of its records."""
    answers = []
    for record in log.records:
        cut, at = log.cut(record.offset + 1), record.timestamp_ms * 1_000
        answers += [
            told(known_as_of(cut, topics, book, max_event_bytes=MAX_EVENT_BYTES), book),
            told(true_as_of(cut, topics, book, at, max_event_bytes=MAX_EVENT_BYTES), book),
        ]
    entries = timeline(log, topics, book, max_event_bytes=MAX_EVENT_BYTES)
    return [told_entry(entry) for entry in entries], answers


def check_whole(stored: Stored, topics: AdoptedTopics, log: ApplicationLog) -> None:
    """The log, the last changes and the rulesets are those of the topics."""
    book = RuleBook(topics.book.configured, lambda: stored.known)
    assert (stored.log.partition, stored.log.first, stored.log.end) == (log.partition, log.first, log.end)
    assert folded(stored.log, topics.topics, book) == folded(log, topics.topics, topics.book)
    last = {}
    for record in topics.changes:
        change = decode_change(record.value or b"")
        if change.application_id == log.application_id and change.version.offset < log.end:
            last[change.processor] = change, record.offset
    assert [(one.value, one.offset) for one in stored.changes] == [last[name] for name in sorted(last)]


def check_ends(stored: Stored, topics: AdoptedTopics) -> None:
    """A time uses everything before the first record that came later, whatever that is about."""
    for moment, end in stored.ends.items():
        if isinstance(moment, int):
            later = (one.offset for one in topics.source if one.timestamp_ms * 1_000 > moment)
            assert end == min(next(later, stored.log.end), stored.log.end)
        elif isinstance(moment, AtOffset):
            assert end == moment.offset + 1
        else:
            assert end == stored.log.end


def check(engine: Engine, topics: AdoptedTopics, rng: random.Random) -> None:
    """Of each application everything is there, or it is said that it is not."""
    times = [rng.randrange(RECORDED_MS - 2, topics.source[-1].timestamp_ms + 3) * 1_000 + 999 for _ in range(3)]
    for application in (APPLICATION, OTHER_APPLICATION, "nobody-3"):
        if partition_of(application, PARTITIONS) != HOME:
            continue
        with engine.connect() as connection:
            try:
                stored = read_stored(connection, topics.topics, GROUP, application, (*times, End()))
            except NotStoredError as error:
                stored, why = None, str(error)
        whole = in_kafka(topics, application, topics.consolidated)
        if stored is None:
            assert "adopting" in why or not is_whole(whole, topics)
            continue
        log = in_kafka(topics, application, stored.log.end)
        assert is_whole(log, topics)
        check_whole(stored, topics, log)
        check_ends(stored, topics)


def run(engine: Engine, topics: AdoptedTopics, seed: int) -> None:
    rng = random.Random(seed)
    sink = sink_into(engine, topics)
    while sink.lane.at.next < topics.consolidated:
        sink.read(rng)
        if sink.write(rng.randrange(1, 9)) and rng.random() < 0.3:
            check(engine, topics, rng)
    sink.run(rng)
    check(engine, topics, rng)


@given(topics=sources(), seed=st.integers(0, 2**32))
def test_sqlite_gives_what_kafka_gives(sqlite: Engine, topics: AdoptedTopics, seed: int) -> None:
    """For any log and any cuts, at every cut: timeline, what was known and true at any moment, and the last changes."""
    run(sqlite, topics, seed)


@pytest.mark.postgres
@given(topics=sources(), seed=st.integers(0, 2**32))
def test_postgresql_gives_what_kafka_gives(postgresql: Engine, topics: AdoptedTopics, seed: int) -> None:
    """Likewise."""
    run(postgresql, topics, seed)
