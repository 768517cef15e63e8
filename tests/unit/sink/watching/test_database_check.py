"""What a sink says of its database: while it is away at the start or later, and when nothing asks it any more."""

import threading

import pytest

from streams.health.awake import AwakeClock
from streams.health.exposition import metrics
from streams.health.probes import readyz
from streams.runtime.contact import KafkaContact
from streams.sink import runner, service
from streams.sink.database import open_for_writing, url_of
from streams.sink.failures import DatabaseAwayError
from streams.sink.watching.probe import SinkProbe
from streams.sink.watching.waits import Waits
from tests.inputs.cases import one_factor
from tests.oracle.folds import topics_of
from tests.simulation.clock import Clock
from tests.simulation.sink import SimulatedTopics
from tests.simulation.sink_service import Ended, SimulatedConsumers, SimulatedMembership, simulated_service

AWAY = "database: NOT OK"
HERE = "database: ok"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def probe(tmp_path, clock):
    return SinkProbe("app", topics_of(), KafkaContact(), tmp_path, AwakeClock(clock))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Whatever is away is asked again at once."""
    monkeypatch.setattr(runner, "_AGAIN_S", 0.0)
    monkeypatch.setattr(service, "_AGAIN_S", 0.0)


class Engine:
    """Of a database that is away."""

    disposed = 0

    def dispose(self):
        self.disposed += 1


def test_a_database_that_is_away_at_the_start_is_said_to_be_away(probe, clock):
    """Until it answers for the first time."""
    seen = []

    def ask():
        clock.now += 1
        seen.append(readyz(probe.look()).body.decode())
        if len(seen) < 3:
            raise DatabaseAwayError("the database is away")
        assert "consolidator_sink_database_lost_seconds 2.0" in metrics(probe.look()).body.decode()
        return 7

    engine = Engine()
    assert runner._patiently(engine, ask, Waits(probe.figures)) == 7
    assert engine.disposed == 2
    assert [AWAY in one for one in seen] == [False, True, True]
    assert probe.figures.waits_for is None
    assert HERE in readyz(probe.look()).body.decode()
    assert "consolidator_sink_database_lost_seconds 0.0" in metrics(probe.look()).body.decode()


class Losing(SimulatedMembership):
    """Has no partition from the third round on, and ends the sink in the fifth; looks before each round.

    Args:
        consumers: whose partitions.
        probe: is looked at.
    """

    def __init__(self, consumers, probe):
        super().__init__(consumers)
        self._probe = probe
        self.seen = []

    def poll(self):
        self.seen.append(readyz(self._probe.look()))
        if len(self.seen) == 3:
            self.assigned.clear()
        if len(self.seen) == 5:
            raise Ended


def test_a_sink_that_has_no_partition_any_more_does_not_wait_for_the_database(probe, monkeypatch, tmp_path):
    """It asks nothing, so it would never learn that the database is back: it is ready for what it will be given."""

    def away(*_, **__):
        raise DatabaseAwayError("the database is away")

    monkeypatch.setattr(service, "claim", away)
    engine = open_for_writing(url_of(f"sqlite:///{tmp_path}/model.db"))
    topics = [SimulatedTopics(one_factor("sum"))]
    consumers = SimulatedConsumers(topics, lambda: False)
    membership = Losing(consumers, probe)
    sink = simulated_service(engine, topics, consumers, membership=membership, figures=probe.figures)
    probe.attach(lambda: sink.lanes)
    with pytest.raises(Ended):
        sink.run(threading.Event())
    assert [AWAY in one.body.decode() for one in membership.seen] == [False, True, True, False, False]
    assert [one.status for one in membership.seen] == [200, 503, 503, 200, 200]
