"""A worker that dies in one certain window, again and again: between the steps of a batch, and in recovery.

The windows are ``streams/runtime/failpoints.py``'s; ``docs/decisions/0006-fault-harness.md`` says what each could
break.
"""

import random
import shutil
import signal
import time

import pytest

from streams.runtime.failpoints import PLACES
from tests.fault_runs.load import LEAST_PROGRESS, LIMIT_S, MOST_PROGRESS, publish_load, start_worker, wait_new_work
from tests.fault_runs.scale import SEED, scale
from tests.real_kafka.installation import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

HITS = scale("HITS", short=2, long=20)

LAST_PASSING = 8
"""Of the batches of one start: none of the first ones is special."""
EVENTS = 6_000 + 1_500 * HITS
IN_RECOVERY = frozenset({"acquired", "restored"})
BEFORE_A_RECOVERY = ("produced", "committed", "written")
"""What a recovery finds depends on where the worker died before it."""
OF_AN_ADOPTION = frozenset({"announced", "part"})
"""Reached where a ruleset is adopted: ``integration/worker/test_adoption_interrupted.py`` lets workers die there."""


@pytest.mark.timeout(180 + HITS * 30)
@pytest.mark.parametrize("window", [place for place in PLACES if place not in OF_AN_ADOPTION])
def test_the_laws_hold_after_deaths_in_a_window(installation, conclude, window):
    """Killed at the same step of a batch or of a recovery, the worker loses nothing and doubles nothing."""
    rng = random.Random(f"{SEED} {window}")
    publish_load(installation, EVENTS, SEED)
    worker = start_worker(installation)
    installation.wait_progress(LEAST_PROGRESS, worker, limit_s=LIMIT_S)
    worker.kill()
    landed = sum(die_in(window, installation, rng) for _ in range(HITS))
    before = installation.progress()
    worker = start_worker(installation)
    wait_new_work(installation, worker, before)
    recovery_s = time.monotonic() - worker.started_at
    conclude(
        installation,
        worker,
        scenario=f"window: {window}",
        fault=f"killed where {PLACES[window]}",
        faults=landed,
        recovery_s=(recovery_s,),
        seeds=(SEED,),
        state=installation.state_dir,
        limit_s=LIMIT_S,
    )
    assert landed == HITS


def die_in(window: str, installation: Installation, rng: random.Random) -> bool:
    """Let the worker die in a window; whether that was in the middle of work."""
    if window in IN_RECOVERY:
        die_at(rng.choice(BEFORE_A_RECOVERY), rng.randint(1, LAST_PASSING), installation)
        if window == "restored":
            # Without its disk there is something to restore for certain.
            shutil.rmtree(installation.state_dir)
        die_at(window, 1, installation)
    else:
        die_at(window, rng.randint(1, LAST_PASSING), installation)
    return LEAST_PROGRESS <= installation.progress() < MOST_PROGRESS


def die_at(window: str, passing: int, installation: Installation) -> None:
    worker = start_worker(installation, failpoint=f"{window}:kill:{passing}")
    assert worker.wait_exit(limit_s=LIMIT_S) == -signal.SIGKILL, worker.tail()
