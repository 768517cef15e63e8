"""Processes that go on by themselves and are known again for certain."""

import os
import signal
import sys
import time

import pytest

from models.errors import InfrastructureError
from streams.broker.process import ended_within, exclusive, running_pid, spawn, terminate

LIMIT_S = 20.0
SLEEPER = "import time; print('up', flush=True); time.sleep(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


@pytest.fixture
def start(tmp_path):
    """Start a Python process that says "up" and sleeps; it is ended after the test."""
    pid_file = tmp_path / "test.pid"

    def started(code):
        log_file = tmp_path / "test.log"
        command = [sys.executable, "-c", code, str(tmp_path)]
        pid = spawn(command, pid_file=pid_file, log_file=log_file, environment=dict(os.environ))
        deadline = time.monotonic() + LIMIT_S
        while "up" not in log_file.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return pid_file, pid

    yield started
    terminate(pid_file, grace_s=0)


def test_a_started_process_is_known_by_its_pid_file(start):
    """Any program that knows the pid file finds the process, in a session of its own."""
    pid_file, pid = start(SLEEPER)
    assert running_pid(pid_file) == pid
    assert os.getsid(pid) == pid


def test_an_ended_process_is_known_as_ended(start):
    """A process that was killed is not running, though its pid file is still there."""
    pid_file, pid = start(SLEEPER)
    os.kill(pid, signal.SIGKILL)
    assert ended_within(pid_file, LIMIT_S)
    assert pid_file.exists()
    assert running_pid(pid_file) is None


def test_terminate_ends_the_process(start):
    """SIGTERM is enough for a process that listens, and the second call finds nothing to do."""
    pid_file, pid = start(SLEEPER)
    told = []
    assert terminate(pid_file, grace_s=LIMIT_S, on_progress=told.append)
    assert told == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not terminate(pid_file, grace_s=LIMIT_S)


def test_a_process_that_ignores_sigterm_is_killed_and_said(start):
    """After the grace period the process is killed, and the user learns of it."""
    pid_file, pid = start(STUBBORN)
    told = []
    assert terminate(pid_file, grace_s=0.2, on_progress=told.append)
    assert told == [f"process {pid} did not stop within 0 s of SIGTERM: killing it"]
    assert running_pid(pid_file) is None


def test_a_recycled_pid_is_never_touched(tmp_path):
    """A stale pid file that names a living process of somebody else leads to nothing."""
    pid_file = tmp_path / "stale.pid"
    pid_file.write_text(f"{os.getpid()}\n{tmp_path}\n")
    assert running_pid(pid_file) is None
    assert not terminate(pid_file, grace_s=0)


def test_a_stale_pid_file_does_not_prevent_a_start(start, tmp_path):
    """What a crash left behind is overwritten."""
    (tmp_path / "test.pid").write_text("999999999\nlong gone\n")
    pid_file, pid = start(SLEEPER)
    assert running_pid(pid_file) == pid


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="needs /proc")  # noqa: PTH110
def test_a_process_with_another_command_line_is_not_touched(start):
    """A lock seen through a shared volume may belong to another container, where the pid is another process."""
    pid_file, pid = start(SLEEPER)
    pid_file.write_text(f"{pid}\nanother argument\n")
    with pytest.raises(InfrastructureError, match=f"process {pid} is not the one that was started here"):
        terminate(pid_file, grace_s=0)
    assert running_pid(pid_file) == pid
    pid_file.write_text(f"{pid}\n{pid_file.parent}\n")


def test_a_second_process_with_the_same_pid_file_is_refused(start, tmp_path):
    """One pid file stands for at most one process."""
    start(SLEEPER)
    with pytest.raises(InfrastructureError, match="already running"):
        start(SLEEPER)


def test_the_log_of_the_run_before_is_kept(start, tmp_path):
    """After a crash and a restart the crash can still be read about."""
    (tmp_path / "test.log").write_text("the run before")
    start(SLEEPER)
    assert (tmp_path / "test.log.1").read_text() == "the run before"
    assert (tmp_path / "test.log").read_text() == "up\n"


def test_a_program_that_does_not_exist_is_an_infrastructure_error(tmp_path):
    """A broken installation of Java is named."""
    missing = str(tmp_path / "java")
    with pytest.raises(InfrastructureError, match="java cannot be started"):
        spawn([missing], pid_file=tmp_path / "p", log_file=tmp_path / "l", environment={})
    assert running_pid(tmp_path / "p") is None


def test_a_running_process_that_left_no_id_is_reported(tmp_path):
    """Its starter died between starting it and writing its id down: nobody can stop it but the user."""
    with (
        exclusive(tmp_path / "p", limit_s=0),
        pytest.raises(InfrastructureError, match="held by a running process, but names none"),
    ):
        running_pid(tmp_path / "p")


def test_a_lock_that_is_held_too_long_is_an_error(tmp_path):
    """Two starts at the same time take turns, but not for ever."""
    with (
        exclusive(tmp_path / "lock", limit_s=0),
        pytest.raises(InfrastructureError, match=r"another process has held .*lock for more than 0 s"),
        exclusive(tmp_path / "lock", limit_s=0.1),
    ):
        pass
