"""The worker's clock is an hour wrong, ahead or behind: what it publishes is what a worker with the right clock does.

The clock is that of the worker's Python, shifted by ``wrong_clock/sitecustomize.py``; the worker's own log shows that
it is wrong. librdkafka keeps the right one: it decides about no record, and the topics have the broker's time.
"""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consolidator.keys import event_key, partition_of
from tests.inputs.bad_inputs import BAD_INPUTS, BAD_KEY
from tests.inputs.workloads import Rates, believable, to_json
from tests.real_kafka.installation import Installation
from tests.real_kafka.stored_table import table_of_changelog

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

HOUR_S = 3_600
TOLERANCE_S = 300
SHIFTS = Path(__file__).parent / "wrong_clock"
CANONICAL = Rates(missing_event_id=0.0, erased=0.02)
"""No stranger's records: what the first run re-publishes would be more input for the second one."""


def at(moment: datetime, name: str):
    return {
        "application_id": f"app-{name}",
        "event_id": f"evt-{name}",
        "execution_id": "e1",
        "processor": "credit_check",
        "status": "completed",
        "occurred_at": moment.isoformat(),
        "output": {"factors": {"f_credit_score": 700}},
    }


def publish_input(installation: Installation) -> None:
    """A story, every bad input, and events half an hour on either side of what counts as the far future."""
    installation.publish(believable(161, 50, rates=CANONICAL))
    installation.publish_raw((BAD_KEY + kind.encode(), bad.value, 1) for kind, bad in BAD_INPUTS.items())
    now = datetime.now(UTC)
    for name, hours in (("soon", 23.5), ("far", 24.5)):
        event = at(now + timedelta(hours=hours), name)
        key = event_key(event["application_id"], event["event_id"])
        home = partition_of(event["application_id"], installation.partitions)
        installation.publish_raw([(BAD_KEY + key if name == "far" else key, to_json(event), home)])


def run(installation: Installation, shift_s: int):
    """Consume everything with a worker whose clock is shifted, and return what it left."""
    variables = {} if shift_s == 0 else clock_of(shift_s)
    worker = installation.start(**variables).wait_ready(installation.partitions)
    said = datetime.fromisoformat(worker.entries("worker starting")[0]["timestamp"])
    assert abs((said - datetime.now(UTC)).total_seconds() - shift_s) < TOLERANCE_S
    installation.wait_consumed(worker)
    worker.stop()
    changes, factors, dead_letters = installation.published()
    return {
        "changes": sorted((r.partition, r.offset, r.key, r.value, r.headers) for r in changes),
        # How many records a pair has depends on where batches end; the last one does not.
        "factors": {r.key: (r.value, r.headers) for r in factors},
        "dead letters": sorted((r.partition, r.key, r.value, r.headers) for r in dead_letters),
        "state": table_of_changelog(installation.read(installation.topics.changelog.name)),
    }


def clock_of(shift_s: int) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(SHIFTS), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "CONSOLIDATOR_TEST_CLOCK_SHIFT_S": str(shift_s)}


def forget(installation: Installation) -> None:
    """Everything but the source as before the first worker."""
    for topic in installation.topics:
        if topic is not installation.topics.executions:
            installation.delete_topic(topic.name)
    installation.forget_group()
    shutil.rmtree(installation.state_dir)
    installation.create_topics()


def without_offsets(left):
    """Transaction markers stand wherever a batch ended: the order of changes counts, not their offsets."""
    return left | {"changes": [(partition, *rest) for partition, _, *rest in left["changes"]]}


def test_a_clock_that_is_wrong_by_an_hour_changes_nothing(installation, conclude):
    """Changes, factors, dead letters and state are the same bytes, whatever the worker's clock says."""
    publish_input(installation)
    right = without_offsets(run(installation, 0))
    assert len(right["dead letters"]) == len(BAD_INPUTS) + 1
    for shift_s in (HOUR_S, -HOUR_S):
        forget(installation)
        wrong = without_offsets(run(installation, shift_s))
        for what, content in right.items():
            assert wrong[what] == content, (what, shift_s)
    conclude(
        installation,
        scenario="16 wrong clock",
        fault="worker's clock an hour ahead, and an hour behind",
        held="the laws; changes, factors, dead letters and state the same bytes as with the right clock",
        faults=2,
        more={"changes compared": 2 * len(right["changes"])},
        state=installation.state_dir,
    )
