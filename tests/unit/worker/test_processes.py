"""Worker processes are forked so that a signal reaches each of them, whenever it comes."""

import ast
import subprocess
import sys

import pytest

from tests.real_kafka.health_probe import NO_ANSWER, HealthProbe

LIMIT_S = 240.0
"""Some seconds of work, on a machine that may be very busy."""

SCRIPT = """
import os
import signal
import time

from streams.runtime.signals import early_end
from streams.worker.processes import fork_workers

plain_fork = os.fork


def fork_and_signal():
    pid = plain_fork()
    if pid:
        os.kill(pid, signal.SIGTERM)
    return pid


codes = []
for _ in range(10):
    if not plain_fork():
        early_end.begin()
        os.fork = fork_and_signal
        fork_workers(1)
        time.sleep(5)
        os._exit(9)
    codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
    if codes[-1] == 9:
        break
print(codes)
"""


def test_a_signal_right_behind_the_fork_is_not_lost():
    """Python clears what came while it was forking: each of the workers ends, and none works on."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == [0] * 10


HANGING = """
import os
import sys
import time

from streams.worker.processes import fork_workers

worker = fork_workers(2, start_s=1.0, silence_s=1.0)
beats = {beats}
since = time.monotonic()
while time.monotonic() - since < {limit_s}:
    if worker.number == 0 or beats:
        worker.beat()
        beats -= 1
    time.sleep(0.1)
"""


@pytest.mark.parametrize("beats", [0, 20])
def test_a_worker_that_hangs_is_ended_with_the_others(beats):
    """One that never shows that its event loop runs, and one that stops doing so: the command ends with exit code 3."""
    script = HANGING.format(beats=beats, limit_s=LIMIT_S)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S / 2, check=False
    )
    assert done.returncode == 3
    assert "hangs and is killed" in done.stdout


SERVING = """
import os
import sys
import time

from streams.health.children import answer_parent
from streams.health.parent import ParentHealth
from streams.health.report import Partition, Snapshot
from streams.worker.processes import fork_workers

worker = fork_workers(2, health=ParentHealth(sys.argv[1], "app", 2))
found = Snapshot("worker", "1.2", "app", f"host/worker-{worker.number}")
found.partitions = [Partition("executions", worker.number, "idle")]
answer_parent(worker.asking, lambda: found)
while True:
    worker.beat()
    time.sleep(0.1)
"""


def test_the_parent_answers_for_its_workers(tmp_path):
    """One address, both workers' partitions; and the address is free again when the command has ended."""
    probe = HealthProbe()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVING, probe.address], stdout=log, stderr=log)
    try:
        seen = probe.wait(lambda seen: len(seen.states) == 2, "both workers", limit_s=LIMIT_S)
        assert seen.livez == 200
        assert seen.states == {0: "idle", 1: "idle"}
        assert "processes: ok, all 2 answer" in seen.text
    finally:
        process.terminate()
        process.wait(LIMIT_S)
    assert probe.look().livez == NO_ANSWER
