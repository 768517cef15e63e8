"""How a sink judges itself: its partitions, its database, Kafka, and what it has written."""

import pytest

from models.errors import InfrastructureError
from streams.health.awake import AwakeClock
from streams.health.exposition import metrics
from streams.health.probes import livez, readyz
from streams.runtime.clock import system_ms
from streams.runtime.contact import KafkaContact
from streams.sink.lane import Cursor, Lane
from streams.sink.pipeline import Outcome
from streams.sink.watching.probe import SinkProbe
from streams.sink.writing import Written
from tests.oracle.folds import topics_of
from tests.simulation.clock import Clock
from tests.unit.sink.test_pipeline import cut_to
from topics.reading.progress import Published
from topics.records.record import Record


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lane():
    """At its beginning; the worker has consolidated ten records."""
    return Lane(0, Cursor(0, 0, 0), bound=Published(10, 20, 0))


@pytest.fixture
def probe(tmp_path, lane, clock):
    found = SinkProbe("app", topics_of(), KafkaContact(), tmp_path, AwakeClock(clock))
    found.attach(lambda: {0: lane})
    found.figures.taken_over(0)
    found.figures.turns()
    return found


def pass_time(probe, clock, seconds):
    for _ in range(seconds):
        clock.now += 1
        probe.clock.tick()


def state(probe):
    [found] = probe.look().partitions
    return found.state, found.waits_for


def test_a_sink_that_keeps_up_is_idle(probe, lane):
    """Everything that the worker has consolidated is written."""
    lane.at = lane.written = Cursor(10, 20, 0)
    assert state(probe) == ("idle", None)
    assert livez(probe.look()).status == readyz(probe.look()).status == 200


def handed_over(lane):
    """Its next cut is being written; its first record came to the broker five seconds ago."""
    came_ms = system_ms() - 5_000
    lane.events += [Record("executions", 0, offset, came_ms + offset, b"app-1", b"{}", ()) for offset in range(10)]
    lane.events_end, lane.changes_end = 10, 20
    cut = lane.next_cut(100)
    lane.moved(cut)
    return cut


def test_what_is_being_written_is_still_behind(probe, lane, clock):
    """Nobody sees rows in the database before their transaction's end, however long that takes."""
    cut = handed_over(lane)
    assert lane.is_done
    [seen] = probe.look().partitions
    assert (seen.state, seen.position, seen.committed, seen.lag) == ("running", 10, 0, 10)
    assert 5 <= seen.lag_seconds < 60
    body = metrics(probe.look()).body.decode()
    assert 'consolidator_sink_lag_offsets{partition="0",topic="executions"} 10.0' in body
    assert 'consolidator_sink_lag_offsets{partition="0",topic="factor-changes"} 20.0' in body
    pass_time(probe, clock, 12)
    assert state(probe) == ("stalled", "the database: a cut is being written")
    lane.has_written(cut)
    assert state(probe) == ("idle", None)
    body = metrics(probe.look()).body.decode()
    assert 'consolidator_sink_lag_offsets{partition="0",topic="executions"} 0.0' in body
    assert 'consolidator_sink_lag_seconds{partition="0"} 0.0' in body
    assert lane.oldest_ms is None


def test_a_sink_that_is_always_a_little_behind_is_not_late(probe, lane, clock):
    """One cut after the other is written, and something is under way at each look: no record waits for minutes."""
    for offset in range(10, 1_000, 10):
        lane.bound = Published(offset + 10, 20, 0)
        [seen] = probe.look().partitions
        assert (seen.state, seen.lag) == ("running", 20)
        assert seen.lag_seconds < 3
        pass_time(probe, clock, 1)
        planned = cut_to(offset)
        object.__setattr__(planned, "changes", _Changes())
        probe.figures.written(Outcome(planned, Written(10, 0, 0), 0.2))
        lane.has_written(planned.cut)


def test_without_an_answer_of_kafka_nobody_knows_how_far_the_workers_are(probe, lane):
    """It waits, and is not ready."""
    lane.bound = None
    assert state(probe) == ("waiting", "an answer of Kafka: how far the workers are")
    assert readyz(probe.look()).status == 503


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ((5, 0, 0), "executions up to offset 10"),
        ((10, 5, 0), "factor-changes up to offset 20: is a transaction open?"),
        ((10, 20, 0), "the database: a cut is being written"),
    ],
)
def test_a_standstill_names_what_is_missing(probe, lane, clock, ends, says):
    """Records of a topic, or the database; a restart would mend none of it."""
    lane.events_end, lane.changes_end, lane.letters_end = ends
    assert state(probe)[0] == "running"
    pass_time(probe, clock, 12)
    probe.figures.turns()
    assert state(probe) == ("stalled", says)
    assert livez(probe.look()).status == 200
    assert readyz(probe.look()).status == 503


def test_a_database_that_is_away_is_alive_and_not_ready(probe):
    """And for how long is a metric."""
    probe.figures.database_lost()
    found = probe.look()
    assert (livez(found).status, readyz(found).status) == (200, 503)
    assert "database: NOT OK, it has not answered for 0 s" in readyz(found).body.decode()
    probe.figures.taken_over(0)
    assert "database: ok" in livez(probe.look()).body.decode()


def test_a_loop_that_hangs_is_dead_unless_it_waits_for_somebody(probe, clock):
    """Without a reason a restart helps."""
    pass_time(probe, clock, 20)
    assert livez(probe.look()).status == 503
    probe.figures.asks_database()
    assert livez(probe.look()).status == 200


def test_kafka_is_heard_by_the_questions_that_are_asked(probe):
    """An answer, and none."""

    def unanswered():
        raise InfrastructureError("no broker answers")

    assert probe.figures.asking(lambda: 7) == 7
    assert probe.figures.waits_for is None
    with pytest.raises(InfrastructureError):
        probe.figures.asking(unanswered)
    assert probe.figures.waits_for == "an answer of Kafka"


def test_what_is_written_is_counted(probe, lane):
    """Cuts, their durations, rows by table and those that were refused."""
    planned = cut_to(10)
    object.__setattr__(planned, "changes", _Changes())
    object.__setattr__(planned, "letters", [("row",), None])
    probe.figures.written(Outcome(planned, Written(7, 4, 2), 0.2))
    lane.at = lane.written = Cursor(10, 20, 0)
    body = metrics(probe.look()).body.decode()
    assert "consolidator_sink_cuts_total 1.0" in body
    assert 'consolidator_sink_rows_total{table="lifecycle_events"} 7.0' in body
    assert 'consolidator_sink_rows_total{table="factors"} 3.0' in body
    assert 'consolidator_sink_rows_total{table="dead_letters"} 1.0' in body
    assert "consolidator_sink_quarantined_total 2.0" in body
    assert 'consolidator_sink_cut_seconds_bucket{le="0.25"} 1.0' in body
    assert 'consolidator_sink_partition_state{partition="0",state="idle",topic="executions"} 1.0' in body


class _Changes:
    journal = results = ("row",)
    factors = ("row",) * 3
