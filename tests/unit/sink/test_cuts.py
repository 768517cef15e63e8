"""How far a cut may go, and what fences, refuses and quarantines."""

import random
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from models.errors import ContractError, SettingsError
from streams.sink.database import migrate, transaction, url_of
from streams.sink.lane import Cursor, Lane
from streams.sink.ownership import FencedError, Installed, claim, database_id
from streams.sink.schema import CURRENT
from streams.sink.writing import CutWriter
from tests.inputs.cases import failed, ok, one_factor
from tests.oracle.folds import Record as Item
from tests.oracle.folds import record_of
from tests.simulation.sink import ABSENCE_MS, NOW_MS, START, SimulatedSink, SimulatedTopics
from topics.reading.progress import Published
from topics.records.record import Record

CATALOGUE = one_factor("sum")


def consolidated(*items) -> SimulatedTopics:
    """Topics as they are when a worker has consolidated these, in one batch."""
    topics = SimulatedTopics(CATALOGUE)
    topics.take(
        [replace(item, offset=at) if isinstance(item, Item) else record_of(at, item) for at, item in enumerate(items)]
    )
    return topics


def lane_of(topics: SimulatedTopics, *, changes: int, bound: Published) -> Lane:
    """All events are read, and so many changes."""
    lane = Lane(0, START, bound=bound)
    lane.events.extend(topics.source)
    lane.events_end = len(topics.source)
    for record in topics.changes[:changes]:
        lane.take_change(record)
        lane.changes_end = record.offset + 1
    return lane


def rows(engine: Engine, table) -> list:
    with engine.connect() as connection:
        return list(connection.execute(select(table)))


THREE = (ok("a", 1, {"x": 1}), failed("b", 2), ok("c", 3, {"x": 2}))


def test_the_gap():
    """The offset is committed and the changes cannot be read yet: a cut goes as far as the last change, and no further.

    A naive reader takes the last stable offset for the end of the changes: it would show events without their results.
    """
    topics = consolidated(*THREE)
    bound = topics.bound
    assert (bound.consolidated, bound.changes) == (3, 3)
    for read in range(3):
        stable = Published(bound.consolidated, read, 0)
        assert lane_of(topics, changes=read, bound=stable).frontier() == 3, "the naive reader"
        assert lane_of(topics, changes=read, bound=bound).frontier() == max(0, read - 1)
    assert lane_of(topics, changes=3, bound=bound).frontier() == 3


def test_nothing_is_shown_behind_the_worker():
    """Events and changes that were read already wait until the worker's offset is known to be behind them."""
    topics = consolidated(*THREE)
    assert lane_of(topics, changes=3, bound=Published(1, 3, 0)).frontier() == 1
    unknown = lane_of(topics, changes=3, bound=topics.bound)
    unknown.bound = None
    assert unknown.next_cut(10) is None


def test_positions_move_without_records():
    """Markers and aborted records take offsets: an end that is reached without a record counts."""
    topics = consolidated(ok("a", 1), ok("a", 1))
    lane = lane_of(topics, changes=1, bound=Published(2, 9, 4))
    assert lane.frontier() == 0
    lane.changes_end = 9
    assert lane.frontier() == 0, "dead letters are missing"
    lane.letters_end = 4
    assert lane.frontier() == 2


@pytest.mark.parametrize("seed", range(60))
def test_a_cut_moves_over_markers_and_never_over_what_is_not_consolidated(seed):
    """Between what the workers consolidated and the next record there is nothing to wait for; behind it there is."""
    rng = random.Random(seed)
    offsets = sorted(rng.sample(range(30), rng.randrange(1, 8)))
    records = [Record("executions", 0, one, NOW_MS, b"k", b"v", ()) for one in offsets]
    consolidated = rng.choice([0, *(one + 1 for one in offsets)])
    read_to = rng.randrange(offsets[-1] + 4)
    lane = Lane(0, START, events_end=read_to, bound=Published(consolidated, 0, 0))
    lane.events.extend(one for one in records if one.offset < read_to)
    end = lane.frontier()
    assert [one for one in offsets if consolidated <= one < end] == []
    assert end <= max(read_to, 0)
    if read_to >= consolidated:
        waiting = [one for one in offsets if consolidated <= one < read_to]
        assert end == (waiting[0] if waiting else read_to)
    unread = Lane(0, START, events_end=read_to, bound=Published(consolidated, 1, 0))
    unread.events.extend(lane.events)
    assert unread.frontier() == 0, "a change is missing"


def test_topics_that_were_begun_anew_are_refused():
    """A change of a version before the cut: nothing may be written over what is there."""
    topics = consolidated(*THREE)
    lane = Lane(0, Cursor(2, 0, 0))
    with pytest.raises(ContractError, match="consolidated anew"):
        lane.take_change(topics.changes[0])


def test_the_fence(database):
    """Whoever has read a cut before another one took the partition over writes no row of it."""
    topics = consolidated(*THREE)
    first = SimulatedSink(database, topics)
    while first.lane.frontier() < 3:
        first.read(random.Random(1))
    second = SimulatedSink(database, topics, "other")
    with pytest.raises(FencedError):
        first.write(10)
    assert rows(database, CURRENT.lifecycle_events) == rows(database, CURRENT.factor_changes) == []
    second.run(random.Random(2))
    with pytest.raises(FencedError):
        first.write(10)
    assert len(rows(database, CURRENT.lifecycle_events)) == len(rows(database, CURRENT.factor_changes)) == 3
    [position] = rows(database, CURRENT.sink_position)
    assert (position.next_offset, position.owner, position.owner_epoch) == (3, "other", 2)


class FailingWriter(CutWriter):
    """Fails with the last statements of a transaction."""

    def _write_letters(self, *_) -> None:
        raise ZeroDivisionError


def test_a_failure_in_the_middle_leaves_nothing(database):
    """The cut and its rows are one transaction: what fails at its end was not there at all."""
    topics = consolidated(*THREE)
    failing = SimulatedSink(database, topics, writer=FailingWriter)
    while failing.lane.frontier() < 3:
        failing.read(random.Random(1))
    with pytest.raises(ZeroDivisionError):
        failing.write(10)
    assert rows(database, CURRENT.lifecycle_events) == []
    assert rows(database, CURRENT.sink_position)[0].next_offset == 0
    SimulatedSink(database, topics).run(random.Random(1))
    assert len(rows(database, CURRENT.factor_changes)) == 3


@pytest.mark.postgres
def test_a_row_that_the_database_refuses_is_quarantined(postgres):
    """PostgreSQL takes no NUL: that event's rows are named with their cause, all others are there."""
    from streams.sink.database import open_for_writing  # noqa: PLC0415

    engine = open_for_writing(url_of(postgres.new_database()))
    migrate(engine)
    topics = consolidated(ok("a", 1, {"x": 1}), ok("with\0nul", 2, {"x": 5}), ok("c", 3, {"x": 2}))
    sink = SimulatedSink(engine, topics)
    sink.run(random.Random(3))
    assert [row.execution_id for row in rows(engine, CURRENT.lifecycle_events)] == ["a", "c"]
    refused = rows(engine, CURRENT.sink_quarantine)
    assert {(row.record_offset, row.target) for row in refused} == {(1, "lifecycle_events"), (1, "factor_changes")}
    assert all("nul" not in row.cause for row in refused)
    assert [row.value for row in rows(engine, CURRENT.factors)] == ["8"]
    assert [row.application_id for row in rows(engine, CURRENT.incomplete_applications)] == ["app"]
    engine.dispose()


def test_a_sink_that_was_away_too_long_is_refused(database):
    """Tombstones may have left the topics meanwhile."""
    claim(database, 0, owner="a", beginning=START, now_ms=NOW_MS, absence_ms=ABSENCE_MS)
    claim(database, 0, owner="b", beginning=START, now_ms=NOW_MS + ABSENCE_MS, absence_ms=ABSENCE_MS)
    with pytest.raises(ContractError, match="erasures may have been missed"):
        claim(database, 0, owner="c", beginning=START, now_ms=NOW_MS + ABSENCE_MS + 1, absence_ms=ABSENCE_MS)


def test_a_log_that_lost_what_is_next_is_refused(database):
    """Behind a gap nothing is written."""
    claim(database, 0, owner="a", beginning=START, now_ms=NOW_MS, absence_ms=ABSENCE_MS)
    with pytest.raises(ContractError, match="what is between is gone"):
        claim(database, 0, owner="a", beginning=Cursor(5, 0, 0), now_ms=NOW_MS, absence_ms=ABSENCE_MS)


def test_a_database_belongs_to_one_installation(database):
    """Another group, topic, topic id or partition count is refused, with both named."""
    here = Installed("consolidator", "executions", "id", 4)
    assert database_id(database, here, "x") == database_id(database, here, "y") == "x"
    with pytest.raises(ContractError, match="Use another database"):
        database_id(database, replace(here, topic_id="other"), "z")


def test_a_schema_of_a_later_version_is_refused(database):
    """Its tables may mean something else."""
    from sqlalchemy import text  # noqa: PLC0415

    with transaction(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ContractError, match="later version"):
        migrate(database)


@pytest.mark.parametrize("url", ["mysql://a:secret@b/c", "secret", "sqlite://", "sqlite:///:memory:", "://secret"])
def test_other_urls_are_refused_without_repeating_them(url):
    """A password may stand in it."""
    with pytest.raises(SettingsError) as refused:
        url_of(url)
    assert "secret" not in str(refused.value)
