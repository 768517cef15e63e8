"""How fast a worker is at work again: with its state on disk, and from the changelog alone."""

import shutil
import time
from datetime import datetime

import pytest

from tests.fault_runs.load import LIMIT_S
from tests.fault_runs.scale import SEED, scale
from tests.inputs.design_workload import design_workload

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = scale("REBUILD_EVENTS", short=40_000, long=400_000)
APPLICATIONS = 20_000
BATCH_EVENTS = 500


@pytest.mark.timeout(300 + EVENTS / 500)
def test_an_empty_disk_is_rebuilt_at_speed(installation, conclude):
    """On a machine with an empty disk everything comes from the changelog, and equals the oracle's."""
    installation.publish_messages(design_workload(EVENTS, APPLICATIONS, SEED))
    worker = installation.start(CONSOLIDATOR_BATCH_EVENTS=str(BATCH_EVENTS)).wait_ready(installation.partitions)
    installation.wait_consumed(worker, limit_s=LIMIT_S)
    worker.stop()
    rows = sum(1 for _ in installation.read(installation.topics.changelog.name))
    shutil.rmtree(installation.state_dir)
    rebuilt = installation.start().wait_ready(installation.partitions, limit_s=LIMIT_S)
    recovery_s = time.monotonic() - rebuilt.started_at
    rebuild_s = (moment_of(rebuilt, "partitions ready") - moment_of(rebuilt, "partitions acquired")).total_seconds()
    rebuilt.stop()
    conclude(
        installation,
        scenario="empty disk",
        fault="state directory deleted, or another machine",
        held="the laws: rebuilt from the changelog",
        recovery_s=(recovery_s,),
        seeds=(SEED,),
        more={"changelog rows": rows, "rebuild, s": rebuild_s, "rebuild, rows/s": round(rows / rebuild_s)},
        state=installation.state_dir,
    )


def moment_of(worker, event):
    return datetime.fromisoformat(worker.entries(event)[0]["timestamp"])
