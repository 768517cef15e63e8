"""What a supervisor that was killed has left is ended first, whatever becomes of the next one. No Kafka is needed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from pydantic import SecretStr

from models.errors import ContractError, InfrastructureError
from streams.broker.process import exclusive, running_pid, spawn
from streams.configuration.settings import Settings, load_settings
from streams.demo.installation import Installation
from streams.supervisor.composition import looked_at_with
from streams.supervisor.house import House

NOBODY = "127.0.0.1:1"


class Left:
    """Processes in the places of worker, sink and broker, as a supervisor that was killed leaves them."""

    def __init__(self, state):
        self.state = state
        self.files = {name: state / "up" / f"{name}.pid" for name in ("worker", "sink")}
        self.files["broker"] = state / "kafka" / "broker.pid"
        self.pids = {name: self._start(file) for name, file in self.files.items()}
        self.mark = state / "up" / "broker-started"

    def _start(self, file):
        file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", "import time; time.sleep(600)", str(file)]
        return spawn(command, pid_file=file, log_file=file.with_suffix(".log"), environment=dict(os.environ))

    def running(self):
        return {name for name, file in self.files.items() if running_pid(file) is not None}

    def note_broker(self):
        self.mark.write_text(f"{self.pids['broker']}\n")


@pytest.fixture
def left(tmp_path):
    """What is still there after the test is killed."""
    found = Left(tmp_path)
    yield found
    for pid in found.pids.values():
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def house(left, **settings):
    return House(Settings(state_dir=left.state, **settings), lambda *_, **__: None, with_sink=False, demo=None)


def interrupted(_text):
    raise KeyboardInterrupt


def test_a_start_that_fails_has_ended_worker_and_sink_before(left):
    """Also the sink, for which the extra is missing now. A broker that nobody noted is somebody else's."""
    made, told = house(left, bootstrap_servers=NOBODY), []
    with pytest.raises(InfrastructureError):
        made.open(told.append)
    assert left.running() == {"broker"}
    assert [text.split(" that")[0] for text in told] == ["Ending the sink", "Ending the worker"]
    made.close(told.append)
    assert left.running() == {"broker"}


def test_a_broker_that_was_left_is_ended_where_another_one_is_set_now(left):
    """It would run on with nobody who uses it; worker and sink are ended before it."""
    left.note_broker()
    made, told = house(left, bootstrap_servers=NOBODY), []
    with pytest.raises(InfrastructureError):
        made.open(told.append)
    assert left.running() == set()
    assert told[-1] == f"Ending the broker that an earlier `consolidator up` has left (process {left.pids['broker']})"
    assert not left.mark.exists()
    made.close(told.append)


def test_a_signal_at_the_first_moment_leaves_nothing(left):
    """What was not ended at the start is ended at the end, and so is the broker, which was wanted until then."""
    left.note_broker()
    made = house(left)
    with pytest.raises(KeyboardInterrupt):
        made.open(interrupted)
    made.close(lambda _: None)
    assert left.running() == set()
    assert not left.mark.exists()


def test_what_another_one_runs_is_left_alone(left):
    """Only the one that has the lock may end anything."""
    left.note_broker()
    made = house(left)
    with exclusive(left.state / "up" / "up.lock", limit_s=1), pytest.raises(ContractError, match="another"):
        made.open(lambda _: None)
    made.close(lambda _: None)
    assert left.running() == {"worker", "sink", "broker"}


def test_a_demonstration_is_looked_at_with_its_own_variables(tmp_path):
    """A shell that gets the line has the demonstration's settings, and those that were flags of `up`."""
    user = load_settings(state_dir=tmp_path / "a place", bootstrap_servers=NOBODY)
    settings = Installation(user).settings
    line = looked_at_with(user, settings, "status")
    assert line.endswith(" consolidator status")
    shown = subprocess.run(
        ["sh", "-c", line.replace("consolidator status", "env")], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for variable in (
        f"CONSOLIDATOR_TOPIC_PREFIX={settings.topic_prefix}",
        f"CONSOLIDATOR_APP_ID={settings.app_id}",
        f"CONSOLIDATOR_STATE_DIR={user.state_dir}",
        f"KAFKA_BOOTSTRAP_SERVERS={NOBODY}",
    ):
        assert variable in shown


def test_what_is_in_the_environment_is_not_said_again(monkeypatch, tmp_path):
    """Other commands have it as well; the demonstration's database is its own."""
    monkeypatch.setenv("CONSOLIDATOR_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    user = load_settings()
    settings = Installation(user, "demo-0102-030405-ab").settings
    own = "CONSOLIDATOR_TOPIC_PREFIX=demo-0102-030405-ab- CONSOLIDATOR_APP_ID=demo-0102-030405-ab"
    assert looked_at_with(user, settings, "status") == f"{own} consolidator status"
    with_database = settings.model_copy(update={"sink_url": SecretStr("sqlite:///a.db")})
    assert looked_at_with(user, with_database, "status") == (
        f"{own} CONSOLIDATOR_SINK_URL=sqlite:///a.db consolidator status"
    )
