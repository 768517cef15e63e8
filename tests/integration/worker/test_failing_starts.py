"""Starts that fail: each ends the worker, with the exit code that says who has to act, and one sentence on why."""

import fcntl
import json
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.small_disk import mounted_disk
from tests.real_kafka.unfriendly_broker import UnfriendlyBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EXIT_CONTRACT = 2
EXIT_INFRASTRUCTURE = 3
DISK_KIB = 64
START_LIMIT_S = 40.0
"""Faust's import, and the 10 s after which a cluster that does not answer is an error, on a busy machine."""


def nothing(_directory):
    return {}


@dataclass(frozen=True)
class Start:
    """A start that has to fail.

    Attributes:
        name: what is wrong.
        exit_code: with which the worker has to end.
        says: what the reason has to name.
        prepare: brings it about in a directory, and returns settings.
    """

    name: str
    exit_code: int
    says: tuple[str, ...]
    prepare: Callable[[Path], dict[str, str]] = field(default=nothing)


def a_file(directory):
    (directory / "file").write_text("no directory")
    return {"CONSOLIDATOR_STATE_DIR": str(directory / "file")}


def below_a_file(directory):
    a_file(directory)
    return {"CONSOLIDATOR_STATE_DIR": str(directory / "file" / "below")}


def too_long(directory):
    return {"CONSOLIDATOR_STATE_DIR": str(directory / ("n" * 300))}


def no_catalogue(directory):
    return {"CONSOLIDATOR_CATALOGUE": str(directory / "missing.toml")}


def a_directory_for_a_catalogue(directory):
    return {"CONSOLIDATOR_CATALOGUE": str(directory)}


def unknown_host(_directory):
    return {"KAFKA_BOOTSTRAP_SERVERS": "no-such-host.invalid:9092"}


def closed_port(_directory):
    return {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}


STARTS = [
    Start("the state directory is a file", EXIT_CONTRACT, ("CONSOLIDATOR_STATE_DIR", "/file"), a_file),
    Start("the state directory is below a file", EXIT_CONTRACT, ("CONSOLIDATOR_STATE_DIR",), below_a_file),
    Start("the state directory's name is too long", EXIT_CONTRACT, ("CONSOLIDATOR_STATE_DIR",), too_long),
    Start("there is no catalogue", EXIT_CONTRACT, ("missing.toml",), no_catalogue),
    Start("the catalogue is a directory", EXIT_CONTRACT, ("Is a directory",), a_directory_for_a_catalogue),
    Start("the broker's name is unknown", EXIT_INFRASTRUCTURE, ("no-such-host.invalid:9092",), unknown_host),
    Start("nobody listens", EXIT_INFRASTRUCTURE, ("127.0.0.1:9",), closed_port),
]


def reason_of(worker, exit_code, *, limit_s=START_LIMIT_S):
    """The one sentence with which a worker has to end."""
    assert worker.wait_exit(limit_s=limit_s) == exit_code, worker.tail()
    first, *more = worker.log.splitlines()
    if first.startswith("error: "):
        # A setting that is refused: how to log is not known before all settings are.
        assert more == []
        return first
    entries = [json.loads(line) for line in worker.log.splitlines()]
    [halted] = [entry for entry in entries if entry["level"] in {"critical", "error"}]
    assert halted["event"] == "worker halted", worker.tail()
    assert "Traceback" not in worker.log
    assert entries[-1] == halted
    return halted["error"]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name.replace(" ", "-"))
def test_a_start_that_cannot_succeed_ends(installation, tmp_path, start):
    """Whatever is wrong with a setting, the disk or the cluster, the worker ends in time and names it."""
    worker = installation.start(**start.prepare(tmp_path))
    said = reason_of(worker, start.exit_code)
    assert all(word in said for word in start.says), said


def test_several_processes_end_alike(installation, tmp_path):
    """Of several workers that cannot start, none is left behind, and the command has their exit code."""
    program = installation.start(CONSOLIDATOR_PROCESSES="3", **no_catalogue(tmp_path))
    assert program.wait_exit(limit_s=START_LIMIT_S) == EXIT_CONTRACT, program.tail()
    assert program.entries("worker halted")


def test_a_broker_that_faust_cannot_reach_ends_the_worker(installation, kafka):
    """The checks before the start go well, and then Faust's consumer cannot connect: the worker ends, and says so."""
    with UnfriendlyBroker(kafka, "refuses") as broker:
        worker = installation.start(KAFKA_BOOTSTRAP_SERVERS=broker.servers)
        said = reason_of(worker, EXIT_INFRASTRUCTURE)
    assert worker.entries("worker starting")
    assert broker.servers in said or "bootstrap" in said


def test_a_broker_that_falls_silent_is_named_and_a_signal_ends_the_wait(installation, kafka):
    """While Faust's consumer waits for an answer the log says so, and SIGTERM ends the worker in order."""
    with UnfriendlyBroker(kafka, "is silent") as broker:
        worker = installation.start(KAFKA_BOOTSTRAP_SERVERS=broker.servers)
        worker.wait(lambda: worker.entries("Kafka is lost"), "the worker to say what it waits for", limit_s=LIMIT_S)
        [lost] = worker.entries("Kafka is lost")
        assert broker.servers in lost["waiting_for"]
        worker.wait(lambda: worker.entries("worker is not ready yet"), "the worker to say more", limit_s=LIMIT_S)
        worker.terminate()
        assert worker.wait_exit(limit_s=30.0) == 0, worker.tail()


def test_a_cluster_that_takes_connections_and_never_answers_ends_the_worker(installation):
    """The first question to Kafka has a limit."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        said = reason_of(installation.start(KAFKA_BOOTSTRAP_SERVERS=server), EXIT_INFRASTRUCTURE)
    assert server in said


def settled(installation):
    """A worker has run: there are databases."""
    worker = installation.start().wait_ready(installation.partitions)
    worker.stop()
    return worker.state()


def databases(state):
    return sorted(path.parent for path in state.rglob("CURRENT"))


def test_a_database_that_another_process_has_open_ends_the_worker(installation):
    """RocksDB allows one process: the worker names the database, and does not wait for the other to end."""
    database = databases(settled(installation))[0]
    with (database / "LOCK").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        said = reason_of(installation.start(), EXIT_INFRASTRUCTURE)
    assert str(database) in said


def test_a_file_where_a_database_should_be_ends_the_worker(installation):
    """What is in the way is named."""
    state = settled(installation)
    database = databases(state)[0]
    database.rename(database.with_name("elsewhere"))
    database.write_text("no database")
    said = reason_of(installation.start(), EXIT_INFRASTRUCTURE)
    assert str(database) in said


def test_a_file_where_fausts_directory_should_be_ends_the_worker(installation):
    """Faust makes its directories when it starts: one that cannot be made is a reason to end, and not to hang."""
    state = installation.state_dir / installation.name / "worker-0"
    state.mkdir(parents=True)
    (state / "v1").write_text("no directory")
    said = reason_of(installation.start(), EXIT_CONTRACT)
    assert str(state / "v1") in said
    assert "CONSOLIDATOR_STATE_DIR" in said


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, on which a test may use up all there is."""
    with mounted_disk(tmp_path / "disk", f"{DISK_KIB}k") as directory:
        yield directory


@pytest.mark.parametrize("left_kib", [0, 8])
def test_a_disk_that_is_full_at_the_start_ends_the_worker(installation, small_disk, left_kib):
    """A disk without room for the first file, or for a database, is named with exit code 3: a restart may find room."""
    (small_disk / "filler").write_bytes(bytes(1_024 * (DISK_KIB - left_kib)))
    said = reason_of(installation.start(CONSOLIDATOR_STATE_DIR=str(small_disk / "state")), EXIT_INFRASTRUCTURE)
    assert str(small_disk) in said
    assert "No space left" in said


def test_a_disk_that_may_not_be_written_ends_the_worker(installation, small_disk):
    """A read-only state directory is a wrong setting."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = reason_of(installation.start(CONSOLIDATOR_STATE_DIR=str(small_disk / "state")), EXIT_CONTRACT)
    assert "CONSOLIDATOR_STATE_DIR" in said


def test_faust_starts_no_producer(installation):
    """The worker has no connection more than it needs: Faust's own producer, which sends nothing, does not connect."""
    worker = installation.start(CONSOLIDATOR_LOG_LEVEL="debug").wait_ready(installation.partitions)
    assert "Consumer]: Starting..." in worker.log
    assert "Producer]: Starting..." not in worker.log
    worker.stop()
