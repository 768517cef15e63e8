"""The states of a worker, and what its probes and metrics say in each, with real processes.

| state | /livez | /readyz | what is said |
| --- | --- | --- | --- |
| idle | 200 | 200 | every partition idle |
| event loop blocked | 503 | 503 | event_loop: blocked for so long |
| one partition stands still without a reason | 503 | 503 | that partition stuck, the others idle |
| recovery | 200 | 503 | recovering, with what remains |
| broker killed | 200 | 503 | kafka: lost, and who does not answer |
| log blocked | 200 | 200 | log: nobody reads it |
| disk nearly full | 200 | 200 | disk: so much is free |
| disk full | nobody answers | nobody answers | the log: the disk is full, exit code 3 |
| one of two processes hangs | 503 | 503 | processes: which one, and since when |
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from streams.broker.embedded import broker_status, start_broker
from tests.fault_runs import ill_worker as ill
from tests.inputs.design_workload import design_workload
from tests.inputs.waiting import slowness
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.health_probe import NO_ANSWER, HealthProbe
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed
from tests.real_kafka.small_disk import mounted_disk
from tests.real_kafka.worker_process import CONSOLIDATOR, WorkerProcess
from tests.unit.health.test_page import PAGE

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

SEEN_WITHIN_S = 15.0
"""The right answer is there within so many seconds on a machine without other work."""

_TICKS_S = 3.0
"""Two questions of the probe, and the second between two signs of the loop."""

SMALL_DISK_MIB = 60
QUIET_LOOKS = 60
"""Some 20 s: twice the time after which a partition with something to do would be called stuck."""


def right_away() -> float:
    """How long the right answer may take, on this machine as busy as it is."""
    return (SEEN_WITHIN_S + _TICKS_S) * slowness()


@pytest.fixture
def probe():
    return HealthProbe()


def program(installation, illness: str, file: Path, probe, **variables: str) -> WorkerProcess:
    """A worker that can fall ill."""
    return installation.start_program(
        sys.executable, str(ill.__file__), "run", **{ill.VARIABLE: f"{illness}:{file}"}, **probe.variables, **variables
    )


def idle(installation, worker, probe, *, seed: int, limit_s: float = LIMIT_S):
    """Wait until the worker has consolidated what was published, and says that it is idle."""
    installation.publish_messages(design_workload(400, 40, seed))
    worker.wait_ready(installation.partitions)
    everything = dict.fromkeys(range(installation.partitions), "idle")
    return probe.wait(lambda seen: seen.states == everything, "every partition to be idle", limit_s=limit_s)


def test_idle_is_healthy_and_every_metric_is_there(installation, probe):
    """Ready when the partitions are; then idle for longer than any limit; the page has the scrape's metrics."""
    worker = installation.start(**probe.variables)
    worker.wait(lambda: probe.look().livez == 200, "the first answer", limit_s=LIMIT_S)
    seen = idle(installation, worker, probe, seed=91)
    assert (seen.livez, seen.readyz) == (200, 200)
    assert all(seen.checks[name] for name in ("event_loop", "kafka", "group", "log"))
    more = iter(range(QUIET_LOOKS))

    def idle_for_a_while(seen):
        assert (seen.livez, seen.readyz, set(seen.states.values())) == (200, 200, {"idle"}), seen
        return next(more, None) is None

    probe.wait(idle_for_a_while, "a quiet while", limit_s=LIMIT_S * 2)
    names = {name for name, _ in probe.metrics()}
    for name in names:
        base = name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        assert f"| `{name}` |" in PAGE or f"| `{base}` |" in PAGE, name
    assert probe.metric("consolidator_events_total", disposition="folded") == 400
    assert probe.metric("consolidator_event_age_seconds_count") == 400
    assert probe.metric("consolidator_partition_lag_offsets", partition="0") == 0
    assert probe.metric("consolidator_partition_lag_seconds", partition="0") == 0
    assert probe.metric("consolidator_partition_state", partition="0", state="idle") == 1
    assert probe.metric("consolidator_kafka_lost_seconds") == 0
    worker.stop()
    assert worker.entries("health is served")[0]["address"] == probe.address
    assert {entry["worker"].rpartition("/")[2] for entry in worker.entries("partitions ready")} == {"worker-0"}
    assert probe.look().livez == NO_ANSWER
    installation.check_laws()


def test_a_blocked_event_loop_is_dead(installation, probe, tmp_path):
    """Nothing is fetched, folded or committed: a restart helps. When it goes on, so is the answer."""
    file = tmp_path / "ill"
    worker = program(installation, "loop", file, probe)
    idle(installation, worker, probe, seed=92)
    file.touch()
    seen = probe.wait(lambda seen: seen.livez == 503, "the loop to be called blocked", limit_s=right_away())
    assert (seen.readyz, seen.checks["event_loop"], seen.checks["kafka"]) == (503, False, True)
    assert "the event loop has been blocked for" in seen.text
    assert probe.metric("consolidator_event_loop_delay_seconds") > 15
    file.unlink()
    probe.wait(lambda seen: seen.livez == seen.readyz == 200, "the loop to go on", limit_s=LIMIT_S)
    worker.stop()


def test_a_partition_that_nobody_takes_is_stuck(installation, probe, tmp_path):
    """Its records are there, Kafka answers, the others go on; and it is named. Without new records it was idle."""
    file = tmp_path / "ill"
    worker = program(installation, "partition", file, probe)
    idle(installation, worker, probe, seed=93)
    file.touch()
    installation.publish_messages(design_workload(400, 40, 94))
    others = {number: "idle" for number in range(installation.partitions) if number != ill.PARTITION}
    expected = others | {ill.PARTITION: "stuck"}
    seen = probe.wait(lambda seen: seen.states == expected, "the partition to be stuck", limit_s=right_away())
    assert (seen.livez, seen.readyz, seen.checks["kafka"]) == (503, 503, True)
    assert f"partition {ill.PARTITION}: stuck" in seen.text
    number = str(ill.PARTITION)
    assert probe.metric("consolidator_partition_state", partition=number, state="stuck") == 1
    assert probe.metric("consolidator_partition_lag_offsets", partition=number) > 0
    file.unlink()
    probe.wait(lambda seen: seen.livez == seen.readyz == 200, "the partition to go on", limit_s=LIMIT_S)
    worker.stop()
    installation.check_laws()


def test_a_recovery_is_alive_and_not_ready(installation, probe, tmp_path):
    """It says how much remains, and that falls; afterwards it is ready."""
    first = installation.start()
    installation.publish_messages(design_workload(1_500, 300, 95))
    first.wait_ready(installation.partitions)
    installation.wait_consumed(first)
    first.stop()
    file = tmp_path / "ill"
    file.touch()
    other_disk = str(tmp_path / "other-state")
    worker = program(installation, "slow-recovery", file, probe, CONSOLIDATOR_STATE_DIR=other_disk)
    seen = probe.wait(lambda seen: "recovering" in seen.states.values(), "a recovery", limit_s=LIMIT_S)
    assert (seen.livez, seen.readyz) == (200, 503)
    assert "changelog records" in seen.text

    def remaining():
        samples = probe.metrics()
        return sum(value for (name, _), value in samples.items() if name == "consolidator_recovery_remaining_records")

    before = remaining()
    assert before > 0
    probe.wait(lambda seen: seen.livez == 200 and remaining() < before, "progress", limit_s=LIMIT_S)
    file.unlink()
    probe.wait(lambda seen: seen.livez == seen.readyz == 200, "the end of the recovery", limit_s=LIMIT_S)
    restored = [value for (name, _), value in probe.metrics().items() if name == "consolidator_recovery_records_total"]
    assert sum(restored) > 0
    worker.stop()


def test_without_kafka_it_is_alive_and_not_ready(tmp_path, kafka_cache_dir, probe):
    """A restart would not bring the broker back; it is named, with since when; and when it is back all is well."""
    directory = tmp_path / "kafka"
    servers = start_broker(directory, kafka_cache_dir).bootstrap_servers
    try:
        with installed(servers, tmp_path / "run", CONSOLIDATOR_SESSION_TIMEOUT_S="10") as installation:
            worker = installation.start(**probe.variables)
            idle(installation, worker, probe, seed=96)
            running = broker_status(directory)
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
            lost = probe.wait(lambda seen: not seen.checks["kafka"], "Kafka to be lost", limit_s=right_away())
            assert (lost.livez, lost.readyz) == (200, 503)
            assert f"waits for an answer of {servers}" in lost.text
            assert probe.metric("consolidator_kafka_lost_seconds") > 0
            start_broker(directory, kafka_cache_dir)
            probe.wait(lambda seen: seen.livez == seen.readyz == 200, "Kafka to be back", limit_s=LIMIT_S * 2)
            worker.stop()
    finally:
        discard_broker(directory)


def test_a_log_that_nobody_reads_is_said_and_changes_nothing(installation, probe, tmp_path):
    """The worker works on: alive and ready; the check and a metric say that its log is not read."""
    path = tmp_path / "stderr"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"\n" * 4_096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        command = f"exec {CONSOLIDATOR} run 2>{path}"
        worker = installation.start_program("sh", "-c", command, **probe.variables)
        installation.publish_messages(design_workload(2_000, 200, 97))
        seen = probe.wait(
            lambda seen: "idle" in seen.states.values() and not seen.checks["log"],
            "the log to be called blocked",
            limit_s=LIMIT_S + right_away(),
        )
        assert (seen.livez, seen.readyz) == (200, 200)
        assert "log: NOT OK, nobody has read it for" in seen.text
        assert probe.metric("consolidator_log_blocked_seconds") >= 5
        worker.terminate()
        assert worker.wait_exit() == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_disk_that_runs_full_is_said_before_it_ends_the_worker(kafka, tmp_path, probe):
    """Few bytes are free: that is said, and the worker goes on. Then it is full: it ends, and nobody answers."""
    with (
        mounted_disk(tmp_path / "disk", f"{SMALL_DISK_MIB}m") as disk,
        installed(kafka, tmp_path / "run", CONSOLIDATOR_STATE_DIR=str(disk / "state")) as installation,
    ):
        worker = installation.start(**probe.variables)
        seen = idle(installation, worker, probe, seed=98)
        assert (seen.livez, seen.readyz, seen.checks["disk"]) == (200, 200, False)
        assert probe.metric("consolidator_disk_free_bytes") < SMALL_DISK_MIB * 1024 * 1024
        with (disk / "filler").open("wb") as filler:
            try:
                while True:
                    filler.write(b"\0" * 65_536)
                    filler.flush()
            except OSError:
                pass
        installation.publish_messages(design_workload(4_000, 400, 99))
        assert worker.wait_exit(limit_s=LIMIT_S) == 3
        assert "is full" in worker.log
        assert probe.look().livez == NO_ANSWER


def test_with_processes_one_address_answers_for_all_and_names_the_one_that_hangs(installation, probe):
    """Counts are of both; one that is frozen holds no scrape up, no counter falls, and after 15 s it is called dead."""
    worker = installation.start(CONSOLIDATOR_PROCESSES="2", **probe.variables)
    everything = dict.fromkeys(range(installation.partitions), "idle")
    probe.wait(lambda seen: seen.states == everything and seen.readyz == 200, "both to be ready", limit_s=LIMIT_S * 2)
    installation.publish_messages(design_workload(600, 60, 100))

    def folded():
        return probe.metric("consolidator_events_total", disposition="folded")

    probe.wait(lambda _: folded() == 600, "both processes' counts", limit_s=LIMIT_S)
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text(encoding="ascii").split()
    assert len(children) == 2
    frozen = int(children[1])
    os.kill(frozen, signal.SIGSTOP)
    try:
        seen = probe.wait(lambda seen: seen.livez == 503, "the frozen one to be named", limit_s=right_away() + _TICKS_S)
        assert (seen.readyz, seen.checks["processes"]) == (503, False)
        assert "process 1 has not answered for" in seen.text
        assert folded() == 600
    finally:
        os.kill(frozen, signal.SIGCONT)
    probe.wait(lambda seen: seen.livez == 200, "both to answer again", limit_s=LIMIT_S)
    assert {entry["process"] for entry in worker.entries("partitions ready")} == {0, 1}
    worker.stop()
