"""Burrow's rules: which partition is idle, runs, stalls or is stuck; and a suspended process's time."""

import pytest

from streams.health.awake import AwakeClock
from streams.health.report import State
from streams.health.standing import STILL_S, Movement, standing_of
from tests.simulation.clock import Clock

LONG_S = 3_600.0


@pytest.mark.parametrize(
    ("lag", "still_s", "reason", "state"),
    [
        (0, LONG_S, None, State.IDLE),
        (0, LONG_S, "Kafka", State.IDLE),
        (5, 0.0, None, State.RUNNING),
        (5, STILL_S - 0.1, "Kafka", State.RUNNING),
        (5, STILL_S, "Kafka", State.STALLED),
        (5, STILL_S, None, State.STUCK),
        (None, LONG_S, None, State.RUNNING),
        (None, LONG_S, "Kafka", State.STALLED),
    ],
)
def test_a_standstill_needs_something_to_do_and_no_reason_to_be_stuck(lag, still_s, reason, state):
    """Idle is healthy for ever; with a reason it is stalled; without one it is stuck."""
    standing = standing_of(lag, still_s, reason)
    assert standing.state is state
    assert (
        (standing.waits_for == reason)
        if state is State.STALLED
        else (standing.waits_for is None) == (state is not State.STUCK)
    )


def test_an_idle_hour_is_no_standstill():
    """What counts is since when there has been something to do, not when something was done last."""
    movement = Movement()
    assert movement.behind_since(1, 0, 0.0) is None
    assert movement.behind_since(1, 7, LONG_S) == LONG_S
    assert movement.behind_since(1, 9, LONG_S + 5) == LONG_S
    assert movement.behind_since(1, None, LONG_S + 6) == LONG_S
    assert movement.behind_since(1, 0, LONG_S + 7) is None
    assert movement.behind_since(1, 1, LONG_S + 8) == LONG_S + 8


def test_a_partition_that_comes_back_begins_anew():
    """What was known of it as it went is forgotten."""
    movement = Movement()
    movement.behind_since(1, 7, 0.0)
    movement.behind_since(2, 7, 0.0)
    movement.keep({2})
    assert movement.behind_since(1, 7, 50.0) == 50.0
    assert movement.behind_since(2, 7, 50.0) == 0.0


def test_a_suspended_process_did_not_stand_still():
    """Between two ticks three seconds count at most, however late the second one is; ticked seconds all count."""
    clock = Clock()
    awake = AwakeClock(clock)
    for _ in range(20):
        clock.now += 1
        awake.tick()
    assert awake() == pytest.approx(20)
    clock.now += LONG_S
    assert awake() == pytest.approx(23)
    awake.tick()
    clock.now += 0.5
    assert awake() == pytest.approx(23.5)
