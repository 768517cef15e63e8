"""What SQL says is what the core says: the view of standings, the factors, the results, for any log and any cuts."""

import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from consolidator.keys import partition_of
from models.rows import Row
from streams.core.fold import load_pair
from streams.core.standing import Kind, Standing, is_evicted, standing_of
from streams.partition.state.row_codec import decode_row
from streams.sink.database import transaction
from streams.sink.schema import CURRENT
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, APPLICATION, batches, event_logs
from tests.oracle.expected import Tombstone
from tests.oracle.folds import Partition, Record, record_of, rules_of
from tests.simulation.sink import SimulatedSink, SimulatedTopics
from topics.records.erasures import erasure_of

PARTITIONS = 3
HOME = partition_of(APPLICATION, PARTITIONS)
RULES = rules_of(ADVERSARIAL_CATALOGUE)
KEEPING = {name for name, one in ADVERSARIAL_CATALOGUE["processors"].items() if "on_failed_rerun" in one}
SALT = bytes(range(16))

SETS = os.environ.get("CONSOLIDATOR_SQL_SETS")
MANY = int(SETS or 500)
"""Sets in the slow form; 10,000 take some eight minutes."""

ON_POSTGRESQL = int(SETS or settings().max_examples)
"""Without a number of its own, as many as the profile says."""


@st.composite
def source_logs(draw: st.DrawFn) -> list[Record]:
    """A partition's records: copies, tombstones before and after, erasures and lifts, foreign keys, bad ones, gaps."""
    log: list[Any] = list(draw(event_logs(max_pairs=3)))
    named = [item for item in log if isinstance(item, dict) and "event_id" in item]
    for one in draw(st.lists(st.sampled_from(named), max_size=2)) if named else []:
        log.insert(draw(st.integers(0, len(log))), Tombstone(one["application_id"], one["event_id"]))
    for lifted in draw(st.lists(st.booleans(), max_size=2)):
        erasure = erasure_of(APPLICATION, SALT, lifted=lifted)
        log.insert(draw(st.integers(0, len(log))), Record(0, erasure.key, erasure.value))
    if draw(st.booleans()):
        log.insert(draw(st.integers(0, len(log))), Record(0, b"k", b"no JSON"))
    offset, found = -1, []
    for item in log:
        record = item if isinstance(item, Record) else record_of(0, item)
        offset += draw(st.sampled_from([1, 1, 1, 2, 7]))
        key = b"foreign" if record.value is not None and draw(st.integers(0, 19)) == 0 else record.key
        found.append(Record(offset, key, record.value, record.timestamp, record.headers))
    return found


def empty(engine: Engine) -> None:
    with transaction(engine) as connection:
        for table in CURRENT.metadata.tables.values():
            connection.execute(table.delete())


def sink_into(engine: Engine, split: list[list[Record]], rng: random.Random) -> Partition:
    """The worker consolidates batch after batch, and the sink follows, now and then restarted."""
    topics = SimulatedTopics(ADVERSARIAL_CATALOGUE, partition=HOME, partitions=PARTITIONS)
    sink = None
    for batch in split:
        topics.take(batch)
        if sink is None or rng.random() < 0.2:
            sink = SimulatedSink(engine, topics)
        if rng.random() < 0.5:
            sink.read(rng)
            sink.write(rng.randrange(1, 4))
    assert sink is not None
    sink.run(rng)
    return topics.worker


def rows_of(worker: Partition) -> list[Row]:
    rows = [decode_row(raw) for raw in worker.rows.values()]
    return [row for row in rows if isinstance(row, Row)]


def standings(worker: Partition) -> dict[tuple[str, str, str], Standing]:
    """Of each execution, by the core's own rules."""
    found = {}
    for row in rows_of(worker):
        claims = load_pair(row, RULES).claims
        keep = row.processor in KEEPING
        for execution, entries in row.executions.items():
            evicted = is_evicted(execution, row.executions, claims, keep_previous=keep)
            found[row.application_id, row.processor, execution] = standing_of(entries, evicted=evicted)
    return found


def check(engine: Engine, worker: Partition) -> None:
    """The view has each execution as the core has it; so are the factors and the results."""
    with engine.connect() as connection:
        view = connection.execute(text("SELECT * FROM processor_executions")).mappings().all()
        factors = connection.execute(text("SELECT application_id, processor, factor, value FROM factors")).all()
        results = connection.execute(
            text(
                "SELECT application_id, processor, outcome, active, completed, failed, contributing FROM consolidations"
            )
        ).all()
    expected = standings(worker)
    assert len(view) == len(expected)
    for row in view:
        standing = expected[row["application_id"], row["processor"], row["execution_id"]]
        if standing.kind is Kind.OUT:
            assert row["status"] in {"closed", "evicted"}
        else:
            assert row["status"] == standing.kind.value
        if standing.end is not None:
            assert (row["event_id"], row["attempt"]) == (standing.end.event_id, standing.end.attempt)
    pairs = {(row.application_id, row.processor): load_pair(row, RULES) for row in rows_of(worker)}
    assert {tuple(row) for row in factors} == {
        (*key, name, value) for key, pair in pairs.items() for name, value in pair.tally.factors.items()
    }
    assert {tuple(row[:3]): tuple(row[3:]) for row in results} == {
        (*key, str(pair.tally.outcome)): _counts(pair) for key, pair in pairs.items()
    }


def _counts(pair: Any) -> tuple[int, ...]:
    counts = pair.tally.counts
    return counts.active, counts.completed, counts.failed, counts.contributing


def check_one(engine: Engine, data: st.DataObject) -> None:
    split = data.draw(batches(data.draw(source_logs())))
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    empty(engine)
    check(engine, sink_into(engine, split, rng))


@given(data=st.data())
def test_sqlite_says_what_the_core_says(sqlite: Engine, data: st.DataObject) -> None:
    """For any log, cut into any batches and any cuts."""
    check_one(sqlite, data)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(max_examples=MANY)
@given(data=st.data())
def test_sqlite_says_what_the_core_says_of_many(sqlite: Engine, data: st.DataObject) -> None:
    """Likewise, of many more logs."""
    check_one(sqlite, data)


@pytest.mark.postgres
@pytest.mark.timeout(3_600)
@settings(max_examples=ON_POSTGRESQL)
@given(data=st.data())
def test_postgresql_says_what_the_core_says(postgresql: Engine, data: st.DataObject) -> None:
    """Likewise."""
    check_one(postgresql, data)
