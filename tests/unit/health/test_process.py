"""What is known of any process: its loop, its log, its disk; and the summary in the log."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from streams.health.awake import AwakeClock
from streams.health.process_figures import ProcessFigures
from streams.health.summary import Summary, Totals
from streams.runtime.contact import KafkaContact
from streams.runtime.log_queue import LogQueue
from tests.simulation.clock import Clock

LIMIT_S = 290.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def awake(clock):
    return AwakeClock(clock)


@pytest.fixture
def contact(clock):
    return KafkaContact(clock)


@pytest.fixture
def process(awake, contact):
    return ProcessFigures("worker", awake, contact, "the event loop")


def pass_time(clock, awake, seconds):
    for _ in range(seconds):
        clock.now += 1
        awake.tick()


def check(process, name):
    [found] = [one for one in process.checks() if one.name == name]
    return found


def test_a_blocked_loop_is_deadly_after_15_s(process, clock, awake):
    """Before the first sign the process is starting, however long that takes."""
    pass_time(clock, awake, 100)
    assert check(process, "event_loop").ok
    process.beat()
    pass_time(clock, awake, 15)
    assert check(process, "event_loop").ok
    pass_time(clock, awake, 1)
    found = check(process, "event_loop")
    assert (found.ok, found.deadly) == (False, True)
    assert found.says.startswith("the event loop has been blocked for 16 s")
    assert process.values()["consolidator_event_loop_delay_seconds"] == [((), pytest.approx(16))]
    process.beat()
    assert check(process, "event_loop").ok


def test_a_loop_that_waits_for_somebody_is_not_blocked(process, clock, awake):
    """A sink's loop waits for its database: a restart would not help."""
    process.beat()
    process.loop_waits = lambda: "the database"
    pass_time(clock, awake, 60)
    found = check(process, "event_loop")
    assert (found.ok, found.says) == (True, "last sign 60.0 s ago, it waits for the database")


def test_kafka_is_needed_and_not_deadly(process, contact, clock, awake):
    """The check names who does not answer, and since when."""
    assert check(process, "kafka").ok
    contact.failed("b:1", "refused")
    pass_time(clock, awake, 5)
    found = check(process, "kafka")
    assert (found.ok, found.needed, found.deadly) == (False, True, False)
    assert found.says == "lost for 5 s: waits for an answer of b:1 (refused)"
    assert process.values()["consolidator_kafka_lost_seconds"] == [((), 5.0)]
    contact.answered("b:1")
    assert check(process, "kafka").ok


def test_a_full_disk_is_said(process, tmp_path, monkeypatch):
    """It ends the worker at its next write; whoever looks before that is told."""
    assert [one for one in process.checks() if one.name == "disk"] == []
    process.directory = tmp_path
    for free_mib, is_enough in ((1, False), (255, False), (256, True), (18_223, True)):
        # As root sees it, all is free: what counts is what the worker may have.
        disk = SimpleNamespace(f_bavail=free_mib * 256, f_bfree=10**9, f_frsize=4_096, f_bsize=1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", lambda _, disk=disk: disk)
            found = check(process, "disk")
            assert process.values()["consolidator_disk_free_bytes"] == [((), free_mib * 1_048_576)]
        assert (found.ok, found.says) == (is_enough, f"{free_mib:,} MiB are free at {tmp_path}")
        # It is said, and nothing is done: neither a restart nor another worker makes room.
        assert (found.deadly, found.needed) == (False, False)
    process.directory = tmp_path / "gone"
    assert process.values()["consolidator_disk_free_bytes"] == []


def wait(condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_write_to_the_log_that_does_not_end_has_an_age():
    """While the pipe is full its writer hangs; when somebody reads, nothing is under way any more."""
    reading, writing = os.pipe()
    queue = LogQueue(writing)
    assert queue.blocked_s == 0
    lines = [b"x" * 4_000 + b"\n"] * 40
    queue.put(lines)
    wait(lambda: queue.blocked_s > 0.05)
    left = sum(map(len, lines))
    while left:
        left -= len(os.read(reading, left))
    wait(lambda: queue.blocked_s == 0)
    os.close(reading)
    os.close(writing)


def test_the_summary_is_of_the_last_half_minute(clock):
    """Differences of counts, and where things stand; what stands still is named, and only then."""
    totals = iter(
        [
            Totals(1_000, 400, 20, 3, [0, 1], 7, 0.25, []),
            Totals(1_500, 600, 21, 3, [0], 0, 0.0, [0]),
        ]
    )
    summary = Summary(lambda: next(totals), clock)
    with capture_logs() as lines:
        for _ in range(65):
            clock.now += 1
            summary.look()
    first, second = lines
    assert first.pop("memory_mib") > 0
    assert first == {
        "event": "summary",
        "log_level": "info",
        "seconds": 30,
        "events": 1_000,
        "changes": 400,
        "failures": 20,
        "dead_letters": 3,
        "lag": 7,
        "lag_s": 0.2,
        "partitions": [0, 1],
    }
    assert (second["events"], second["failures"], second["dead_letters"]) == (500, 1, 0)
    assert second["standing_still"] == [0]


NAMED = """
import logging, threading
import structlog
from streams.runtime.logs import EventLog, configure_logging, name_process

configure_logging("info", "json")
name_process(worker="host/worker-3", process=1)
structlog.get_logger().info("ours", partition=7)
thread = threading.Thread(target=lambda: structlog.get_logger().info("in a thread", process=5))
thread.start()
thread.join()
logging.getLogger("aiokafka").warning("a library's")
log = EventLog("info", "json")
log.say("info", "an event's", partition=2)
log.flush()
"""


def test_every_line_says_which_process_it_is_from():
    """Ours and the libraries', of every thread; a line's own members stay."""
    done = subprocess.run([sys.executable, "-c", NAMED], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["worker"] for line in lines] == ["host/worker-3"] * 4
    assert [line["process"] for line in lines] == [1, 5, 1, 1]
    assert [line.get("partition") for line in lines] == [7, None, None, 2]
