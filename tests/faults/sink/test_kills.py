"""Sinks are killed, and so are the workers whose results they write: the database is the oracle's at every moment."""

import time

import pytest

from tests.fault_runs.scale import scale

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLS = scale("SINK_KILLS", short=5, long=50)
WORKER_KILLS = scale("SINK_WORKER_KILLS", short=2, long=10)
SINKS = 2
MOST_TRIES = 3
"""A kill counts only where it landed in the middle of work; so many times more are tried at most."""

WAITING_SHARE = 0.7
"""So often the next kill waits until the last one is recovered from; else it comes in the recovery."""

MOMENT_S = 0.5
AT_WORK_S = 1.0
"""So long one that has just started is let live until it has something to do."""


@pytest.mark.timeout(240 + 12 * KILLS)
def test_sinks_are_killed_at_random(scene, database):
    """SIGKILL of one of two sinks that share the partitions, and a new one: nothing is lost and nothing doubled."""
    sinks, rng = scene.sinks, scene.rng
    for _ in range(SINKS):
        sinks.start()
    sinks.wait_at_work()
    landed, tried, recovery_s = 0, 0, []
    while landed < KILLS and tried < MOST_TRIES * KILLS:
        tried += 1
        scene.wait_moment(MOMENT_S)
        victim = rng.choice(sinks.alive)
        landed += scene.wait_at_work(victim, AT_WORK_S)
        victim.kill()
        before, begun = sinks.positions(), time.monotonic()
        sinks.start()
        if tried == KILLS // 2:
            scene.erase()
        if rng.random() < WAITING_SHARE:
            sinks.wait_beyond(before)
            recovery_s.append(time.monotonic() - begun)
    sinks.wait_shared()
    scene.conclude(
        f"sink killed, {database}",
        f"SIGKILL of one of {SINKS} sinks at random moments; a new one starts",
        faults=landed,
        recovery_s=tuple(recovery_s),
        partitions_taken_over=sinks.takeovers(),
    )
    assert landed == KILLS


@pytest.mark.timeout(240 + 30 * WORKER_KILLS)
def test_workers_are_killed_beside_a_sink(scene, database):
    """Between a worker's commit and what readers are shown of it there is a gap: the database shows neither half."""
    scene.sinks.start()
    scene.sinks.wait_at_work()
    recovery_s = []
    for number in range(WORKER_KILLS):
        scene.wait_moment(MOMENT_S)
        before, begun = scene.sinks.positions(), time.monotonic()
        scene.kill_worker(scene.rng.choice(scene.workers))
        scene.start_worker()
        if number == WORKER_KILLS // 2:
            scene.erase()
        scene.sinks.wait_beyond(before)
        recovery_s.append(time.monotonic() - begun)
    scene.conclude(
        f"workers killed beside a sink, {database}",
        "SIGKILL of one of two workers at random moments, while a sink writes what they publish",
        faults=WORKER_KILLS,
        recovery_s=tuple(recovery_s),
    )
