"""A sink that was asked to end does so: in its loop, where a signal was lost, and by force, where it hangs."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from streams.sink import runner

LIMIT_S = 60.0

SCRIPT = """
import os
import threading

from streams.runtime import grace
from streams.runtime.logs import configure_logging
from streams.runtime.standard_error import queue_standard_error
from streams.sink import runner

grace.IDLE_GRACE_S, grace.GRACE_S = 0.1, 0.2
{before}
queue_standard_error()
configure_logging("info", "json")
grace.hear_signals(grace.Grace(lambda: False, leave=runner._leave, expired=runner._leave).begin)
os.write(1, b"ready\\n")
while True:
    try:
        threading.Event().wait()
    except BaseException:
        pass
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
@pytest.mark.parametrize("before", ["", FULL_PIPE], ids=["", "nobody reads the log"])
def test_whatever_it_waits_for_it_ends(before, number):
    """Its exit code is that of an end in order, as what is not committed is nothing; the log says where it was."""
    handlers = "import signal\nfor number in grace.ENDING: signal.signal(number, signal.default_int_handler)\n"
    script = SCRIPT.format(before=handlers + before)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
    assert before or b"the sink did not end in time" in said


def test_a_signal_that_was_lost_ends_the_sink_in_its_next_turn(monkeypatch):
    """Kafka's client may replace the signal's exception by an error of its own, which the loop survives."""
    turns = []

    def serve(_settings, _config, _url, look):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(LIMIT_S)
        except KeyboardInterrupt:
            turns.append("lost")
        while len(turns) < 3:
            turns.append("turn")
            look()

    monkeypatch.setattr(runner, "_serve", serve)
    monkeypatch.setattr(runner, "hear_signals", lambda _call: None)
    with pytest.raises(SystemExit) as ended:
        runner.run_sink(None, {}, None)
    assert (ended.value.code, turns) == (0, ["lost", "turn"])
