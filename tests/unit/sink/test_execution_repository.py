"""One suite for every ``ExecutionRepository``: in memory, SQLite, PostgreSQL; a start from the old platform's table."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, event, text

from streams.core import ExecutionRepository, InMemoryExecutionRepository, consolidate
from streams.sink.bulk import Bulk
from streams.sink.database import migrate, open_for_reading, open_for_writing, transaction, url_of
from streams.sink.repository import LegacySqlExecutionRepository, SqlExecutionRepository
from streams.sink.rows import event_row
from streams.sink.schema import CURRENT
from tests.inputs.cases import event as lifecycle_event
from tests.inputs.cases import failed, ok
from tests.inputs.repository import ROOT
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, APPLICATION, OTHER_APPLICATION, PROCESSORS, event_sets
from tests.inputs.workloads import to_json
from tests.oracle.folds import RECORDED_MS, catalogue_of, decoded
from topics.records.record import Record

CATALOGUE = catalogue_of(ADVERSARIAL_CATALOGUE)
KEEPING = [name for name, rule in CATALOGUE.processors.items() if rule.on_failed_rerun.value == "keep_previous"]

Make = Callable[[list], ExecutionRepository]


class Database:
    """A database with this version's schema, and a connection for readers."""

    def __init__(self, url: str) -> None:
        self.writing = open_for_writing(url_of(url))
        migrate(self.writing)
        self.reading = open_for_reading(url_of(url))

    def fill(self, items) -> None:
        """Replace everything by these events."""
        rows = [
            event_row(decoded(item), Record("executions", 0, offset, RECORDED_MS, None, to_json(item), ()))
            for offset, item in enumerate(items)
        ]
        with transaction(self.writing) as connection:
            connection.execute(CURRENT.lifecycle_events.delete())
            connection.execute(CURRENT.processor_policies.delete())
            bulk = Bulk(connection)
            bulk.insert(CURRENT.lifecycle_events, rows)
            bulk.insert(CURRENT.processor_policies, [(0, name, True) for name in KEEPING])

    def close(self) -> None:
        self.writing.dispose()
        self.reading.dispose()


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module")
def databases(request, tmp_path_factory) -> Iterator[Callable[[str], Database]]:
    """Opens a database of a kind, once."""
    opened: dict[str, Database] = {}

    def opening(kind: str) -> Database:
        if kind not in opened:
            url = f"sqlite:///{tmp_path_factory.mktemp('sql')}/model.db"
            opened[kind] = Database(url if kind == "sqlite" else request.getfixturevalue("postgres").new_database())
        return opened[kind]

    yield opening
    for one in opened.values():
        one.close()


@pytest.fixture(params=DATABASES)
def database(request, databases) -> Database:
    """Each of the two."""
    return databases(request.param)


@pytest.fixture(params=["memory", *DATABASES])
def make(request, databases) -> Make:
    """Makes a repository of events."""
    if request.param == "memory":
        return lambda items: InMemoryExecutionRepository(map(decoded, items), catalogue=CATALOGUE)
    database = databases(request.param)

    def over_sql(items: list) -> ExecutionRepository:
        database.fill(items)
        return SqlExecutionRepository(database.reading)

    return over_sql


def active(repository: ExecutionRepository, processor: str = "p") -> list[tuple[str, str]]:
    return [(one.execution_id, one.status) for one in repository.get_active_executions("app", processor)]


def test_failed_executions_are_active(make):
    """Completed and failed ones are, in execution order; open ones are not."""
    found = active(make([failed("b", 2), ok("a", 3), lifecycle_event("c", "started", 1)]))
    assert found == [("b", "failed"), ("a", "completed")]


def test_closed_and_replaced_ones_are_not(make):
    """A cancellation that reaches the end, a chain of reruns, a cycle, and itself."""
    assert active(make([ok("a", 1), lifecycle_event("a", "cancelled", 2)])) == []
    assert active(make([failed("a", 1, attempt=2), lifecycle_event("a", "superseded", 2, attempt=1)])) == [
        ("a", "failed")
    ]
    chain = [ok("a", 1), ok("b", 2, supersedes="a"), failed("c", 3, supersedes="b")]
    assert active(make(chain)) == [("c", "failed")]
    assert active(make([ok("a", 1, supersedes="b"), ok("b", 2, supersedes="a")])) == []
    assert active(make([ok("a", 1, supersedes="a")])) == [("a", "completed")]


def test_a_processor_may_keep_what_a_failed_rerun_replaces(make):
    """By the catalogue's policy."""
    rerun = [one | {"processor": KEEPING[0]} for one in (ok("a", 1), failed("b", 2, supersedes="a"))]
    assert active(make(rerun), KEEPING[0]) == [("a", "completed"), ("b", "failed")]


def test_an_end_has_everything(make):
    """Attempt, sequence, code, time and exact values."""
    value = Decimal("12345678901234567890.123456789")
    repository = make([ok("a", 1, {"x": value, "y": None, "z": True}), failed("b", 2, attempt=2, sequence=4)])
    done, failure = repository.get_active_executions("app", "p")
    assert done.factors == {"x": value, "y": None, "z": True}
    assert (failure.attempt, failure.sequence, failure.error_code, failure.output) == (2, 4, "TIMEOUT", None)
    assert failure.occurred_at == datetime(2025, 3, 3, 9, 0, 2, tzinfo=UTC)
    assert repository.get_active_executions("app", "unknown") == []


def test_any_set_of_events_gives_the_same(database):
    """What SQL says is what memory says, for random sets, and so is what consolidation makes of it."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(event_sets())
    def same(items):
        memory = InMemoryExecutionRepository(map(decoded, items), catalogue=CATALOGUE)
        database.fill(items)
        sql = SqlExecutionRepository(database.reading)
        for application in (APPLICATION, OTHER_APPLICATION):
            for processor in PROCESSORS:
                expected = memory.get_active_executions(application, processor)
                found = sql.get_active_executions(application, processor)
                assert found == expected
                assert consolidate(found) == consolidate(expected)

    same()


def statements(engine: Engine, call: Callable[[], object]) -> list[str]:
    """What is sent to a database meanwhile."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


def test_it_is_one_query(database):
    """Exactly one, with the strategy's condition; the one of before differs in nothing else."""
    database.fill([ok("a", 1), failed("b", 2)])
    proposed, current = SqlExecutionRepository(database.reading), LegacySqlExecutionRepository(database.reading)
    # The first connection asks the server for its settings.
    proposed.get_active_executions("app", "p")
    [new] = statements(database.reading, lambda: proposed.get_active_executions("app", "p"))
    [old] = statements(database.reading, lambda: current.get_active_executions("app", "p"))
    assert re.search(r"FROM processor_executions pe\nWHERE .* AND pe.status IN \('completed', 'failed'\)", new)
    assert old.replace("pe.status = 'completed'", "pe.status IN ('completed', 'failed')") == new
    assert active(current) == [("a", "completed")]


def test_what_is_migrated_is_what_the_code_says(database):
    """The steps of the migrations come to the tables of ``streams/sink/schema.py``; a second time does nothing."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    from streams.sink.schema import SINK_DATABASE  # noqa: PLC0415

    migrate(database.writing)
    with database.writing.connect() as connection:
        wanted = [CURRENT.metadata, SINK_DATABASE.metadata]
        assert compare_metadata(MigrationContext.configure(connection), wanted) == []


OLD_TABLE = """
CREATE TABLE legacy_processor_executions (
    id TEXT PRIMARY KEY, application_id TEXT, processor TEXT, status TEXT, output TEXT, error_code TEXT,
    completed_at TEXT)
"""
OLD_ROWS = [
    ("e1", "old", "bank_statement", "completed", '{"factors": {"f_revenue_monthly": 10000}}', None),
    ("e2", "old", "bank_statement", "failed", None, "TIMEOUT"),
    ("e3", "old", "bank_statement", "completed", '{"factors": {"f_revenue_monthly": 12000}}', None),
    ("e4", "old", "bank_statement", "running", None, None),
    ("e5", "old", "credit_check", "failed", None, "NO_FILE"),
]


def test_the_documented_backfill(database):
    """Phase 1 on the old platform's table: docs/migration.md's statement, then both queries."""
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    [backfill] = re.findall(r"```sql\n(INSERT INTO lifecycle_events.*?)```", page, re.DOTALL)
    database.fill([])
    with transaction(database.writing) as connection:
        connection.execute(text("DROP TABLE IF EXISTS legacy_processor_executions"))
        connection.execute(text(OLD_TABLE))
        for number, row in enumerate(OLD_ROWS):
            connection.execute(
                text("INSERT INTO legacy_processor_executions VALUES (:a, :b, :c, :d, :e, :f, :g)"),
                dict(zip("abcdef", row, strict=True)) | {"g": f"2025-03-03T09:00:0{number}.000000Z"},
            )
        for _ in range(2):
            connection.execute(text(backfill))
    proposed, current = SqlExecutionRepository(database.reading), LegacySqlExecutionRepository(database.reading)
    found = proposed.get_active_executions("old", "bank_statement")
    assert [(one.execution_id, one.status) for one in found] == [
        ("e1", "completed"),
        ("e2", "failed"),
        ("e3", "completed"),
    ]
    assert len(current.get_active_executions("old", "bank_statement")) == 2
    # The "0 active executions" of the strategy's problem statement, and what comes instead.
    assert current.get_active_executions("old", "credit_check") == []
    assert [one.status for one in proposed.get_active_executions("old", "credit_check")] == ["failed"]
    assert consolidate(proposed.get_active_executions("old", "credit_check")) == {}


def test_readers_do_not_need_this_package(tmp_path):
    """Any SQLite client sees the views."""
    url = f"sqlite:///{tmp_path}/model.db"
    Database(url).close()
    with sqlite3.connect(tmp_path / "model.db") as connection:
        assert connection.execute("SELECT * FROM processor_executions").fetchall() == []
        assert connection.execute("SELECT * FROM processor_statistics").fetchall() == []
    connection.close()
