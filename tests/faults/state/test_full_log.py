"""The disk of the log runs full: events are consolidated all the same, and the log says how much of it is missing."""

import json
import os
import subprocess

import pytest

from tests.inputs.design_workload import design_workload
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.small_disk import mounted_disk
from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LOG_KIB = 64
EVENTS = 12_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, too small for the log."""
    with mounted_disk(tmp_path / "disk", f"{LOG_KIB}k") as directory:
        yield directory


def test_a_log_whose_disk_is_full_costs_its_lines_and_nothing_else(kafka, tmp_path, small_disk, conclude):
    """Everything is consolidated; when there is room again the next line says how many were lost, and SIGTERM works."""
    installation = Installation(kafka, tmp_path / "run")
    installation.create_topics()
    log = small_disk / "log"
    try:
        installation.publish_messages(design_workload(EVENTS, 600, 84))
        worker = installation.start_program("sh", "-c", f"exec {CONSOLIDATOR} run 2>>{log}")
        installation.wait_consumed(worker)
        full = os.statvfs(small_disk)
        assert not full.f_bavail
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        installation.publish_messages(design_workload(EVENTS, 600, 85))
        wait_until(lambda: b"log lines were lost" in log.read_bytes(), "a word of what is missing", limit_s=LIMIT_S)
        conclude(
            installation,
            worker,
            scenario="log full",
            fault=f"stderr on a disk of {LOG_KIB} KiB that runs full, later larger",
            held="the laws; the log says how many of its lines are missing; exit 0",
        )
        lines = log.read_bytes().splitlines()
        torn = [line for line in lines if not line.endswith(b"}")]
        assert len(torn) <= 1
        entries = [json.loads(line) for line in lines if line not in torn]
        [lost] = [entry for entry in entries if entry["event"] == "log lines were lost"]
        stopped = entries[-1]
        assert stopped["event"] == "worker stopped"
        assert stopped["log_lines_lost"] == lost["lines"] == lost["lines_in_all"] > 0
        told = [entry for entry in entries if entry["event"].startswith("execution failed")]
        assert len(told) < stopped["failed"]
    finally:
        installation.close()
