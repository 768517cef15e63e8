"""Standard error as a queue: lines come out in order, and nothing about it ends or delays the process."""

import json
import os
import subprocess
import sys

import pytest

LIMIT_S = 60.0

PRELUDE = """
import logging
import os
import sys
import threading
import warnings

import structlog

from streams.runtime.logs import EventLog, configure_logging
from streams.runtime.standard_error import lost_lines, queue_standard_error

queue_standard_error()
configure_logging("info", "json")
"""

EVERY_SOURCE = """
structlog.get_logger().info("ours", number=0)
logging.getLogger("library").warning("a library's")
warnings.warn("careful")
log = EventLog("info", "json")
log.say("info", "an event's")
log.flush()
print(json := '{"event": "printed"}', file=sys.stderr)
pid = os.fork()
if not pid:
    structlog.get_logger().info("of a child")
    sys.exit(0)
os.waitpid(pid, 0)
structlog.get_logger().info("last")
"""


def run(script, redirection=""):
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, PRELUDE + script],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_every_source_of_lines_goes_the_same_way():
    """Our lines, the libraries', warnings, events', printed ones and a forked process's: all there, and in order."""
    done = run(EVERY_SOURCE)
    assert done.returncode == 0
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert "careful" in events.pop(2)
    assert events == ["ours", "a library's", "an event's", "printed", "of a child", "last"]


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("end", "exit_code"), [("", 0), ("sys.exit(2)", 2), ("raise ValueError", 1), ("os._exit(3)", 3)]
)
def test_a_process_ends_as_it_means_to(redirection, end, exit_code):
    """Python's own last look at stderr neither hangs nor changes the exit code."""
    assert run(EVERY_SOURCE + end, redirection).returncode == exit_code


def test_a_pipe_that_nobody_reads_does_not_keep_the_process():
    """With megabytes of lines on their way to a pipe that is full the process ends in its time, with its exit code."""
    reading, writing = os.pipe()
    script = "for number in range(20_000): structlog.get_logger().info('line', number=number)\nsys.exit(4)"
    try:
        with subprocess.Popen([sys.executable, "-c", PRELUDE + script], stderr=writing) as process:
            assert process.wait(LIMIT_S) == 4
    finally:
        os.close(reading)
        os.close(writing)


def test_a_closed_stream_is_nothings_number():
    """After the start no file of the process is stdin, stdout or stderr, where these were closed; lines are counted."""
    script = """
found = {os.readlink(f"/proc/self/fd/{number}") for number in range(3)}
structlog.get_logger().info("of no use to anybody")
os._exit(0 if found == {"/dev/null"} and lost_lines() == 1 else 1)
"""
    assert run(script, "<&- >&- 2>&-").returncode == 0


def test_a_library_may_ask_what_stderr_is():
    """Progress displays and colours ask for a terminal, subprocesses for a descriptor."""
    script = """
print(sys.stderr.isatty(), sys.stderr.fileno(), sys.stderr.writable(), sys.stderr.encoding)
"""
    assert run(script).stdout == "False 2 True utf-8\n"
