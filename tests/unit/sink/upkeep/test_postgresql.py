"""What only PostgreSQL has: grants, views that follow tables, texts that it refuses, and readers in the way."""

import random
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from models.errors import ContractError
from streams.sink.database import migrate, open_for_writing, transaction, url_of
from streams.sink.schema import CURRENT, NEXT
from tests.inputs.cases import ok
from tests.oracle.expected import Tombstone
from tests.simulation.sink import SimulatedSink
from tests.unit.sink.upkeep.words import LOG, belongs, rebuild, rows, taken, verify

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(postgres) -> Engine:
    """An empty database at this version's schema."""
    engine = open_for_writing(url_of(postgres.new_database()))
    migrate(engine)
    yield engine
    engine.dispose()


def run(engine: Engine, *statements: str) -> None:
    with transaction(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_readers_may_read_after_a_switch_what_they_might_before(server):
    """Tables and views of the new set have the grants of the old one's."""
    topics = taken(*LOG)
    belongs(server, topics)
    SimulatedSink(server, topics).run(random.Random(1))
    role = f"reader {uuid4().hex[:8]}"
    run(server, f'CREATE ROLE "{role}"', f'GRANT SELECT ON factors, processor_executions TO "{role}"')
    run(server, "GRANT SELECT ON processor_statistics TO PUBLIC")
    rebuild(server, topics, switched=True)
    with transaction(server) as connection:
        for name, wanted in [
            ("factors", True),
            ("processor_executions", True),
            ("processor_statistics", True),
            ("consolidations", False),
        ]:
            asked = text("SELECT has_table_privilege(:role, :name, 'SELECT')")
            assert connection.execute(asked, {"role": role, "name": name}).scalar() is wanted
    run(server, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


def test_a_view_of_somebody_else_forbids_the_switch(server):
    """It would go on with the tables of before, and nobody would see that."""
    topics = taken(*LOG)
    belongs(server, topics)
    SimulatedSink(server, topics).run(random.Random(1))
    run(server, "CREATE VIEW mine AS SELECT * FROM factors", "CREATE VIEW other AS SELECT * FROM processor_statistics")
    with pytest.raises(ContractError, match="mine, other"):
        rebuild(server, topics, switched=True)
    assert rows(server, NEXT.factors) == rows(server, CURRENT.factors)
    run(server, "DROP VIEW mine", "DROP VIEW other")
    rebuild(server, topics, switched=True)


def test_what_is_refused_is_in_quarantine_and_no_difference(server, tmp_path):
    """An event with a NUL, and the tombstone of one; the rebuild refuses the same."""
    topics = taken(*LOG, ok("with\0nul", 9, {"x": 5}), Tombstone("app", "with\0nul"), ok("c", 10, {"x": 2}))
    belongs(server, topics)
    SimulatedSink(server, topics).run(random.Random(1))
    refused = rows(server, CURRENT.sink_quarantine)
    assert {(row[2], row[3]) for row in refused} >= {(len(LOG), "lifecycle_events"), (len(LOG), "factor_changes")}
    differences, report = verify(server, topics, tmp_path / "scratch")
    assert differences == []
    assert set(report.explained) == {"quarantined"}
    differences, report = rebuild(server, topics, switched=True)
    assert differences == []
    assert not report.explained
    assert rows(server, CURRENT.sink_quarantine) == refused
