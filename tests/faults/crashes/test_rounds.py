"""Small batches of several partitions in one transaction, whose partitions go to different workers while it is open."""

import pytest

from streams.runtime.failpoints import PLACES
from tests.fault_runs.load import LIMIT_S, publish_load
from tests.fault_runs.scale import SEED, scale
from tests.fault_runs.steady_load import SteadyLoad
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import WorkerProcess, wait_shared_out, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]

RATE = 400
"""Events a second: some in several partitions, most times that a round begins."""

PASSING = scale("ROUND_PASSING", short=30, long=150)
ATTEMPTS = 30
"""Four of ten rounds have several partitions, fewer where a machine is fast: ten in a row were seen that had one."""

SUCCESSORS = 2
EXIT_INFRASTRUCTURE = 3


def open_partitions(installation: Installation) -> list[int]:
    """The partitions whose offset, or the records in whose changelog, are in an open transaction."""
    changelog = installation.topics.changelog.name
    stable = installation.stable_ends(changelog)
    written = {partition for partition, end in installation.ends(changelog).items() if stable[partition] < end}
    return sorted({*installation.unstable_offsets(), *written})


def frozen_in_a_round(installation: Installation, window: str) -> WorkerProcess:
    """A worker that is frozen with several partitions in one transaction; now and then a round has only one."""
    for attempt in range(ATTEMPTS):
        worker = installation.start(CONSOLIDATOR_FAILPOINT=f"{window}:stop:{PASSING + attempt}")
        worker.wait(worker.is_frozen, f"the worker to freeze where it is {window!r}", limit_s=LIMIT_S)
        if len(open_partitions(installation)) > 1:
            return worker
        worker.kill()
    raise AssertionError(f"none of {ATTEMPTS} rounds had several partitions")


@pytest.mark.parametrize("window", ["offered", "produced"])
def test_a_frozen_workers_round_is_over_for_all_its_successors(installation, conclude, window):
    """One fences its producer, the other only waits: neither recovers too little, and the zombie acts in vain."""
    with SteadyLoad(installation, RATE, SEED):
        zombie = frozen_in_a_round(installation, window)
        successors = [installation.start() for _ in range(SUCCESSORS)]
        wait_shared_out(installation.partitions, successors, limit_s=LIMIT_S)
    installation.wait_consumed(*successors)
    wait_until(lambda: not open_partitions(installation), "the round to be over everywhere", limit_s=LIMIT_S)
    zombie.cont()
    assert zombie.wait_exit() == EXIT_INFRASTRUCTURE, zombie.tail()
    publish_load(installation, 2_000, SEED + 1)
    wait_shared_out(installation.partitions, successors, limit_s=LIMIT_S)
    conclude(
        installation,
        *successors,
        scenario=f"round: {window}",
        fault=f"frozen (SIGSTOP) with several partitions in one transaction where {PLACES[window]}; two workers take "
        "over; SIGCONT",
        held="the laws; the zombie ends with exit code 3",
        seeds=(SEED,),
    )
