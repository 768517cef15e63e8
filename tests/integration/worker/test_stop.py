"""SIGTERM at any moment of a worker's life: it ends in order, with exit code 0, and leaves nothing half done."""

import shutil
import socket
from contextlib import closing

import pytest

from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import LIMIT_S

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EARLY_EXIT_LIMIT_S = 10.0
"""With nothing to drain: the process's own end, on a machine that is very busy."""


def stop_early(worker):
    worker.terminate()
    assert worker.wait_exit(limit_s=EARLY_EXIT_LIMIT_S) == 0, worker.tail()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_at_its_first_word(installation, processes):
    """A signal that comes while Faust is still being imported ends the worker, or all of them, in order."""
    worker = installation.start(CONSOLIDATOR_PROCESSES=processes)
    worker.wait(lambda: worker.entries("worker process started"), "its first word", limit_s=LIMIT_S)
    assert worker.entries()[0]["event"] == "worker process started"
    stop_early(worker)
    assert not worker.entries("worker starting")
    assert worker.entries("worker stopped before it began")


def test_while_it_waits_for_a_cluster_that_does_not_answer(installation):
    """The first question to Kafka takes its time; a signal does not wait for its end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        silent.settimeout(LIMIT_S)
        worker = installation.start(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{silent.getsockname()[1]}")
        with closing(silent.accept()[0]):
            stop_early(worker)
    assert worker.entries()[-1]["event"] == "worker stopped before it began"


@pytest.mark.parametrize("place", ["acquired", "restored"])
def test_while_it_takes_its_partitions_over(installation, place):
    """A signal between the fence and the recovery, or in the middle of the recovery, ends it; the next one goes on."""
    installation.publish_messages(design_workload(4_000, 200, 46))
    first = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(first)
    first.stop()
    shutil.rmtree(installation.state_dir)
    worker = installation.start(CONSOLIDATOR_FAILPOINT=f"{place}:stop:1")
    worker.wait(worker.is_frozen, f"the worker to freeze where it is {place!r}", limit_s=LIMIT_S)
    worker.terminate()
    worker.cont()
    assert worker.wait_exit() == 0, worker.tail()
    assert worker.entries()[-1]["event"] == "worker stopped"
    installation.publish_messages(design_workload(2_000, 200, 47))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    installation.check_laws(state=worker.state())


def test_while_the_group_waits_for_another_member(installation):
    """A worker that has asked to join, and is not let in before a frozen member's session is over, ends in order."""
    first = installation.start().wait_ready(installation.partitions)
    first.freeze()
    second = installation.start()
    second.wait(lambda: second.entries("worker starting"), "the second worker to start", limit_s=LIMIT_S)
    second.stop()
    first.kill()
