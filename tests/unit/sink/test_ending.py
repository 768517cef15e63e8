"""A sink that was asked to end does so, whatever it waits for."""

import signal
import subprocess
import sys

import pytest

LIMIT_S = 60.0

SCRIPT = """
import os
import threading
from types import SimpleNamespace

from streams.runtime import grace
from streams.runtime.logs import configure_logging
from streams.runtime.standard_error import queue_standard_error
from streams.sink import runner

grace.IDLE_GRACE_S, grace.GRACE_S = 0.1, 0.2
{before}
queue_standard_error()
configure_logging("info", "json")
stop = runner._stop_at_signals(SimpleNamespace(is_idle={idle}))
os.write(1, b"ready\\n")
stop.wait()
os.write(1, b"asked\\n")
threading.Event().wait()
"""

FULL_PIPE = """
reading, writing = os.pipe()
os.set_blocking(writing, False)
try:
    while os.write(writing, b"x" * 65536):
        pass
except BlockingIOError:
    os.set_blocking(writing, True)
os.dup2(writing, 2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize("before", ["", FULL_PIPE], ids=["", "nobody reads the log"])
def test_whatever_it_waits_for_it_ends(before, idle, number):
    """Its exit code is that of an end in order, as what is not committed is nothing; the log says where it was."""
    command = [sys.executable, "-c", SCRIPT.format(before=before, idle=idle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        asked, said = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, asked) == (0, b"asked\n")
    assert before or b'"the sink does not end by itself: it is ended"' in said
    assert before or b'"where":"threading.py:' in said
