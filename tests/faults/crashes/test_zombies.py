"""A worker that is frozen in a certain window past its session, and wakes up beside its successor."""

import pytest

from streams.runtime.failpoints import PLACES
from tests.fault_runs.load import BATCH_EVENTS, LIMIT_S, publish_load
from tests.fault_runs.scale import SEED, scale

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = scale("ZOMBIE_EVENTS", short=12_000, long=40_000)
PASSING = 6
EXIT_INFRASTRUCTURE = 3


@pytest.mark.parametrize("window", ["offered", "produced", "committed", "written"])
def test_a_frozen_worker_is_fenced_and_ends(installation, conclude, window):
    """Whatever it was about to do, it does it in vain: it ends with exit code 3, and every law holds."""
    small = {"CONSOLIDATOR_BATCH_EVENTS": str(BATCH_EVENTS)}
    publish_load(installation, EVENTS, SEED)
    zombie = installation.start(CONSOLIDATOR_FAILPOINT=f"{window}:stop:{PASSING}", **small)
    zombie.wait(zombie.is_frozen, f"the worker to freeze where it is {window!r}", limit_s=LIMIT_S)
    assert installation.progress() < 1
    successor = installation.start(**small).wait_ready(installation.partitions)
    installation.wait_consumed(successor)
    zombie.cont()
    assert zombie.wait_exit() == EXIT_INFRASTRUCTURE, zombie.tail()
    publish_load(installation, EVENTS // 4, SEED + 1)
    successor.wait_ready(installation.partitions)
    conclude(
        installation,
        successor,
        scenario=f"zombie: {window}",
        fault=f"frozen (SIGSTOP) where {PLACES[window]}; another worker takes over; SIGCONT",
        held="the laws; the zombie ends with exit code 3",
        seeds=(SEED,),
        state=successor.state(),
    )
