"""The checker's self-test on real Kafka: a worker without transactions must not pass (``tests/unit`` has the rest)."""

import signal
import sys
from pathlib import Path

import pytest

from tests.fault_runs import unprotected_worker
from tests.fault_runs.load import BATCH_EVENTS, LIMIT_S, publish_load
from tests.fault_runs.scale import SEED
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = 6_000


@pytest.mark.parametrize("unprotected", [True, False], ids=["without transactions", "with transactions"])
def test_a_worker_without_transactions_is_caught(installation, unprotected):
    """Dying between produce and commit it publishes twice, and the checker says so; the real worker passes."""
    program = Path(unprotected_worker.__file__)
    command = [sys.executable, str(program), "run"] if unprotected else [str(CONSOLIDATOR), "run"]
    small = {"CONSOLIDATOR_BATCH_EVENTS": str(BATCH_EVENTS)}
    publish_load(installation, EVENTS, SEED)
    worker = installation.start_program(*command, CONSOLIDATOR_FAILPOINT="produced:kill:5", **small)
    assert worker.wait_exit(limit_s=LIMIT_S) == -signal.SIGKILL, worker.tail()
    worker = installation.start_program(*command, **small).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    report = installation.report(installation.observe(state=installation.state_dir))
    assert bool(report.duplicated) == unprotected, report.problems()
    assert unprotected or not report.problems()
