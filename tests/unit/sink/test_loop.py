"""The sink's loop with its threads: what it does when the database is away, another process comes, or it is ended."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, select

from consolidator.keys import partition_of
from models.errors import ContractError, InfrastructureError
from streams.runtime.contact import KafkaContact
from streams.sink.failures import DatabaseAwayError
from streams.sink.ownership import claim
from streams.sink.schema import CURRENT
from streams.sink.watching.probe import SinkProbe
from streams.sink.writing import CutWriter, Planned, Written
from tests.inputs.cases import ok, one_factor
from tests.oracle.folds import record_of
from tests.simulation.sink import ABSENCE_MS, START, SimulatedTopics
from tests.simulation.sink_service import Ended, SimulatedConsumers, run_service, simulated_service

LIMIT_S = 60.0
EVENTS = 300
PARTITIONS = 3


def all_topics(events: int = EVENTS) -> list[SimulatedTopics]:
    """Three partitions with applications of their own."""
    found = [SimulatedTopics(one_factor("sum"), partition=one, partitions=PARTITIONS) for one in range(PARTITIONS)]
    logs: list[list[dict]] = [[] for _ in found]
    for number in range(events):
        event = ok(f"e{number}", 1, {"x": number}) | {"application_id": f"app-{number % 20}"}
        logs[partition_of(event["application_id"], PARTITIONS)].append(event)
    for topics, log in zip(found, logs, strict=True):
        topics.take([record_of(offset, item) for offset, item in enumerate(log)])
    return found


def count(engine: Engine, table) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(table)).all())


def through(engine: Engine, topics: list[SimulatedTopics]):
    """Whether the rows are where the workers are; False where the database is away."""
    deadline = time.monotonic() + LIMIT_S
    table = CURRENT.sink_position

    def asked() -> bool:
        assert time.monotonic() < deadline, "the sink does not come to its end"
        with engine.connect() as connection:
            found = dict(connection.execute(select(table.c.source_partition, table.c.next_offset)).tuples().all())
        return all(found.get(one.partition) == one.consolidated for one in topics)

    return asked


def check(engine: Engine, topics: list[SimulatedTopics]) -> None:
    """Nothing is lost, and nothing doubled."""
    assert count(engine, CURRENT.lifecycle_events) == sum(len(one.source) for one in topics)
    assert count(engine, CURRENT.factor_changes) == sum(len(one.changes) for one in topics)
    assert count(engine, CURRENT.factors) == 20


def test_everything_is_written(database):
    """Of several partitions, and committed for lag tools when it is written."""
    topics = all_topics()
    consumers = run_service(database, topics, through(database, topics))
    check(database, topics)
    assert all(consumers.committed[partition] <= topics[partition].consolidated for partition in consumers.committed)


class AwayWriter(CutWriter):
    """The database is lost now and then, before a cut's commit and after it: the answer is the same."""

    tries = 0

    def write(self, planned: Planned, now_ms: int) -> Written:
        type(self).tries += 1
        if type(self).tries == 4:
            raise DatabaseAwayError("lost before the commit")
        written = super().write(planned, now_ms)
        if type(self).tries == 7:
            raise DatabaseAwayError("lost after the commit")
        return written


def test_a_database_that_is_away_in_the_middle(database):
    """What was read and planned is dropped; it goes on where the rows are, with nothing lost or doubled."""
    topics = all_topics()
    AwayWriter.tries = 0
    run_service(database, topics, through(database, topics), AwayWriter)
    assert AwayWriter.tries > 7
    check(database, topics)


class RobbedWriter(CutWriter):
    """Another process takes a partition over while a cut of it is under way."""

    robbed = False

    def write(self, planned: Planned, now_ms: int) -> Written:
        if not type(self).robbed and planned.cut.before.next > 0:
            type(self).robbed = True
            claim(
                self._engine,
                planned.cut.partition,
                owner="other",
                beginning=START,
                now_ms=now_ms,
                absence_ms=ABSENCE_MS * 1_000_000,
            )
        return super().write(planned, now_ms)


def test_a_partition_that_another_process_took_in_the_middle(database):
    """Its cut writes nothing, and neither does the one behind it; later the partition is taken over again."""
    topics = all_topics()
    RobbedWriter.robbed = False
    run_service(database, topics, through(database, topics), RobbedWriter)
    check(database, topics)
    table = CURRENT.sink_position
    with database.connect() as connection:
        assert sorted(connection.execute(select(table.c.owner_epoch)).scalars()) == [1, 1, 3]


class BrokenWriter(CutWriter):
    """The tables are not as agreed."""

    def write(self, *_: object) -> Written:
        raise ContractError("other tables")


def test_an_error_of_the_writing_thread_ends_the_sink(database):
    """As it would in the thread that reads."""
    topics = all_topics()
    with pytest.raises(ContractError, match="other tables"):
        run_service(database, topics, through(database, topics), BrokenWriter)


class SlowWriter(CutWriter):
    """A transaction takes a while; the sink is ended meanwhile."""

    begun = threading.Event()

    def write(self, planned: Planned, now_ms: int) -> Written:
        type(self).begun.set()
        time.sleep(0.2)
        return super().write(planned, now_ms)


def test_a_sink_that_is_ended_leaves_nothing_half_done(database):
    """The transaction under way is whole; the next sink goes on behind it."""
    topics = all_topics()
    SlowWriter.begun.clear()
    run_service(database, topics, SlowWriter.begun.is_set, SlowWriter)
    table = CURRENT.sink_position
    with database.connect() as connection:
        positions = dict(connection.execute(select(table.c.source_partition, table.c.next_offset)).tuples().all())
    assert count(database, CURRENT.lifecycle_events) == sum(positions.values()) < EVENTS
    run_service(database, topics, through(database, topics))
    check(database, topics)


def test_a_sink_looks_in_each_turn_whether_it_is_to_end(database):
    """No exception is raised in the middle of anything."""
    topics = all_topics()
    is_through, stop = through(database, topics), threading.Event()

    def ask_to_end() -> bool:
        if is_through():
            stop.set()
        return False

    service = simulated_service(database, topics, SimulatedConsumers(topics, ask_to_end))
    service.run(stop)
    assert service.is_idle
    check(database, topics)


def test_a_sink_that_is_idle_has_its_rows_in_the_database(database, tmp_path):
    """And has counted them: what is only handed over is still behind."""
    topics = all_topics()
    probe = SinkProbe("app", topics[0].topics, KafkaContact(), tmp_path)
    deadline = time.monotonic() + LIMIT_S

    def idle() -> bool:
        assert time.monotonic() < deadline, "the sink does not come to its end"
        if [one.state for one in probe.look().partitions] != ["idle"] * PARTITIONS:
            return False
        check(database, topics)
        assert probe.figures.rows["lifecycle_events"] == EVENTS
        return True

    consumers = SimulatedConsumers(topics, idle)
    service = simulated_service(database, topics, consumers, SlowWriter, figures=probe.figures)
    probe.attach(lambda: service.lanes)
    with pytest.raises(Ended):
        service.run(threading.Event())


class SilentOnce:
    """A question to brokers that do not answer the first time.

    Args:
        answer: what they say then.
    """

    def __init__(self, answer: Any) -> None:
        self.asked = 0
        self._answer = answer

    def __call__(self, *_: object) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise InfrastructureError("no answer")
        return self._answer


@pytest.mark.parametrize("question", ["beginnings", "keeping", "rulesets"])
def test_brokers_that_do_not_answer_are_waited_for(database, question):
    """Where a topic begins, what a ruleset says: it is asked again, and nothing is lost of the cut that needs it."""
    topics = all_topics()
    answers = {"beginnings": START, "keeping": ["credit_check"], "rulesets": topics[0].rulesets}
    silent = SilentOnce(answers[question])
    run_service(
        database, topics, through(database, topics), **{"keeping": lambda _: ["credit_check"], question: silent}
    )
    assert silent.asked > 1
    check(database, topics)
    assert count(database, CURRENT.processor_policies) == PARTITIONS


@pytest.mark.postgres
def test_a_row_that_the_database_refuses_stops_nothing(postgres):
    """PostgreSQL takes no NUL: the row is quarantined, all others are written."""
    from streams.sink.database import migrate, open_for_writing, url_of  # noqa: PLC0415

    engine = open_for_writing(url_of(postgres.new_database()))
    migrate(engine)
    topics = [SimulatedTopics(one_factor("sum"))]
    events = [ok("a", 1, {"x": 1}), ok("with\0nul", 2, {"x": 5}), ok("c", 3, {"x": 2})]
    topics[0].take([record_of(at, event) for at, event in enumerate(events)])
    run_service(engine, topics, through(engine, topics))
    assert count(engine, CURRENT.lifecycle_events) == 2
    assert count(engine, CURRENT.sink_quarantine) == 2
    engine.dispose()
