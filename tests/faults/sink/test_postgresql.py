"""PostgreSQL is killed and started again under load: its sinks wait, go on by themselves, lose and double nothing."""

import time

import pytest

from tests.databases.postgresql import PostgresServer
from tests.databases.snapshots import Reader
from tests.fault_runs.scale import scale
from tests.fault_runs.sinks import AWAY_TEXT

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.postgres]

RESTARTS = scale("SINK_RESTARTS", short=3, long=10)
SINKS = 2
MOMENT_S = 1.0
DOWN_S = 3.0


@pytest.fixture
def own_server(request):
    """A PostgreSQL server that a test may kill."""
    request.getfixturevalue("postgres")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def reader(own_server) -> Reader:
    """An empty database there."""
    return Reader(own_server.new_database())


@pytest.mark.timeout(240 + 30 * RESTARTS)
def test_the_server_is_killed(scene, own_server):
    """In turn by SIGQUIT, its own way to crash at once, and by SIGKILL; the same two sinks go on."""
    sinks, recovery_s = scene.sinks, []
    for _ in range(SINKS):
        sinks.start()
    sinks.wait_at_work()
    for number in range(RESTARTS):
        scene.wait_moment(MOMENT_S)
        if number % 2:
            own_server.kill()
        else:
            own_server.crash()
        if number == RESTARTS // 2:
            scene.erase()
        scene.wait_moment(DOWN_S)
        own_server.start()
        before, begun = sinks.reader.positions(), time.monotonic()
        sinks.wait_beyond(before)
        recovery_s.append(time.monotonic() - begun)
    assert len(sinks.alive) == SINKS
    assert sinks.entries(AWAY_TEXT)
    scene.conclude(
        "PostgreSQL killed",
        "the server killed by SIGKILL and SIGQUIT in turn, and started again, beside two sinks",
        held="; no sink restarted",
        faults=RESTARTS,
        recovery_s=tuple(recovery_s),
        partitions_taken_over=sinks.takeovers(),
    )
