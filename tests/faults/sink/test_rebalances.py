"""Sinks and workers come and go under load: every partition is somebody's, and nothing is written twice."""

import time

import pytest

from tests.fault_runs.scale import scale

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

CHANGES = scale("SINK_CHANGES", short=4, long=20)
FIRST_SINKS = 2
LEAST_SINKS, MOST_SINKS = 1, 4
WORKER_CHANGES = 4
"""With every fourth change a worker joins or leaves, too."""

SETTLING_SHARE = 0.7
MOMENT_S = 0.5
LIMIT_S = 90.0


@pytest.mark.timeout(240 + 20 * CHANGES)
def test_sinks_join_and_leave(scene, database):
    """By SIGTERM and start, one to four of them, now and then before the last change has settled."""
    sinks, rng = scene.sinks, scene.rng
    for _ in range(FIRST_SINKS):
        sinks.start()
    sinks.wait_at_work()
    first, recovery_s = sinks.takeovers(), []
    for number in range(1, CHANGES + 1):
        scene.wait_moment(MOMENT_S)
        before, begun = sinks.positions(), time.monotonic()
        living = len(sinks.alive)
        joins = living == LEAST_SINKS or (living < MOST_SINKS and rng.random() < 0.5)
        if joins:
            sinks.start()
        else:
            leaving = rng.choice(sinks.alive)
            # Before that Python has not come as far as hearing signals.
            leaving.wait(lambda one=leaving: one.entries("sink started"), "its first word", limit_s=LIMIT_S)
            leaving.stop()
        if number % WORKER_CHANGES == 0:
            scene.change_workers()
        if number == CHANGES // 2:
            scene.erase()
        if rng.random() < SETTLING_SHARE:
            sinks.wait_shared()
            sinks.wait_beyond(before)
            recovery_s.append(time.monotonic() - begun)
    sinks.wait_shared()
    moved = sinks.takeovers() - first
    scene.conclude(
        f"sinks join and leave, {database}",
        f"sinks join and leave by SIGTERM, {LEAST_SINKS} to {MOST_SINKS} of them, and workers too, under load",
        faults=CHANGES,
        recovery_s=tuple(recovery_s),
        partitions_taken_over=moved,
    )
    assert moved > 0
