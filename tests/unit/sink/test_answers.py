"""``factors`` and ``history`` read the database without a broker; and when they leave the answer to Kafka."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, update

from models.errors import ContractError, InfrastructureError
from streams.cli.main import cli
from streams.demo.scenarios import SCENARIOS
from streams.rulesets.catalogue_file import catalogue_json
from streams.sink.database import migrate, open_for_writing, transaction, url_of
from streams.sink.ownership import Installed, database_id
from streams.sink.schema import CURRENT
from tests.inputs.workloads import load_catalogue, parse_json
from tests.oracle.folds import catalogue_of, record_of
from tests.simulation.sink import SimulatedSink, SimulatedTopics

NOBODY_LISTENS = "127.0.0.1:1"
GROUP = "consolidator"

Ask = Callable[..., Result]


@pytest.fixture
def engine(tmp_path) -> Iterator[Engine]:
    """The database under a state directory; the scenarios are in it, and a sink was there just now."""
    engine = open_for_writing(url_of(f"sqlite:///{tmp_path}/sink/model.db"))
    migrate(engine)
    topics = SimulatedTopics(load_catalogue())
    database_id(engine, Installed(GROUP, "executions", "", 1), "id")
    items = [parse_json(line) for one in SCENARIOS for line in one.lines()]
    topics.take([replace(record_of(at, item), timestamp=1_767_225_600_000 + at) for at, item in enumerate(items)])
    sink = SimulatedSink(engine, topics)
    sink.run(random.Random(1))
    seen(engine, time.time())
    yield engine
    engine.dispose()


@pytest.fixture
def ask(tmp_path) -> Ask:
    """Runs a command; nobody listens where the brokers should be."""

    def run(*arguments: str, **variables: str) -> Result:
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": NOBODY_LISTENS,
            "CONSOLIDATOR_STATE_DIR": str(tmp_path),
            "CONSOLIDATOR_PARTITIONS": "1",
        }
        return CliRunner(env=env | variables).invoke(cli, arguments)

    return run


def seen(engine: Engine, at_s: float) -> None:
    with transaction(engine) as connection:
        connection.execute(update(CURRENT.sink_position).values(seen_at_ms=round(at_s * 1_000)))


def lines(result: Result) -> list[dict]:
    assert result.exception is None, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_without_a_broker_everything_is_answered(engine, ask):
    """Now, why, at a time, at an offset, as true, compared, and the history; the cut is said on stderr."""
    [now] = lines(ask("factors", "scenario-1", "--format", "json", "--why"))
    assert now["why"]["last_change"]["topic"] == "factor-changes"
    assert now["why"]["explanation"]["contributions"]
    [then] = lines(ask("factors", "scenario-1", "--at", "2100-01-01T00:00:00Z", "--format", "json"))
    assert then["factors"] == now["factors"]
    end = then["as_of"]["to"]
    assert lines(ask("factors", "scenario-1", "--at-offset", f"0:{end - 1}", "--format", "json")) == [
        then | {"as_of": then["as_of"]}
    ]
    assert ask("factors", "scenario-1", "--at", "2026-01-01T00:00:00Z").stderr.endswith("offsets 0 to 1 (without 1)\n")
    assert lines(ask("history", "scenario-2", "--format", "json"))[-1]["changes"]
    said = ask("factors", "scenario-1").stderr
    assert said.startswith(
        f"note: answered by the database: executions partition 0 before offset {end}; a sink was there "
    )
    nobody = ask("factors", "nobody")
    assert (nobody.exit_code, "nothing is known of application nobody" in nobody.stderr) == (1, True)


def test_whose_database_it_is_does_not_change_when_it_is_asked(engine, ask):
    """Reading leaves the file as it is: no table, no row and no position is written."""
    before = lines(ask("factors", "scenario-1", "--format", "json"))
    with engine.connect() as connection:
        positions = connection.execute(CURRENT.sink_position.select()).all()
    assert lines(ask("factors", "scenario-1", "--format", "json", "--source", "sql")) == before
    with engine.connect() as connection:
        assert connection.execute(CURRENT.sink_position.select()).all() == positions


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"CONSOLIDATOR_APP_ID": "other"}, "the database is of workers consolidator on executions (1 partitions)"),
        ({"CONSOLIDATOR_TOPIC_PREFIX": "x-"}, "the settings are of workers consolidator on x-executions"),
        ({"CONSOLIDATOR_PARTITIONS": "2"}, "(2 partitions)"),
        ({"CONSOLIDATOR_SINK_URL": "sqlite:////nowhere/model.db"}, "there is no file /nowhere/model.db"),
        ({"CONSOLIDATOR_SINK_URL": "postgresql://a@127.0.0.1:1/b"}, "the database is away"),
    ],
)
def test_another_database_leaves_it_to_kafka(engine, ask, variables, why):
    """It is said why; whoever insists on SQL gets the reason as an error."""
    by_kafka = ask("factors", "scenario-1", **variables)
    assert by_kafka.stderr.startswith("note: answered by Kafka: ")
    assert why in by_kafka.stderr
    assert isinstance(by_kafka.exception, InfrastructureError)
    assert NOBODY_LISTENS in str(by_kafka.exception)
    insisted = ask("factors", "scenario-1", "--source", "sql", **variables)
    assert why in str(insisted.exception)


def test_a_database_that_was_left_alone_is_not_believed(engine, ask):
    """What was erased since would be shown. Whoever insists sees how old it is."""
    seen(engine, time.time() - 3_600)
    left = ask("factors", "scenario-1")
    assert "answered by Kafka: no sink was at partition 0 of the database for 36" in left.stderr
    assert isinstance(left.exception, InfrastructureError)
    assert "a sink was there 36" in ask("factors", "scenario-1", "--source", "sql").stderr


def test_brokers_on_the_command_line_are_asked(engine, ask):
    """Whoever names them means them, unless SQL is asked for as well."""
    named = ask("factors", "scenario-1", "--bootstrap-servers", NOBODY_LISTENS)
    assert isinstance(named.exception, InfrastructureError)
    assert lines(
        ask("factors", "scenario-1", "--bootstrap-servers", NOBODY_LISTENS, "--source", "sql", "--format", "json")
    )
    assert isinstance(ask("factors", "scenario-1", "--source", "kafka").exception, InfrastructureError)


def test_offsets_that_the_database_has_not_are_kafkas(engine, ask):
    """Behind the cut there may be something; before it, and in another partition, there is not."""
    behind = ask("factors", "scenario-1", "--at-offset", "0:99999")
    assert "answered by Kafka: the database has offsets 0 to" in behind.stderr
    insisted = ask("factors", "scenario-1", "--at-offset", "0:99999", "--source", "sql")
    assert isinstance(insisted.exception, ContractError)


def test_a_ruleset_that_is_missing_is_kafkas(engine, ask, tmp_path):
    """The settings' catalogue folds a past moment; if a published ruleset is not in the database, Kafka answers."""
    other = tmp_path / "other.json"
    other.write_text(catalogue_json(catalogue_of(load_catalogue() | {"version": "9"})))
    at = ("factors", "scenario-1", "--at", "2100-01-01T00:00:00Z", "--format", "json")
    [now] = lines(ask(*at))
    [then] = lines(ask(*at, CONSOLIDATOR_CATALOGUE=str(other)))
    assert then["ruleset"]["name"] == now["ruleset"]["name"].rpartition("/")[0] + "/9"
    with transaction(engine) as connection:
        connection.execute(CURRENT.rulesets.delete())
    assert lines(ask(*at)) == [now], "it is the settings' own"
    missing = ask(*at, CONSOLIDATOR_CATALOGUE=str(other))
    assert "answered by Kafka: a ruleset is not in the database" in missing.stderr


def test_no_database_is_made_by_asking(tmp_path, ask):
    """Where there is none Kafka is asked, in silence; a mistyped URL makes no empty file."""
    assert ask("factors", "scenario-1").stderr == ""
    ask("factors", "scenario-1", "--source", "sql")
    ask("history", "scenario-1", CONSOLIDATOR_SINK_URL=f"sqlite:///{tmp_path}/x.db")
    assert list(Path(tmp_path).rglob("*.db")) == []
