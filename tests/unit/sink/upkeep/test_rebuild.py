"""A second set of tables beside the running one: built, compared, switched to, and back."""

import random

import pytest
from sqlalchemy import inspect, text

from models.errors import ContractError
from streams.sink.database import migrate, transaction
from streams.sink.lane import Cursor
from streams.sink.ownership import FencedError
from streams.sink.schema import CURRENT, NEXT, PREVIOUS
from streams.sink.upkeep.switching import hold, switch, switch_back
from tests.inputs.cases import ok
from tests.oracle.folds import record_of
from tests.simulation.sink import ABSENCE_MS, NOW_MS, START, SimulatedSink, SimulatedTopics
from tests.simulation.upkeep import BrokenOffError
from tests.unit.sink.upkeep.words import LOG, belongs, quiet, rebuild, rebuilding, rows, taken, verify

PLACES = {0: START}


@pytest.fixture
def topics(database) -> SimulatedTopics:
    """A log with rows of every table, and a database that has them."""
    found = taken(*LOG)
    belongs(database, found)
    SimulatedSink(database, found).run(random.Random(1))
    return found


def more(topics: SimulatedTopics, *names: str) -> None:
    """Further events, each consolidated by itself."""
    for name in names:
        offset = topics.consolidated
        topics.take([record_of(offset, ok(name, 100 + offset, {"x": offset}))])


def tables(engine) -> set[str]:
    return {*inspect(engine).get_table_names()}


def back(engine, *, first=PLACES, now_ms=NOW_MS, absence_ms=ABSENCE_MS):
    return switch_back(engine, first=first, now_ms=now_ms, absence_ms=absence_ms)


def test_a_rebuild_comes_to_the_same(database, topics):
    """And changes nothing of what is read, nor of the running sink's positions."""
    before = rows(database, CURRENT.sink_position)
    differences, report = rebuild(database, topics)
    assert differences == []
    assert report.is_equal
    assert report.partitions[0].digest == report.partitions[0].log_digest
    assert report.carried == 0
    assert rows(database, CURRENT.sink_position) == before
    for name, table in CURRENT.by_name.items():
        if name != "sink_position":
            assert rows(database, table) == rows(database, NEXT.by_name[name])


def test_what_is_damaged_is_whole_after_the_switch(database, topics):
    """A difference is named and forbids nothing: one rebuilds because of it. What was there is the previous set."""
    whole = rows(database, CURRENT.factors)
    with transaction(database) as connection:
        connection.execute(CURRENT.factors.update().values(value="4711"))
        connection.execute(CURRENT.lifecycle_events.delete())
    damaged = rows(database, CURRENT.factors)
    differences, report = rebuild(database, topics, switched=True)
    assert {(one.table, one.sort) for one in differences} == {
        ("factors", "differs"),
        ("lifecycle_events", "only_in_log"),
    }
    assert not report.is_equal
    assert rows(database, CURRENT.factors) == whole
    assert rows(database, PREVIOUS.factors) == damaged
    assert NEXT.factors.name not in tables(database)
    with transaction(database) as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM processor_executions")).scalar() == 3


def test_a_switch_fences_the_running_sink(database, topics):
    """Its compare-and-set fails on the new tables, and it takes them over by itself; nothing is lost or doubled."""
    more(topics, "e", "f")
    running, rng = SimulatedSink(database, topics), random.Random(2)
    while running.lane.frontier() < topics.consolidated:
        running.read(rng)
    rebuild(database, topics, switched=True)
    with pytest.raises(FencedError):
        running.write(100)
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"a", "b", "c"}
    SimulatedSink(database, topics).run(random.Random(3))
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"a", "b", "c", "e", "f"}
    with pytest.raises(FencedError):
        running.write(100)


def test_no_epoch_comes_again(database, topics):
    """Whoever was frozen with an epoch of another set of the same name hits no row, however many sets there were."""
    seen = set()

    def fresh(table) -> None:
        epoch = rows(database, table)[0][4]
        assert epoch not in seen
        assert all(epoch > one for one in seen)
        seen.add(epoch)

    fresh(CURRENT.sink_position)
    for _ in range(3):
        for restart in (False, True):
            rebuild(database, topics, restart=restart)
            fresh(NEXT.sink_position)
        rebuild(database, topics, switched=True)
        fresh(CURRENT.sink_position)
        back(database)
        fresh(CURRENT.sink_position)
        SimulatedSink(database, topics)
        fresh(CURRENT.sink_position)


def test_the_way_back(database, topics):
    """The previous set goes on from its own, earlier place; and forth again, as nothing is dropped."""
    rebuild(database, topics, switched=True)
    more(topics, "e")
    SimulatedSink(database, topics).run(random.Random(3))
    running = SimulatedSink(database, topics)
    assert back(database) == {0: (len(LOG) + 1, len(LOG))}
    assert "e" not in {row[2] for row in rows(database, CURRENT.lifecycle_events)}
    more(topics, "f")
    rng = random.Random(2)
    while running.lane.frontier() < topics.consolidated:
        running.read(rng)
    with pytest.raises(FencedError):
        running.write(100)
    SimulatedSink(database, topics).run(random.Random(4))
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"a", "b", "c", "e", "f"}
    back(database)
    SimulatedSink(database, topics).run(random.Random(4))
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"a", "b", "c", "e", "f"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"first": {0: Cursor(len(LOG) + 1, 0, 0)}}, "what is between is gone"),
        ({"now_ms": NOW_MS * 2}, "erasures may have been missed"),
    ],
)
def test_no_way_back_where_the_log_does_not_go_on(database, topics, options, why):
    """As a sink that was away for so long would be refused."""
    rebuild(database, topics, switched=True)
    before = rows(database, CURRENT.sink_position)
    with pytest.raises(ContractError, match=why):
        back(database, **options)
    assert rows(database, CURRENT.sink_position) == before


def test_no_way_back_where_nothing_was_switched(database, topics):
    """There are no previous tables."""
    assert topics.consolidated
    with pytest.raises(ContractError, match="no previous tables"):
        back(database)


def test_a_sink_that_moved_meanwhile_is_not_switched_away(database, topics):
    """The new tables are behind it: readers would see an earlier cut."""
    rebuild(database, topics)
    held = hold(database, "rebuild")
    more(topics, "e")
    SimulatedSink(database, topics).run(random.Random(3))
    assert not switch(database, held)
    assert NEXT.factors.name in tables(database)
    assert not switch(database, hold(database, "rebuild"))


def test_the_running_sink_moves_on_while_it_is_built(database, topics):
    """What it moves to is built, too, and both are compared at one cut."""
    with rebuilding(database, topics, random.Random(5)) as one:
        one.begin(restart=False)
        one.begin(restart=False)
        more(topics, "e")
        SimulatedSink(database, topics).run(random.Random(3))
        assert [*one.run(quiet)] == []
        more(topics, "f")
        SimulatedSink(database, topics).run(random.Random(3))
        one.switch(quiet)
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"a", "b", "c", "e", "f"}


def test_two_rebuilds_do_not_write_over_each_other(database, topics):
    """The second one has taken the tables over; the first one ends, and says why."""
    with rebuilding(database, topics, random.Random(5), breaks_after=1) as first:
        first.begin(restart=False)
        with pytest.raises(BrokenOffError):
            [*first.run(quiet)]
        assert rebuild(database, topics)[0] == []
        before = rows(database, NEXT.sink_position)
        # It was frozen only.
        with pytest.raises(ContractError, match="another `consolidator sink rebuild`"):
            [*first.run(quiet)]
        assert rows(database, NEXT.sink_position) == before


def test_it_goes_on_where_it_was_broken_off(database, topics):
    """Nothing is read twice that is written already."""
    place = 0
    for breaks_after in range(1, 9):
        with rebuilding(database, topics, random.Random(5), breaks_after=breaks_after) as one:
            one.begin(restart=False)
            with pytest.raises(BrokenOffError):
                [*one.run(quiet)]
        place = rows(database, NEXT.sink_position)[0][1]
        if place > 0:
            break
    assert 0 < place < len(LOG)
    with rebuilding(database, topics, random.Random(5)) as one:
        assert not one.begin(restart=False)
        assert rows(database, NEXT.sink_position)[0][1] == place
        assert [*one.run(quiet)] == []
    with rebuilding(database, topics, random.Random(5)) as one:
        assert one.begin(restart=True)
        assert rows(database, NEXT.sink_position)[0][1] == 0


def test_what_the_log_has_forgotten_is_taken_over(database, topics, tmp_path):
    """Letters after thirty days; and an event that was erased stays erased, though it was published again since."""
    with transaction(database) as connection:
        # A record that the worker refused for a limit of its state: only its dead letter says so.
        table = CURRENT.lifecycle_events
        connection.execute(table.delete().where(table.c.execution_id == "a"))
        [letter] = [*connection.execute(CURRENT.dead_letters.select())]
        connection.execute(CURRENT.dead_letters.insert().values((letter[0], 0, 0, *letter[3:])))
        connection.execute(CURRENT.dead_letters.update().values(letter_offset=0))
    copy = record_of(len(LOG), ok("d", 4, {"x": 5}))
    topics.take([copy])
    SimulatedSink(database, topics).run(random.Random(1))
    topics.source[:] = [one for one in topics.source if one.key != copy.key or one.offset == copy.offset]
    topics.letters.clear()
    first = Cursor(0, 0, 1)
    wanted = rows(database, CURRENT.lifecycle_events), rows(database, CURRENT.dead_letters)
    differences, report = rebuild(database, topics, switched=True, first=first)
    assert differences == []
    assert report.carried == 3
    assert not report.explained
    assert (rows(database, CURRENT.lifecycle_events), rows(database, CURRENT.dead_letters)) == wanted
    assert verify(database, topics, tmp_path / "scratch", first=first)[1].is_equal


def test_an_erasure_reaches_the_sets_beside(database, topics):
    """An application's, and a single event's: no table keeps what the current ones have lost."""
    from tests.oracle.expected import Tombstone  # noqa: PLC0415
    from tests.oracle.folds import Record  # noqa: PLC0415
    from topics.records.erasures import erasure_of  # noqa: PLC0415

    rebuild(database, topics, switched=True)
    rebuild(database, topics)
    offset = topics.consolidated
    topics.take([record_of(offset, Tombstone("app", "a-completed-1-None-None"))])
    SimulatedSink(database, topics).run(random.Random(3))
    for each in (CURRENT, NEXT, PREVIOUS):
        assert {row[2] for row in rows(database, each.lifecycle_events)} == {"b", "c"}
    erasure = erasure_of("app", bytes(16), lifted=False)
    record = record_of(offset + 1, ok("x", 1))
    topics.take([Record(offset + 1, erasure.key, erasure.value, record.timestamp, record.headers)])
    SimulatedSink(database, topics).run(random.Random(3))
    for each in (CURRENT, NEXT, PREVIOUS):
        assert not any(rows(database, table) for table in (each.lifecycle_events, each.factors, each.factor_changes))
    back(database)
    SimulatedSink(database, topics).run(random.Random(3))
    assert rows(database, CURRENT.lifecycle_events) == []


def test_a_log_that_was_cut_off_can_be_built_anew(database, topics):
    """The running sink refuses to go on from its cut; nothing is compared, and what the log has is built."""
    more(topics, "e", "f")
    kept = topics.consolidated - 1
    topics.source[:] = [one for one in topics.source if one.offset >= kept]
    differences, report = rebuild(database, topics, switched=True, first=Cursor(kept, len(topics.changes) - 1, 0))
    assert differences == []
    assert report.partitions[0].next_offset is None
    assert PREVIOUS.factors.name not in tables(database)
    assert {row[2] for row in rows(database, CURRENT.lifecycle_events)} == {"f"}


def test_tables_that_missed_erasures_are_not_kept(database, topics):
    """No sink was there for longer than Kafka keeps tombstones: nothing would ever erase what is in them."""
    with transaction(database) as connection:
        connection.execute(CURRENT.sink_position.update().values(seen_at_ms=0))
    with rebuilding(database, topics, random.Random(5)) as one:
        one.begin(restart=False)
        assert [*one.run(quiet)] == []
        assert not one.switch(quiet)
    assert not any(name.startswith(("next_", "previous_")) for name in tables(database))
    SimulatedSink(database, topics)


def test_a_migration_drops_what_stands_beside(database, topics):
    """Sets of another schema cannot be gone on with, and epochs stay above theirs."""
    rebuild(database, topics, switched=True)
    rebuild(database, topics)
    epochs = [rows(database, each.sink_position)[0][4] for each in (CURRENT, NEXT, PREVIOUS)]
    migrate(database)
    assert NEXT.factors.name in tables(database)
    from streams.sink.sets.table_sets import drop_beside  # noqa: PLC0415

    with transaction(database) as connection:
        drop_beside(connection)
    assert not any(name.startswith(("next_", "previous_")) for name in tables(database))
    assert rows(database, CURRENT.sink_position)[0][4] > max(epochs)
    assert rebuild(database, topics)[0] == []


def test_names_are_those_of_a_new_set(database, topics):
    """After any switches tables, keys and indexes are called as the migrations call them."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    def names() -> set[str]:
        found = inspect(database)
        return {
            str(name)
            for table in found.get_table_names()
            for name in (
                *(one["name"] for one in found.get_indexes(table)),
                found.get_pk_constraint(table)["name"],
            )
            if not table.startswith(("previous_", "alembic"))
        }

    before = names()
    for _ in range(2):
        rebuild(database, topics, switched=True)
        assert names() == before
    back(database)
    assert names() == before
    with database.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in CURRENT.metadata.tables}
        )
        assert compare_metadata(context, CURRENT.metadata) == []
