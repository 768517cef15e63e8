"""A command in a process of its own: watched, started again, and gone without a trace. Real processes, no Kafka."""

import os
import signal
import sys
from pathlib import Path

import pytest

from models.errors import InfrastructureError
from streams.broker.process_group import group_in_words, kill_group
from streams.supervisor import children
from streams.supervisor.children import CommandProcess, Ended, end_leftover
from tests.real_kafka.worker_process import wait_until

LIMIT_S = 120.0
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
FORKER = "import os, time; os.fork() or time.sleep(600); print('up', flush=True); time.sleep(600)"
"""The parent sleeps silently, its child says "up"; both hold the lock."""

HANGER = (
    "import os, signal, time; os.fork() and time.sleep(600); signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)"
)
"""The same, and its child hangs: it ignores SIGTERM."""


@pytest.fixture
def child(tmp_path):
    """A child that runs Python code; it is ended after the test."""
    made = []

    def new(code):
        command = [sys.executable, "-c", code, "the-child"]
        made.append(CommandProcess("child", command, dict(os.environ), tmp_path))
        return made[-1]

    yield new
    for one in made:
        one.stop(lambda _: None)


def up(process):
    """Start it, and wait for its first word."""
    process.start()
    wait_until(lambda: "up" in process.log_file.read_text(), "the child's first word", limit_s=LIMIT_S)
    assert process.look() is None
    return process.pid


def test_a_killed_child_is_seen_and_can_be_started_again(child):
    """The supervisor learns which signal it was, and the new process is another one."""
    process = child(SLEEPER)
    first = up(process)
    os.kill(first, signal.SIGKILL)
    assert wait_until(process.look, "its end", limit_s=LIMIT_S) == Ended(-signal.SIGKILL)
    assert process.pid is None
    assert up(process) != first


def test_a_child_is_gone_once_what_it_has_forked_is_gone(child):
    """Otherwise a new worker would start beside processes of the old one, which still hold partitions."""
    process = child(FORKER)
    pid = up(process)
    forked = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: process.look() is not None or process.pid is None, "its end", limit_s=LIMIT_S)
    assert process.look() is None
    os.kill(forked, signal.SIGKILL)
    assert wait_until(process.look, "the end of both", limit_s=LIMIT_S) == Ended(-signal.SIGKILL)


def test_a_stopped_child_leaves_no_pid_file(child):
    """Nor a zombie."""
    process = child(SLEEPER)
    pid = up(process)
    process.stop(lambda _: None)
    assert not process.pid_file.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_that_died_leaves_no_pid_file_either(child):
    """The file of a process that is gone is removed at the end."""
    process = child("raise SystemExit(3)")
    process.start()
    assert wait_until(process.look, "its end", limit_s=LIMIT_S) == Ended(3)
    assert process.pid_file.exists()
    process.stop(lambda _: None)
    assert not process.pid_file.exists()


def test_a_child_whose_pid_file_was_removed_is_ended_all_the_same(child):
    """Somebody may tidy up the state directory while it runs."""
    process = child(SLEEPER)
    pid = up(process)
    process.pid_file.unlink()
    assert process.look() is None
    process.stop(lambda _: None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_killed_supervisor_has_left_is_ended(child, tmp_path):
    """The next one finds it by its pid file, says so, and begins anew."""
    earlier = child(SLEEPER)
    pid = up(earlier)
    told = []
    end_leftover("child", tmp_path, told.append)
    assert told == [f"Ending the child that an earlier `consolidator up` has left (process {pid})"]
    assert wait_until(earlier.look, "its end", limit_s=LIMIT_S) is not None
    told.clear()
    end_leftover("child", tmp_path, told.append)
    assert told == []


def test_a_child_is_not_reached_by_ctrl_c(child):
    """It is in a session of its own: the supervisor decides in which order all end."""
    process = child(SLEEPER)
    assert os.getsid(up(process)) != os.getsid(0)


def test_a_large_log_begins_anew(child, monkeypatch):
    """What the child writes goes on behind the new beginning; the last part before it is kept."""
    monkeypatch.setattr(children, "_LOG_BYTES", 10)
    process = child("import time\nwhile True:\n    print('up' * 20, flush=True)\n    time.sleep(0.01)")
    up(process)
    wait_until(lambda: process.log_file.stat().st_size > 100, "a large log", limit_s=LIMIT_S)
    process.keep_log_small()
    kept = process.log_file.with_name("child.log.1").read_text()
    assert kept.startswith("upup")
    wait_until(lambda: "up" in process.log_file.read_text(), "lines after it", limit_s=LIMIT_S)
    assert "\0" not in process.log_file.read_text()


def test_what_hangs_of_a_child_that_was_killed_is_killed(child, monkeypatch):
    """It ignores that its parent has ended, and would hold the lock for ever: nothing would be started again."""
    monkeypatch.setattr(children, "_COMMAND_GRACE_S", 0.3)
    process = child(HANGER)
    os.kill(up(process), signal.SIGKILL)
    assert wait_until(process.look, "the end of both", limit_s=LIMIT_S) == Ended(-signal.SIGKILL)
    kill_group(up(process), "the-child")


def test_what_hangs_of_a_child_is_killed_at_the_end(child, monkeypatch):
    """SIGTERM ends the parent alone: no process is left behind."""
    monkeypatch.setattr(children, "_COMMAND_GRACE_S", 0.3)
    process = child(HANGER)
    pid = up(process)
    process.stop(lambda _: None)
    # Nobody may have asked yet how the one that was killed has ended.
    assert "state S" not in group_in_words(pid)


def test_what_even_sigkill_does_not_end_is_named(child, monkeypatch):
    """A process that waits for a disk that hangs; the supervisor does not wait for it for ever."""
    process = child(SLEEPER)
    pid = up(process)
    process.pid_file.unlink()
    monkeypatch.setattr(children, "_COMMAND_GRACE_S", 0.1)
    monkeypatch.setattr(children, "KILL_LIMIT_S", 0.5)
    with monkeypatch.context() as patched:
        patched.setattr(children, "_reaped", lambda _: (False, None))
        with pytest.raises(InfrastructureError) as raised:
            process.stop(lambda _: None)
    assert f"after SIGKILL: process {pid} (state Z: it has ended" in str(raised.value)


def test_what_is_left_of_a_child_in_spite_of_sigkill_is_named(child, monkeypatch):
    """No new one is started beside it."""
    monkeypatch.setattr(children, "_COMMAND_GRACE_S", 0.1)
    monkeypatch.setattr(children, "KILL_LIMIT_S", 0.3)
    process = child(HANGER)
    pid = up(process)
    forked = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    with monkeypatch.context() as patched:
        patched.setattr(children, "kill_group", lambda *_: None)
        with pytest.raises(InfrastructureError) as raised:
            wait_until(process.look, "an error", limit_s=LIMIT_S)
    kill_group(pid, "the-child")
    assert f"process {forked} (state S: it waits)" in str(raised.value)
    assert "the child has ended, and is not started again" in str(raised.value)


def test_another_group_of_that_number_is_not_touched(child):
    """A lock may be seen from a container in which the number means something else."""
    process = child(SLEEPER)
    pid = up(process)
    with pytest.raises(InfrastructureError, match="not those that were started here"):
        kill_group(pid, "another argument")
    assert process.look() is None
