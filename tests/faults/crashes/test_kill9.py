"""``kill -9`` of the worker at random moments of the design's load, then every law against the independent oracle.

The schedule is given in progress, not in time: a kill counts only where it landed between 5 % and 95 % of the source.
"""

import random
import time
from dataclasses import dataclass, field

import pytest

from tests.fault_runs.load import LEAST_PROGRESS, LIMIT_S, MOST_PROGRESS, publish_load, start_worker, wait_new_work
from tests.fault_runs.scale import SEED, scale
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROUNDS = scale("ROUNDS", short=1, long=10)
EVENTS = scale("EVENTS", short=60_000, long=200_000)
KILLS = scale("KILLS", short=10, long=10)

LAST_PROGRESS = 0.85
"""The last kill is planned no later: the worker goes on while it is being killed."""
LATEST_MOMENT_S = 0.05
"""After the progress that was waited for: so that no kill depends on where a commit ends."""


@dataclass
class Kills:
    """Where they landed, and how long each took to recover from."""

    landed: list[float] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)


@pytest.mark.timeout(120 + EVENTS / 300)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_laws_hold_after_kills_in_the_middle_of_work(installation, conclude, number):
    """Killed at random moments, the worker loses nothing and doubles nothing, and its table equals the oracle's."""
    seed = SEED + number
    publish_load(installation, EVENTS, seed)
    kills, worker = kill_repeatedly(installation, random.Random(seed))
    conclude(
        installation,
        worker,
        scenario="kill -9",
        fault=f"`kill -9` of the worker at random moments, {KILLS} times in {EVENTS:,} events",
        faults=len(kills.landed),
        recovery_s=tuple(kills.recovery_s),
        seeds=(seed,),
        state=installation.state_dir,
        limit_s=LIMIT_S,
    )
    assert len(kills.landed) == KILLS, kills.landed


def kill_repeatedly(installation: Installation, rng: random.Random) -> tuple[Kills, WorkerProcess]:
    """Kill and restart the worker as often as planned; returns the last one, which is at work."""
    kills = Kills()
    worker = start_worker(installation)
    span = (LAST_PROGRESS - LEAST_PROGRESS) / KILLS
    for number in range(KILLS):
        installation.wait_progress(LEAST_PROGRESS + span * (number + rng.random()), worker, limit_s=LIMIT_S)
        # The schedule's random moment, nothing is waited for.
        time.sleep(rng.uniform(0, LATEST_MOMENT_S))
        worker.kill()
        before = installation.progress()
        if LEAST_PROGRESS < before < MOST_PROGRESS:
            kills.landed.append(before)
        worker = start_worker(installation)
        if before < 1:
            wait_new_work(installation, worker, before)
            kills.recovery_s.append(time.monotonic() - worker.started_at)
    return kills, worker
