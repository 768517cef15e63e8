"""A process that was asked to stop ends, whatever its main thread is waiting for."""

import signal
import subprocess
import sys

import pytest

LIMIT_S = 60.0

SCRIPT = """
import os
import sys

from streams.runtime import grace

grace.GRACE_S, grace.IDLE_GRACE_S = 0.4, 0.2
limit = grace.Grace(lambda: {idle}, leave=lambda: os._exit(20), expired=lambda: os._exit(21))
grace.call_at_signals(limit.begin)
reading, writing = os.pipe()
os.write(1, b"ready\\n")
{waits}
"""

HELD_UP = {
    "in a system call": "os.read(reading, 1)",
    "in Python": "while True: pass",
    "for a thread": "import threading; threading.Event().wait()",
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("idle", "exit_code"), [(True, 20), (False, 21)])
@pytest.mark.parametrize("waits", HELD_UP.values(), ids=HELD_UP)
def test_a_main_thread_that_is_held_up_does_not_hold_the_end_up(waits, idle, exit_code, number):
    """Within its limit the process ends, in order if there was nothing to finish, and with an error otherwise."""
    script = SCRIPT.format(idle=idle, waits=waits)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(LIMIT_S) == exit_code
