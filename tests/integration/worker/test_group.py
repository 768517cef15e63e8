"""Several workers on one group: shared partitions, a take-over, and a zombie that comes back."""

import time
from contextlib import suppress

import pytest

from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import SESSION_TIMEOUT_S
from tests.real_kafka.installed import installed
from tests.real_kafka.stored_table import stored_offsets
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SMALL_BATCHES = {"CONSOLIDATOR_BATCH_EVENTS": "200"}
EXIT_CONTRACT = 2
TAKE_OVER_LIMIT_S = SESSION_TIMEOUT_S + 40

LONGEST_S = 4
"""Faust's setting for how long a consumer may take no records; its default is 1,000 s."""


def two_workers(installation, **variables):
    """Two workers that have two partitions each."""
    first = installation.start(**SMALL_BATCHES, **variables).wait_ready(installation.partitions)
    second = installation.start(**SMALL_BATCHES, **variables).wait_ready(2)
    first.wait(lambda: len(first.owned()) == 2, "the first worker to give two partitions up", limit_s=TAKE_OVER_LIMIT_S)
    assert first.owned() | second.owned() == set(range(installation.partitions))
    return first, second


def test_a_killed_workers_partitions_move_to_the_other(installation):
    """Two workers share the partitions; after kill -9 of one the other has them all, and every law holds."""
    messages = list(design_workload(16_000, 800, 51))
    first, second = two_workers(installation)
    installation.publish_messages(messages[:8_000])
    installation.wait_progress(0.3, second)
    first.kill()
    installation.publish_messages(messages[8_000:])
    second.wait_ready(installation.partitions, limit_s=TAKE_OVER_LIMIT_S)
    installation.wait_consumed(second)
    second.stop()
    installation.check_laws(state=second.state())


def test_a_recovery_right_after_another_one_reads_everything(installation):
    """A worker that has just recovered some partitions recovers the others when their owner leaves at that moment."""
    installation.publish_messages(design_workload(8_000, 400, 53))
    first = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_consumed(first)
    second = installation.start(**SMALL_BATCHES).wait_ready(2)
    first.stop()
    second.wait_ready(installation.partitions, limit_s=TAKE_OVER_LIMIT_S)
    installation.wait_consumed(second)
    second.stop()
    installation.check_laws(state=second.state())


def test_a_standby_takes_over_from_what_it_has_on_disk(installation):
    """A worker keeps copies of the other's partitions, and goes on from them when the other is killed."""
    installation.publish_messages(design_workload(8_000, 400, 54))
    first, second = two_workers(installation, CONSOLIDATOR_STANDBY_REPLICAS="1")
    installation.wait_consumed(first, second)
    theirs = first.owned()

    ends = {record.partition: record.offset for record in installation.read(installation.topics.changelog.name)}

    def copied():
        # Files may be exchanged while they are looked at.
        with suppress(Exception):
            return stored_offsets(second.state()) == ends
        return False

    second.wait(copied, "copies of the other's partitions", limit_s=TAKE_OVER_LIMIT_S)
    first.kill()
    second.wait_ready(installation.partitions, limit_s=TAKE_OVER_LIMIT_S)
    assert theirs < second.owned()
    installation.publish_messages(design_workload(4_000, 400, 55))
    installation.wait_consumed(second)
    second.stop()
    installation.check_laws(state=second.state())


def test_a_zombie_is_fenced_and_ends(installation):
    """A worker that was frozen past its session wakes up beside its successor: it ends, and no version goes back."""
    messages = list(design_workload(24_000, 800, 52))
    installation.publish_messages(messages[:20_000])
    zombie = installation.start(**SMALL_BATCHES).wait_ready(installation.partitions)
    installation.wait_progress(0.1, zombie)
    zombie.freeze()
    assert installation.progress() < 0.95
    successor = installation.start(**SMALL_BATCHES)
    successor.wait_ready(installation.partitions, limit_s=TAKE_OVER_LIMIT_S)
    installation.wait_consumed(successor)
    zombie.cont()
    assert zombie.wait_exit() > 0, zombie.tail()
    installation.publish_messages(messages[20_000:])
    wait_until(lambda: len(successor.owned()) == 4, "the successor to own everything", limit_s=TAKE_OVER_LIMIT_S)
    installation.wait_consumed(successor)
    successor.stop()
    installation.check_laws(state=successor.state())


def test_of_two_workers_with_one_instance_id_the_first_one_ends(installation):
    """The one that was replaced names the setting and ends with exit code 2; the other one goes on undisturbed."""
    name = {"CONSOLIDATOR_INSTANCE_ID": "the-same"}
    first = installation.start(**name).wait_ready(installation.partitions)
    second = installation.start(**name).wait_ready(installation.partitions, limit_s=TAKE_OVER_LIMIT_S)
    assert first.wait_exit() == EXIT_CONTRACT, first.tail()
    [halt] = first.entries("worker halted")
    assert "CONSOLIDATOR_INSTANCE_ID, 'the-same'" in halt["error"]
    installation.publish_messages(design_workload(2_000, 200, 56))
    installation.wait_consumed(second)
    assert len(second.entries("partitions acquired")) == 1
    second.stop()
    installation.check_laws(state=second.state())


def test_a_spare_worker_is_there_after_a_long_wait(kafka, tmp_path):
    """It takes no records for longer than a consumer may, because it has no partition. Then it has to take over."""
    with installed(
        kafka, tmp_path, CONSOLIDATOR_PARTITIONS="1", BROKER_MAX_POLL_INTERVAL=str(LONGEST_S)
    ) as installation:
        workers = [installation.start().wait_ready()]
        workers.append(installation.start())
        workers[1].wait(lambda: workers[1].entries("partitions acquired"), "a member", limit_s=TAKE_OVER_LIMIT_S)
        wait_until(lambda: sum(len(each.owned()) for each in workers) == 1, "an owner", limit_s=TAKE_OVER_LIMIT_S)
        # The time has to pass: the member would leave the group then, and not come back.
        time.sleep(3 * LONGEST_S)
        [owner] = [each for each in workers if each.owned()]
        [spare] = [each for each in workers if not each.owned()]
        owner.kill()
        spare.wait_ready(limit_s=TAKE_OVER_LIMIT_S)
        installation.publish_messages(design_workload(500, 50, 55))
        installation.wait_consumed(spare)
        spare.stop()
        installation.check_laws()
