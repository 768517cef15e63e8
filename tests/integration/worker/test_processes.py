"""Several workers under one command: they share the work, and begin and end together."""

import os
import signal
from pathlib import Path

import pytest

from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def ready_partitions(program):
    """The partitions of each "partitions ready" line, the last one of each directory's worker."""
    return [set(map(int, entry["offsets"])) for entry in program.entries("partitions ready")]


def both_processes(installation, **variables):
    """A program of two workers that have two partitions each."""
    program = installation.start(CONSOLIDATOR_PROCESSES="2", **variables)
    everything = set(range(installation.partitions))

    def shared():
        halves = [owned for owned in ready_partitions(program) if len(owned) == 2]
        return any(first | second == everything for first in halves for second in halves)

    program.wait(shared, "two workers with two partitions each", limit_s=LIMIT_S)
    return program, children(program)


def children(program):
    """The process ids of the workers."""
    pids = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in pids.split()]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_processes_share_the_partitions_and_stop_in_order(installation):
    """Both have partitions and state of their own, the laws hold, and SIGTERM to the command stops both in order."""
    program, workers = both_processes(installation)
    assert len(workers) == 2
    installation.publish_messages(design_workload(8_000, 400, 61))
    installation.wait_consumed(program)
    program.stop()
    assert len(program.entries("worker stopped")) == 2
    assert {entry["state"] for entry in program.entries("worker starting")} == {
        str(installation.state_dir / installation.name / f"worker-{number}") for number in range(2)
    }
    installation.check_laws()


def test_when_one_process_is_killed_all_end_and_a_restart_goes_on(installation):
    """The command ends with an exit code above zero and names the process; after a restart nothing is missing."""
    messages = list(design_workload(8_000, 400, 62))
    program, workers = both_processes(installation, CONSOLIDATOR_BATCH_EVENTS="200")
    installation.publish_messages(messages)
    installation.wait_progress(0.1, program)
    os.kill(workers[0], signal.SIGKILL)
    assert program.wait_exit() == 3, program.tail()
    (told,) = program.entries("a worker process ended, stopping the others")
    assert (told["process"], told["ended"]) == (0, "signal 9")
    assert not is_running(workers[1])
    program, _ = both_processes(installation)
    installation.wait_consumed(program)
    program.stop()
    installation.check_laws()


def test_workers_stop_when_the_command_is_killed(installation):
    """After kill -9 of the command no worker goes on behind its back."""
    program, workers = both_processes(installation)
    program.kill()
    wait_until(lambda: not any(map(is_running, workers)), "the workers to stop", limit_s=LIMIT_S)
    assert len(program.entries("worker stopped")) == 2


def test_each_process_is_a_static_member_of_its_own(installation):
    """One instance id for the command: each process appends its number."""
    program, _ = both_processes(installation, CONSOLIDATOR_INSTANCE_ID="here")
    group = installation.described_group()
    assert {member.group_instance_id for member in group.members} == {"here-0", "here-1"}
    program.stop()
