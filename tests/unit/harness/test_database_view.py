"""The view that a database is held against accepts what a sink writes, at every cut, and no planted defect."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.sink.database import migrate, open_for_writing, url_of
from streams.sink.ownership import claim
from tests.databases.audit import Audit, Written
from tests.databases.model import sqlite_url
from tests.databases.snapshots import Reader, Snapshot
from tests.fault_runs.sink_load import RATES
from tests.inputs.bad_inputs import BAD_KEY, bad_positions
from tests.inputs.workloads import believable, load_catalogue
from tests.oracle.checker import Observed, Report
from tests.oracle.database_view import TABLES, DatabaseView, compare
from tests.oracle.folds import Record, record_of
from tests.simulation.sink import START, SimulatedSink, SimulatedTopics

LOOKS_SHARE = 0.1
"""Of the cuts."""


class Run:
    """A log that a simulated sink has written, looked at now and then."""

    def __init__(self, directory: Path) -> None:
        self.reader = Reader(sqlite_url(directory))
        items = [item for item in believable(5, 20, rates=RATES) if not isinstance(item, dict) or "event_id" in item]
        records = [record_of(offset, item) for offset, item in enumerate(items)]
        records.insert(len(records) // 2, Record(0, BAD_KEY + b"1", b"{"))
        records = [Record(offset, one.key, one.value) for offset, one in enumerate(records)]
        topics = SimulatedTopics(load_catalogue())
        topics.take(records)
        self.observed = Observed(topics.source, topics.changes, [], topics.letters, {}, bad_positions(topics.source))
        engine = open_for_writing(url_of(self.reader.url))
        migrate(engine)
        sink, rng = SimulatedSink(engine, topics), random.Random(5)
        self.looks: list[Snapshot] = []
        while sink.lane.at.next < topics.consolidated:
            sink.read(rng)
            if sink.write(rng.randrange(1, 9)) and rng.random() < LOOKS_SHARE:
                self.looks.append(self.reader.snapshot())
        self.looks.append(self.reader.snapshot())
        engine.dispose()

    def report(self, *looks: Snapshot) -> Report:
        """What is wrong with some looks."""
        report = Report()
        view = DatabaseView(load_catalogue(), self.observed, 1)
        for look in looks:
            view.advance(look.positions)
            compare(view.rows(), look.rows(), report, where="a look")
        return report


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


def test_what_a_sink_writes_is_the_view(run):
    """At every moment at which somebody looked; and there is something in every table."""
    run.report(*run.looks).require()
    assert len(run.looks) > 5
    assert all(run.looks[-1].rows()[table] for table in TABLES)
    assert run.reader.glance(0.5) == []


def planted(change: Callable[[list[tuple]], list[tuple]], table: str, run: Run) -> Report:
    """What is said of the last look, with one table altered."""
    last = run.looks[-1]
    found = dict(last.found) | {table: change([*last.found[table]])}
    return run.report(Snapshot(last.positions, found, last.documents))


@pytest.mark.parametrize("table", TABLES)
def test_no_planted_defect_goes_unnoticed(run, table):
    """One row less, one twice, one altered: in every table."""
    assert len(planted(lambda rows: rows[1:], table, run).lost) == 1
    assert len(planted(lambda rows: [*rows, rows[0]], table, run).duplicated) == 1

    def altered(rows: list[tuple]) -> list[tuple]:
        last = rows[0][-1]
        return [(*rows[0][:-1], f"{last}'" if isinstance(last, str) else last + 1_000_000), *rows[1:]]

    report = planted(altered, table, run)
    assert (len(report.lost), len(report.unexpected)) == (1, 1)


def test_a_cut_that_is_told_too_late_is_noticed(run):
    """Rows of after the cut, and rows that are missing before it."""
    earlier, last = run.looks[0], run.looks[-1]
    assert run.report(Snapshot(earlier.positions, last.found, last.documents)).unexpected
    assert run.report(Snapshot(last.positions, earlier.found, earlier.documents)).lost


def test_a_glance_sees_events_without_their_results(run):
    """And rows that are behind their partition's cut."""
    run.reader.change("UPDATE consolidations SET active = active + 1")
    assert run.reader.glance(0.5)
    run.reader.change("UPDATE consolidations SET active = active - 1", "UPDATE sink_position SET next_offset = 3")
    assert run.reader.glance(0.5)


def test_every_table_that_names_applications_is_searched_for_one(run):
    """Also those that are no contract: nothing of an erased application may be left anywhere."""
    assert {"factors", "erased_events", "dead_letters"} <= {*run.reader.tables_with("application_id")}
    application = run.looks[-1].found["consolidations"][0][0]
    assert run.reader.mentions(application) > 3


def test_the_audit_sees_who_writes_into_whose_partition(tmp_path):
    """A row that another process writes is noted as that."""
    reader = Reader(sqlite_url(tmp_path))
    engine = open_for_writing(url_of(reader.url))
    migrate(engine)
    claim(engine, 0, owner="here:7", beginning=START, now_ms=0, absence_ms=1)
    engine.dispose()
    audit = Audit(reader)
    reader.sign("7")
    reader.change("INSERT INTO erased_events (application_id, event_hash, source_partition) VALUES ('a', 'h', 0)")
    note = audit.last()
    reader.sign("8")
    reader.change("DELETE FROM erased_events")
    assert (note, audit.written(note)) == (1, [Written("8", 7, 1)])
