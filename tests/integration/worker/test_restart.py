"""A worker that stops and starts again: drained, in order, and from the changelog when the disk is empty."""

import os
import shutil
import time

import pytest

from consolidator.keys import partition_of
from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import Rates, believable
from tests.real_kafka.stored_table import stored_offsets, table_of_changelog, table_on_disk

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SMALL_BATCHES = {"CONSOLIDATOR_BATCH_EVENTS": "200"}


def run(installation, **variables):
    """Start a worker, let it consume everything, stop it."""
    worker = installation.start(**variables).wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    return worker


def copies_of_the_table(installation):
    return (
        table_of_changelog(installation.read(installation.topics.changelog.name)),
        table_on_disk(installation.state_dir),
    )


def test_nobody_else_reads_a_workers_state(installation):
    """Files and directories are the owner's alone, whatever the umask of whoever starts it."""
    installation.publish(believable(41, 5))
    before = os.umask(0)
    try:
        run(installation)
    finally:
        os.umask(before)
    found = list(installation.state_dir.rglob("*"))
    assert found
    assert [path for path in found if path.stat().st_mode & 0o077] == []


def test_a_restart_goes_on_without_a_duplicate(installation):
    """What comes after an orderly stop continues what was before it, with late copies and erasures in between."""
    events = believable(41, 80, rates=Rates(erased=0.03, duplicate=0.2))
    for part in (events[: len(events) // 2], events[len(events) // 2 :]):
        installation.publish(part)
        run(installation)
    installation.check_laws(state=installation.state_dir)


def test_sigterm_under_load_drains_and_exits_0(installation, conclude):
    """The batches in flight are finished: disk, changelog and group agree, and no transaction is left open."""
    installation.publish_messages(design_workload(20_000, 1_000, 42))
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_progress(0.1, worker)
    asked = time.monotonic()
    worker.stop()
    drain_s = time.monotonic() - asked
    assert installation.progress() < 1
    changelog, disk = copies_of_the_table(installation)
    assert disk == changelog
    for topic in installation.topics:
        assert installation.stable_ends(topic.name) == installation.ends(topic.name)
    run(installation)
    conclude(
        installation,
        scenario="12 drain",
        fault="SIGTERM under load",
        held="the laws; exit code 0, disk equals changelog, no transaction left open",
        more={"drained in, s": round(drain_s, 2)},
        state=installation.state_dir,
    )


def test_a_recovery_begins_where_the_disk_ends(installation):
    """Each database knows its last changelog record, so that a restart reads nothing of it again."""
    installation.publish_messages(design_workload(4_000, 200, 45))
    run(installation, **SMALL_BATCHES)
    ends = {record.partition: record.offset for record in installation.read(installation.topics.changelog.name)}
    assert len(ends) == installation.partitions
    assert stored_offsets(installation.state_dir) == ends


def test_an_empty_disk_is_rebuilt_from_the_changelog(installation):
    """On another machine the worker has the same table, and goes on with the events that it has not seen."""
    events = believable(43, 150, rates=Rates(erased=0.02))
    installation.publish(events[: len(events) // 2])
    run(installation, **SMALL_BATCHES)
    shutil.rmtree(installation.state_dir)
    rebuilt = installation.start().wait_ready(installation.partitions)
    rebuilt.stop()
    changelog, disk = copies_of_the_table(installation)
    assert disk == changelog
    installation.check_laws(state=installation.state_dir)
    shutil.rmtree(installation.state_dir)
    installation.publish(events[len(events) // 2 :])
    run(installation)
    installation.check_laws(state=installation.state_dir)


def test_no_partition_starves(installation):
    """Beside a partition with a long backlog the others get their turn in every round."""
    messages = list(design_workload(24_000, 400, 44))
    home = {message: partition_of(message.application_id, installation.partitions) for message in messages}
    busy = [message for message in messages if home[message] == 0]
    others = [message for message in messages if home[message] != 0][:600]
    installation.publish_messages(busy + others)
    ends = installation.ends()
    worker = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    worker.wait(
        lambda: all(installation.committed()[partition] == ends[partition] for partition in (1, 2, 3)),
        "the short partitions to be consumed",
        limit_s=60,
    )
    assert installation.committed()[0] < ends[0]
    worker.stop()
