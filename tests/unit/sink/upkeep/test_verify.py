"""SQL equals the log: what differs is named, and what Kafka no longer has is no difference."""

import random
from dataclasses import replace

import pytest

from streams.sink.database import transaction
from streams.sink.lane import Cursor
from streams.sink.schema import CURRENT
from tests.inputs.cases import ok
from tests.oracle.folds import Record, record_of
from tests.simulation.sink import NOW_MS, SimulatedSink, SimulatedTopics
from tests.unit.sink.upkeep.words import LOG, belongs, quiet, rows, taken, verify, verifying

EVERY_TABLE = {
    "lifecycle_events",
    "factors",
    "consolidations",
    "factor_changes",
    "dead_letters",
    "erased_events",
    "erased_applications",
    "event_copies",
    "incomplete_applications",
    "record_times",
    "processor_policies",
}
KEPT = {"erased_events", "incomplete_applications", "record_times"}
"""Whose rows may be of records that Kafka no longer has."""


@pytest.fixture
def topics(database) -> SimulatedTopics:
    """A log with rows of every table, and a database that has them."""
    found = taken(*LOG)
    belongs(database, found)
    SimulatedSink(database, found).run(random.Random(1))
    return found


def test_it_is_equal(database, topics, tmp_path):
    """Every table has rows, and the digests of both sides are the same."""
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.is_equal
    assert not report.explained
    [partition] = report.partitions
    assert partition.next_offset == len(LOG)
    assert partition.digest == partition.log_digest
    assert {name for name, (number, _, _) in partition.tables.items() if number} == EVERY_TABLE
    assert list(report.lines())[-1] == "0 differences"


@pytest.mark.parametrize("name", sorted(EVERY_TABLE - KEPT))
def test_a_row_too_many_is_named(database, topics, tmp_path, name):
    """In each table; its key, and not its values."""
    table = CURRENT.by_name[name]
    row = dict(zip(table.columns.keys(), rows(database, table)[0], strict=True))
    key = [*table.primary_key.columns.keys()][-1]
    row[key] = row[key] + 100 if isinstance(row[key], int) else "planted"
    with transaction(database) as connection:
        connection.execute(table.insert().values(**row))
    [difference], report = verify(database, topics, tmp_path / "scratch")
    assert (difference.table, difference.sort, difference.key[key]) == (name, "only_in_database", row[key])
    assert report.differences == {name: 1}
    assert report.partitions[0].digest != report.partitions[0].log_digest


@pytest.mark.parametrize("name", sorted(EVERY_TABLE))
def test_a_row_that_is_missing_is_named(database, topics, tmp_path, name):
    """In each table."""
    table = CURRENT.by_name[name]
    with transaction(database) as connection:
        connection.execute(table.delete())
    found, report = verify(database, topics, tmp_path / "scratch")
    assert {one.table for one in found} == {name}
    assert {one.sort for one in found} == {"only_in_log"}
    assert report.differences == {name: len(found)}


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("lifecycle_events", "status"),
        ("lifecycle_events", "source_offset"),
        ("factors", "value"),
        ("consolidations", "failed"),
        ("factor_changes", "document"),
        ("dead_letters", "state"),
        ("erased_applications", "source_offset"),
        ("processor_policies", "keep_previous"),
        ("sink_position", "ruleset_digest"),
    ],
)
def test_another_value_is_named(database, topics, tmp_path, name, column):
    """By its column; the value is in no message."""
    table = CURRENT.by_name[name]
    values = {"state": "redriven", "keep_previous": False, "source_offset": 4_711, "failed": 4_711}
    with transaction(database) as connection:
        connection.execute(table.update().values({column: values.get(column, "secret")}))
    found, report = verify(database, topics, tmp_path / "scratch")
    assert {(one.table, one.sort, one.columns) for one in found} == {(name, "differs", (column,))}
    assert sum(report.differences.values()) == len(found)
    assert not any("secret" in str(one) or "4711" in str(one.members()) for one in found)


def test_an_adoption_that_the_log_has_not_is_named(database, topics, tmp_path):
    """It would be taken for one by whoever folds the application's log again."""
    with transaction(database) as connection:
        connection.execute(CURRENT.ruleset_adoptions.insert().values((0, 1, NOW_MS, None, None)))
    [difference], _ = verify(database, topics, tmp_path / "scratch")
    assert (difference.table, difference.sort) == ("ruleset_adoptions", "only_in_database")


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_row_that_may_be_of_a_record_that_is_gone_is_counted(database, topics, tmp_path, name):
    """Kafka need not have the record any more, so it is no difference; but the report says that there is one."""
    table = CURRENT.by_name[name]
    row = dict(zip(table.columns.keys(), rows(database, table)[0], strict=True))
    key = [*table.primary_key.columns.keys()][-1]
    row[key] = row[key] + 100 if isinstance(row[key], int) else "planted"
    with transaction(database) as connection:
        connection.execute(table.insert().values(**row))
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert sum(report.explained.values()) == 1


def test_a_quarantined_row_is_explained(database, topics, tmp_path):
    """It is missing, and the database says that it has refused it."""
    event = next(row for row in rows(database, CURRENT.lifecycle_events) if row[2] == "a")
    with transaction(database) as connection:
        connection.execute(CURRENT.lifecycle_events.delete().where(CURRENT.lifecycle_events.c.execution_id == "a"))
        offset = event[CURRENT.lifecycle_events.columns.keys().index("source_offset")]
        place = ("executions", 0, offset, "lifecycle_events", "DataError 22021")
        connection.execute(CURRENT.sink_quarantine.insert().values(place))
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.explained == {"quarantined": 1}


def test_letters_that_kafka_has_dropped_are_explained(database, topics, tmp_path):
    """After thirty days the database remembers them alone; they are no difference, and neither are their events."""
    # A record that the worker refused for a limit of its state can be decoded: only its dead letter says so.
    [letter] = rows(database, CURRENT.dead_letters)
    with transaction(database) as connection:
        table = CURRENT.lifecycle_events
        connection.execute(table.delete().where(table.c.execution_id == "a"))
        connection.execute(CURRENT.dead_letters.insert().values((letter[0], 0, -1, *letter[3:])))
    topics.letters.clear()
    differences, report = verify(database, topics, tmp_path / "scratch", first=Cursor(0, 0, 1))
    assert differences == []
    assert report.explained == {"letter_expired": 2}


def test_tombstones_that_kafka_has_dropped_are_explained(database, topics, tmp_path):
    """A copy that was published after that is kept out by the hash in the database, and is no difference."""
    copy = record_of(len(LOG), ok("d", 4, {"x": 5}))
    topics.take([copy])
    SimulatedSink(database, topics).run(random.Random(1))
    # The copy's key is the tombstone's: compaction leaves the last record alone.
    topics.source[:] = [one for one in topics.source if one.key != copy.key or one.offset == copy.offset]
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.explained == {"erased_before": 1, "tombstone_gone": 1, "record_gone": 1}


def test_an_earlier_copy_that_was_compacted_is_explained(database, topics, tmp_path):
    """The same event, at the offset of a later copy."""
    copy = record_of(len(LOG), LOG[0])
    topics.take([copy])
    SimulatedSink(database, topics).run(random.Random(1))
    topics.source[:] = [one for one in topics.source if one.key != copy.key or one.offset == copy.offset]
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.explained == {"earlier_copy_gone": 3}


def test_an_event_whose_record_was_replaced_is_explained(database, topics, tmp_path):
    """Compaction leaves the last record of an id, though it is a dead letter; without that it is a difference."""
    event = record_of(0, LOG[0])
    topics.take([Record(len(LOG), event.key, b"no JSON", event.timestamp, event.headers)])
    SimulatedSink(database, topics).run(random.Random(1))
    del topics.source[0]
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.explained == {"record_replaced": 1, "earlier_copy_gone": 1}
    del topics.source[-1]
    [difference], _ = verify(database, topics, tmp_path / "scratch")
    assert (difference.table, difference.sort, difference.key["execution_id"]) == (
        "lifecycle_events",
        "only_in_database",
        "a",
    )


def test_a_ruleset_that_only_an_erased_change_named_is_explained(database, topics, tmp_path):
    """The policies are those of the ruleset that the position names; otherwise it is a difference."""
    digest = rows(database, CURRENT.sink_position)[0][6]
    topics.changes[:] = [replace(one, value=None) for one in topics.changes]
    with transaction(database) as connection:
        for table in (CURRENT.factor_changes, CURRENT.factors, CURRENT.consolidations):
            connection.execute(table.delete())
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert (differences, digest != "") == ([], True)
    assert report.explained == {"ruleset_change_gone": 1}


def test_rows_of_records_that_were_deleted_are_explained(database, topics, tmp_path):
    """Somebody has deleted the beginning of the log; what came of it is in the database only."""
    del topics.source[0]
    topics.changes[0] = replace(topics.changes[0], value=None)
    differences, report = verify(database, topics, tmp_path / "scratch", first=Cursor(1, 0, 0))
    assert differences == []
    assert report.explained == {"before_the_log": 2, "earlier_copy_gone": 1}


def test_a_log_that_begins_later_cannot_be_compared_with_what_is_before(database, topics, tmp_path):
    """Where the rows are before its beginning nothing can be said."""
    differences, report = verify(database, topics, tmp_path / "scratch", first=Cursor(len(LOG) + 5, 0, 0))
    assert differences == []
    assert report.partitions[0].members() == {"partition": 0, "next_offset": None, "compared": False}


def test_nothing_is_written_into_the_database(database, topics, tmp_path):
    """Its positions are as they were: no epoch is raised, and nobody is fenced."""
    before = rows(database, CURRENT.sink_position)
    verify(database, topics, tmp_path / "scratch")
    assert rows(database, CURRENT.sink_position) == before


def test_digests_do_not_depend_on_the_kind_of_the_database(database, topics, tmp_path):
    """The log's side is SQLite always: equal digests on PostgreSQL, too, with ids that collations order differently."""
    for number, name in enumerate(["Zeta", "alpha", "Äther", "zulu", "\N{GRINNING FACE}", "\ufffd"]):
        topics.take([record_of(len(LOG) + number, ok(name, 10 + number))])
    SimulatedSink(database, topics).run(random.Random(1))
    differences, report = verify(database, topics, tmp_path / "scratch")
    assert differences == []
    assert report.partitions[0].digest == report.partitions[0].log_digest


def test_a_running_sink_is_not_held_up(database, topics, tmp_path):
    """It moves on while rows are compared; what is compared is of one moment."""
    sink = SimulatedSink(database, topics)
    topics.take([record_of(len(LOG), ok("later", 9, {"x": 9}))])
    with transaction(database) as connection:
        connection.execute(CURRENT.factors.delete())
    found = []
    with verifying(database, topics, tmp_path / "scratch") as verification:
        for difference in verification.run(quiet):
            if not found:
                sink.run(random.Random(3))
            found.append(difference)
    assert {one.table for one in found} == {"factors"}
    assert verification.report().partitions[0].next_offset == len(LOG)
    assert rows(database, CURRENT.sink_position)[0][1] == len(LOG) + 1
