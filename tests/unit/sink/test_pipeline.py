"""Cuts that are written in threads: in order, bounded, and what becomes of them when one cannot be written."""

import random
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select, text

from models.errors import ContractError
from streams.sink.database import transaction
from streams.sink.failures import DatabaseAwayError
from streams.sink.lane import Cursor, Cut
from streams.sink.ownership import FencedError
from streams.sink.pipeline import Pipeline
from streams.sink.schema import CURRENT
from streams.sink.writing import Planned, Written
from tests.inputs.cases import ok, one_factor
from tests.oracle.folds import record_of
from tests.simulation.sink import NOW_MS, SimulatedSink, SimulatedTopics

LIMIT_S = 30.0
EVENTS = 12


class Held:
    """A database that answers when it is let, and fails where it is told to."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.failures: dict[int, Exception] = {}
        self.written: list[tuple[int, int]] = []
        self.begun = threading.Semaphore(0)

    def write(self, planned: Planned) -> Written:
        self.begun.release()
        assert self.let.acquire(timeout=LIMIT_S)
        failure = self.failures.pop(planned.cut.after.next, None)
        if failure is not None:
            raise failure
        self.written.append((planned.cut.partition, planned.cut.after.next))
        return Written(1, 0, 0)


@pytest.fixture
def held() -> Iterator[Held]:
    """Whatever waits is let go at the end."""
    found = Held()
    yield found
    found.let.release(100)


def cut_to(offset: int, partition: int = 0) -> Planned:
    cut = Cut(partition, Cursor(offset - 1, 0, 0), Cursor(offset, 0, 0), (), (), (), (), None, ())
    return Planned(cut, None, None, None, [], None, (), None, "", None)  # type: ignore[arg-type] # nobody looks at the rows


def results(pipeline: Pipeline) -> list[object]:
    pipeline.settle()
    return [outcome.result for outcome in pipeline.take_finished()]


def test_one_is_written_and_one_waits(held):
    """More are not taken: memory is bounded, whatever the database does."""
    pipeline = Pipeline(held.write, 1)
    for offset in (1, 2):
        assert pipeline.has_room(0)
        pipeline.put(cut_to(offset))
    assert held.begun.acquire(timeout=LIMIT_S)
    assert not pipeline.has_room(0)
    assert not pipeline.is_idle
    held.let.release(2)
    assert results(pipeline) == [Written(1, 0, 0)] * 2
    assert held.written == [(0, 1), (0, 2)]
    assert pipeline.is_idle
    pipeline.close(LIMIT_S)


def test_partitions_are_written_side_by_side(held):
    """One that is slow holds up those of its thread only."""
    pipeline = Pipeline(held.write, 2)
    pipeline.put(cut_to(1, partition=0))
    pipeline.put(cut_to(1, partition=1))
    for _ in range(2):
        assert held.begun.acquire(timeout=LIMIT_S)
    held.let.release(2)
    assert len(results(pipeline)) == 2
    pipeline.close(LIMIT_S)


def test_what_waits_behind_a_lost_database_is_dropped(held):
    """The cut after it is not tried: each try would wait for the database anew."""
    held.failures[1] = DatabaseAwayError("away")
    pipeline = Pipeline(held.write, 1)
    pipeline.put(cut_to(1))
    pipeline.put(cut_to(2))
    held.let.release(2)
    [failure] = results(pipeline)
    assert isinstance(failure, DatabaseAwayError)
    assert held.written == []
    pipeline.close(LIMIT_S)


def test_what_waits_behind_a_fenced_partition_is_written(held):
    """It may be another partition's."""
    held.failures[1] = FencedError()
    pipeline = Pipeline(held.write, 1)
    pipeline.put(cut_to(1, partition=0))
    pipeline.put(cut_to(7, partition=1))
    held.let.release(2)
    assert [type(result) for result in results(pipeline)] == [FencedError, Written]
    assert held.written == [(1, 7)]
    pipeline.close(LIMIT_S)


def test_an_error_in_the_thread_is_an_outcome(held):
    """Nothing is swallowed, and the thread goes on."""
    held.failures[1] = ContractError("other tables")
    pipeline = Pipeline(held.write, 1)
    pipeline.put(cut_to(1))
    held.let.release(2)
    [failure] = results(pipeline)
    assert isinstance(failure, ContractError)
    pipeline.put(cut_to(2))
    assert results(pipeline) == [Written(1, 0, 0)]
    pipeline.close(LIMIT_S)


def test_the_end_does_not_wait_for_a_database_that_does_not_answer(held):
    """A signal ends a sink within its limit; what waited was not begun."""
    pipeline = Pipeline(held.write, 1)
    pipeline.put(cut_to(1))
    pipeline.put(cut_to(2))
    assert held.begun.acquire(timeout=LIMIT_S)
    pipeline.close(0.1)
    held.let.release(5)
    pipeline.close(LIMIT_S)
    assert held.written == [(0, 1)]


def topics() -> SimulatedTopics:
    found = SimulatedTopics(one_factor("sum"))
    found.take([record_of(at, ok(f"e{at}", at, {"x": at})) for at in range(EVENTS)])
    return found


def planned_cuts(sink: SimulatedSink) -> list[Planned]:
    """Everything that was consolidated, read and planned, three events a cut; nothing of it is written."""
    rng = random.Random(1)
    while sink.lane.frontier() < EVENTS:
        sink.read(rng)
    found = []
    while (cut := sink.lane.next_cut(3)) is not None:
        found.append(sink.writer.plan(cut, sink.owned))
        sink.lane.moved(cut)
    return found


def offsets(engine: Engine) -> list[int]:
    table = CURRENT.lifecycle_events
    with engine.connect() as connection:
        return sorted(connection.execute(select(table.c.source_offset)).scalars())


def position(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(CURRENT.sink_position.c.next_offset)).scalar_one()


def test_cuts_that_are_planned_ahead(database):
    """Each follows the one before it, though that one was not written yet when it was planned."""
    sink = SimulatedSink(database, topics())
    pipeline = Pipeline(lambda planned: sink.writer.write(planned, NOW_MS), 1)
    for planned in planned_cuts(sink):
        while not pipeline.has_room(0):
            pipeline.wait(LIMIT_S)
            pipeline.take_finished()
        pipeline.put(planned)
    pipeline.settle()
    pipeline.close(LIMIT_S)
    assert (position(database), offsets(database)) == (EVENTS, [*range(EVENTS)])


def test_a_cut_behind_one_that_was_not_written_is_refused(database):
    """The database itself has no gap: the fence is the place where the rows are."""
    sink = SimulatedSink(database, topics())
    first, second, *_ = planned_cuts(sink)
    with pytest.raises(FencedError):
        sink.writer.write(second, NOW_MS)
    assert offsets(database) == []
    sink.writer.write(first, NOW_MS)
    sink.writer.write(second, NOW_MS)
    assert offsets(database) == [0, 1, 2, 3, 4, 5]


def test_a_takeover_fences_everything_that_is_under_way(database):
    """Cuts that were planned before it write no row, and the new owner's do."""
    first = SimulatedSink(database, topics())
    planned = planned_cuts(first)
    second = SimulatedSink(database, topics(), "other")
    pipeline = Pipeline(lambda one: first.writer.write(one, NOW_MS), 1)
    for one in planned[:2]:
        pipeline.put(one)
    assert [type(result) for result in results(pipeline)] == [FencedError, FencedError]
    pipeline.close(LIMIT_S)
    assert offsets(database) == []
    second.run(random.Random(1))
    assert offsets(database) == [*range(EVENTS)]


def test_a_table_that_is_gone_in_the_middle_is_an_error_and_nothing_is_half_written(database):
    """The cut before it is whole, its own rows and position are as before."""
    sink = SimulatedSink(database, topics())
    first, second, *_ = planned_cuts(sink)
    sink.writer.write(first, NOW_MS)
    with transaction(database) as connection:
        connection.execute(text("ALTER TABLE dead_letters RENAME TO gone"))
        connection.execute(text("ALTER TABLE factors RENAME TO hidden"))
    pipeline = Pipeline(lambda one: sink.writer.write(one, NOW_MS), 1)
    pipeline.put(second)
    [failure] = results(pipeline)
    assert isinstance(failure, ContractError | DatabaseAwayError)
    pipeline.close(LIMIT_S)
    assert (position(database), offsets(database)) == (3, [0, 1, 2])
