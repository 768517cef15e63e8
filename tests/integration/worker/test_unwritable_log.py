"""A log that cannot be written: the worker consolidates as if nothing were the matter, and SIGTERM ends it in order."""

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

GRACE_S = 30.0
EVENTS = 6_000
"""Their failed executions fill a pipe several times over."""


def start_with(installation, redirection, **variables):
    """A worker whose stderr is something else."""
    return installation.start_program("sh", "-c", f"exec {CONSOLIDATOR} run {redirection}", **variables)


def works_and_stops(installation, worker, seed):
    """Events are consolidated, and SIGTERM ends the worker in order and in time."""
    installation.publish_messages(design_workload(EVENTS, 300, seed))
    installation.wait_consumed(worker)
    worker.terminate()
    assert worker.wait_exit(limit_s=GRACE_S) == 0
    installation.check_laws()


@contextmanager
def fifo(directory):
    """A pipe with a name, held open at its reading end."""
    path = directory / "stderr"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    try:
        yield path, reading
    finally:
        os.close(reading)


def fill(path):
    """Make a pipe full to the last byte; returns how much is in it."""
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    filled = 0
    try:
        while True:
            filled += os.write(writing, b"\n")
    except BlockingIOError:
        return filled
    finally:
        os.close(writing)


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_a_log_that_cannot_be_written_changes_nothing(installation, redirection, processes):
    """The log is on a full disk, or closed: the laws hold, and SIGTERM ends the worker, and every one of several."""
    worker = start_with(installation, redirection, CONSOLIDATOR_PROCESSES=processes)
    works_and_stops(installation, worker, 71)


def test_a_closed_stderr_is_no_file_of_the_worker(installation):
    """Where stderr is closed its number goes to no connection and no database, to which a library would then write."""
    worker = start_with(installation, "<&- >&- 2>&-")
    installation.publish_messages(design_workload(500, 50, 72))
    installation.wait_consumed(worker)
    assert {str(Path(f"/proc/{worker.pid}/fd/{number}").readlink()) for number in range(3)} == {"/dev/null"}
    worker.stop()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_pipe_without_a_reader_holds_nothing_up(installation, tmp_path, processes):
    """Nobody reads the log and the pipe is full: events are consolidated; and SIGTERM does not wait for a reader."""
    with fifo(tmp_path) as (path, _):
        fill(path)
        worker = start_with(installation, f"2>{path}", CONSOLIDATOR_PROCESSES=processes)
        works_and_stops(installation, worker, 73)


def test_a_reader_that_comes_late_gets_every_line(installation, tmp_path):
    """What the queue holds is written when the pipe's reader is back: in order, whole, each line once."""
    with fifo(tmp_path) as (path, reading):
        filled = fill(path)
        worker = start_with(installation, f"2>{path}")
        installation.publish_messages(design_workload(EVENTS, 300, 74))
        installation.wait_consumed(worker)
        worker.terminate()
        found = b""
        while more := os.read(reading, 65_536):
            found += more
        assert worker.wait_exit(limit_s=GRACE_S) == 0
    entries = [json.loads(line) for line in found[filled:].splitlines()]
    assert entries[0]["event"] == "worker process started"
    assert entries[-1]["event"] == "worker stopped"
    failed = [entry for entry in entries if entry["event"].startswith("execution failed")]
    assert len(failed) == entries[-1]["failed"] > 100
    for partition in range(installation.partitions):
        offsets = [entry["offset"] for entry in failed if entry["partition"] == partition]
        assert offsets == sorted(set(offsets))


def test_a_reader_that_has_gone_ends_nothing(installation, tmp_path):
    """The log's reader dies under the worker: it is no reason to die, too."""
    with fifo(tmp_path) as (path, reading):
        worker = start_with(installation, f"2>{path}")
        # A pipe that nobody has opened for writing yet is at its end.
        wait_until(lambda: b"worker process started" in os.read(reading, 65_536), "the first line", limit_s=LIMIT_S)
    works_and_stops(installation, worker, 75)


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_wrong_settings_have_their_exit_code_without_a_log(installation, redirection):
    """Where nobody can be told, the exit code still says that a setting is wrong."""
    worker = start_with(installation, redirection, CONSOLIDATOR_PARTITIONS="many")
    assert worker.wait_exit() == 2
    worker = start_with(installation, redirection, CONSOLIDATOR_PARTITIONS="8")
    assert worker.wait_exit() == 2


def test_a_start_that_fails_does_not_wait_for_a_reader(installation, tmp_path):
    """With a pipe that nobody reads the worker ends with its exit code, and does not hang over its last words."""
    with fifo(tmp_path) as (path, _):
        fill(path)
        since = time.monotonic()
        worker = start_with(installation, f"2>{path}", CONSOLIDATOR_PARTITIONS="8")
        assert worker.wait_exit() == 2
        assert time.monotonic() - since < LIMIT_S / 2


def test_every_line_of_a_json_log_is_json(installation):
    """The libraries' lines, warnings and errors go through the same log: each line is an object with an event."""
    worker = installation.start(PYTHONWARNINGS="default").wait_ready(installation.partitions)
    worker.stop()
    wait_until(lambda: worker.exit_code is not None, "the worker to end", limit_s=LIMIT_S)
    assert all("event" in json.loads(line) for line in worker.log.splitlines())
