"""The races of a take-over, forced by a worker that lingers at the step where they happen."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.fault_runs import lingering_worker
from tests.fault_runs.load import BATCH_EVENTS, publish_load
from tests.fault_runs.scale import SEED

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = 24_000
EVENTS_OF_SLOW_COMMITS = 4_000
TAKE_OVER_LIMIT_S = 60.0


def start(installation, step):
    return installation.start_program(
        sys.executable,
        str(Path(lingering_worker.__file__)),
        "run",
        CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS),
        CONSOLIDATOR_TEST_LINGER=step,
    )


def leave_half_done(installation):
    """A backlog, and a changelog to recover from without a disk."""
    publish_load(installation, EVENTS, SEED)
    worker = installation.start(CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS))
    installation.wait_progress(0.2, worker)
    worker.kill()
    assert installation.progress() < 1
    shutil.rmtree(installation.state_dir)


def test_no_batch_vanishes_at_the_end_of_a_recovery(installation, conclude):
    """The source is held back until Faust has cleared its queues: every batch is folded, in order."""
    leave_half_done(installation)
    worker = start(installation, "sought").wait_ready(installation.partitions)
    fault = (
        f"up to {lingering_worker.AT_THE_END_S} s between the source's resumption and the clearing of Faust's queues"
    )
    conclude(installation, worker, scenario="race: end of recovery", fault=fault, seeds=(SEED,), state=worker.state())


def test_a_rebalance_while_partitions_begin_is_survived(installation, conclude):
    """Another worker joins while this one looks where it stands: it begins anew with what it is left."""
    publish_load(installation, EVENTS, SEED)
    first = start(installation, "beginning")
    first.wait(lambda: first.entries("partitions acquired"), "the take-over to begin", limit_s=60)
    second = installation.start(CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS)).wait_ready(2)
    first.wait_ready(2)
    second.stop()
    first.wait_ready(installation.partitions)
    fault = "a rebalance begins while a worker looks where its partitions stand"
    conclude(installation, first, scenario="race: rebalance again", fault=fault, seeds=(SEED,), state=first.state())


def test_batches_in_flight_are_finished_before_the_partitions_go(installation, conclude):
    """A rebalance waits for commits that are under way: nobody is fenced by it, and nothing is done twice."""
    publish_load(installation, EVENTS_OF_SLOW_COMMITS, SEED)
    first = start(installation, "committing").wait_ready(installation.partitions)
    first.wait(lambda: installation.progress() > 0, "the first commits", limit_s=TAKE_OVER_LIMIT_S)
    second = installation.start(CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS)).wait_ready(2)
    assert installation.progress() < 1
    first.wait(lambda: len(first.owned()) == 2, "half of its partitions to go", limit_s=TAKE_OVER_LIMIT_S)
    installation.wait_consumed(first, second)
    second.stop()
    first.wait_ready(installation.partitions)
    fault = f"a worker joins while each commit of another one takes {lingering_worker.IN_A_COMMIT_S} s"
    conclude(installation, first, scenario="race: commits in flight", fault=fault, seeds=(SEED,), state=first.state())
