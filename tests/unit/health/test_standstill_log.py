"""Lines of the log for partitions that stand still."""

from structlog.testing import capture_logs

from streams.health.report import Partition, State
from streams.health.standstill_log import LOOK_S, StandstillLog


def test_a_standstill_is_said_when_it_begins_when_it_gets_worse_and_when_it_is_over():
    """Once each, however often somebody looks; the other partitions are not mentioned."""
    now, state = 0.0, State.RUNNING

    def partitions():
        return [
            Partition("executions", 1, state.value, committed=190, lag=5, waits_for="a reason"),
            Partition("executions", 2, State.IDLE.value),
        ]

    log = StandstillLog(partitions, clock=lambda: now)
    with capture_logs() as said:
        for seen in (State.RUNNING, State.STALLED, State.STALLED, State.STUCK, State.STUCK, State.RUNNING, State.IDLE):
            now, state = now + LOOK_S, seen
            log.look()
    assert [(line["log_level"], line["event"], line["state"]) for line in said] == [
        ("warning", "partition stands still", "stalled"),
        ("warning", "partition stands still", "stuck"),
        ("info", "partition goes on", "running"),
    ]
    assert {(line["partition"], line["committed"], line["waits_for"]) for line in said} == {(1, 190, "a reason")}


def test_between_two_looks_nobody_is_asked():
    """It is called every second."""
    now = 0.0
    asked = []
    log = StandstillLog(lambda: asked.append(now) or [], clock=lambda: now)
    for second in range(1, 12):
        now = float(second)
        log.look()
    assert asked == [5.0, 10.0]
