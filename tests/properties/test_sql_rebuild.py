"""A rebuild that is broken off and goes on, beside a sink that moves on, comes to the same rows, for any log."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from streams.sink.database import migrate, open_for_snapshots, open_for_writing, transaction, url_of
from streams.sink.ownership import database_id
from streams.sink.schema import CURRENT, SINK_DATABASE
from streams.sink.sets.table_sets import drop_beside
from streams.sink.upkeep.rebuild import Rebuild
from streams.sink.upkeep.verify import Verification
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, batches
from tests.properties.test_sql_view import HOME, PARTITIONS, empty, source_logs
from tests.simulation.sink import SimulatedSink, SimulatedTopics
from tests.simulation.upkeep import BrokenOffError, log_of
from tests.unit.sink.upkeep.words import quiet, rows

EXAMPLES = 40
"""Each one is a whole rebuild, or several: some seconds for ten."""


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Engine]:
    """A file, as two connections look at it."""
    with TemporaryDirectory() as directory:
        engine = open_for_writing(url_of(f"sqlite:///{directory}/model.db"))
        migrate(engine)
        yield engine
        engine.dispose()


def rebuild(engine: Engine, topics: SimulatedTopics, rng: random.Random, breaks: list[int]) -> None:
    """Begin once for each number, the process ending so many polls later, and once more; then switch."""
    snapshots = open_for_snapshots(engine.url)
    try:
        for breaks_after in breaks:
            with closing(Rebuild(engine, snapshots, log_of(topics, rng, breaks_after=breaks_after))) as one:
                one.begin(restart=False)
                try:
                    assert [*one.run(quiet)] == []
                except BrokenOffError:
                    continue
        with closing(Rebuild(engine, snapshots, log_of(topics, rng))) as one:
            one.begin(restart=False)
            assert [*one.run(quiet)] == []
            report = one.report()
            assert not report.explained
            assert [part.digest for part in report.partitions] == [part.log_digest for part in report.partitions]
            one.switch(quiet)
    finally:
        snapshots.dispose()


def verify(engine: Engine, topics: SimulatedTopics, rng: random.Random) -> None:
    snapshots = open_for_snapshots(engine.url)
    try:
        with TemporaryDirectory() as scratch:
            assert [*Verification(snapshots, log_of(topics, rng), Path(scratch)).run(quiet)] == []
    finally:
        snapshots.dispose()


def check_one(engine: Engine, data: st.DataObject) -> None:
    split = data.draw(batches(data.draw(source_logs())))
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    with transaction(engine) as connection:
        drop_beside(connection)
        connection.execute(SINK_DATABASE.delete())
    empty(engine)
    topics = SimulatedTopics(ADVERSARIAL_CATALOGUE, partition=HOME, partitions=PARTITIONS)
    database_id(engine, log_of(topics, rng).installed, "db")
    half = data.draw(st.integers(0, len(split)))
    for batch in split[:half]:
        topics.take(batch)
    running = SimulatedSink(engine, topics)
    while running.lane.at.next < topics.consolidated and rng.random() < 0.9:
        running.read(rng)
        running.write(rng.randrange(1, 4))
    rebuild(engine, topics, rng, data.draw(st.lists(st.integers(0, 4), max_size=3)))
    for batch in split[half:]:
        topics.take(batch)
    SimulatedSink(engine, topics).run(rng)
    verify(engine, topics, rng)
    after = {name: rows(engine, table) for name, table in CURRENT.by_name.items() if name != "sink_position"}
    with transaction(engine) as connection:
        drop_beside(connection)
    empty(engine)
    SimulatedSink(engine, topics).run(rng)
    assert after == {name: rows(engine, table) for name, table in CURRENT.by_name.items() if name != "sink_position"}


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_sqlite_is_built_anew(sqlite: Engine, data: st.DataObject) -> None:
    """For any log, broken off at any moments."""
    check_one(sqlite, data)


@pytest.mark.postgres
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_postgresql_is_built_anew(postgresql: Engine, data: st.DataObject) -> None:
    """Likewise."""
    check_one(postgresql, data)
