"""``consolidator up`` as a user runs it: in a process of its own, with a broker of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.broker.embedded import broker_status
from streams.broker.process import running_pid
from tests.inputs.design_workload import design_workload
from tests.inputs.waiting import slowness
from tests.real_kafka.admin_calls import asked
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import CONSOLIDATOR, WorkerProcess, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(900)]

LIMIT_S = 180.0
REFUSED = 2
EVENTS = 2_000


class Place:
    """A state directory, and what runs in it."""

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.state.mkdir()
        (self.state / "cache").symlink_to(cache)
        self.variables = {
            "CONSOLIDATOR_STATE_DIR": str(self.state),
            "CONSOLIDATOR_APP_ID": "up-test",
            "CONSOLIDATOR_TOPIC_PREFIX": "up-test.",
            "CONSOLIDATOR_SESSION_TIMEOUT_S": "10",
            "CONSOLIDATOR_LOG_FORMAT": "json",
        }
        self.processes: list[WorkerProcess] = []

    def start(self, *arguments: str, **variables: str) -> WorkerProcess:
        """Start ``consolidator up``."""
        log = self.directory / f"up-{len(self.processes)}.log"
        # Without the variable the embedded broker is meant.
        program = ["env", "--unset=KAFKA_BOOTSTRAP_SERVERS", str(CONSOLIDATOR), "up", *arguments]
        self.processes.append(WorkerProcess(self.variables | variables, log, command=program))
        return self.processes[-1]

    def pid(self, name: str) -> int | None:
        """The process of a child, if it runs."""
        file = self.state / "kafka" / "broker.pid" if name == "broker" else self.state / "up" / f"{name}.pid"
        return running_pid(file)

    def servers(self) -> str:
        """The broker's address."""
        found = broker_status(self.state / "kafka")
        assert found is not None
        return found.bootstrap_servers

    def installation(self) -> Installation:
        """The same installation, for publishing and for checking the laws."""
        return Installation(self.servers(), self.directory / "looked-at", **self.variables)

    def nothing_is_left(self) -> None:
        """No process, no pid file, no note; data and logs stay."""
        assert [self.pid(name) for name in ("broker", "worker", "sink")] == [None] * 3
        left = [*self.state.glob("up/*.pid"), *self.state.glob("up/broker-started"), *self.state.glob("kafka/*.pid")]
        assert left == []
        assert processes_of(self.state) == []


def processes_of(state: Path) -> list[str]:
    """Processes that were given this state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"CONSOLIDATOR_STATE_DIR={state}\0".encode() in variables:
            found.append(process.name)
    return found


@pytest.fixture
def place(tmp_path, kafka_cache_dir):
    """A place of the test's own; whatever still runs in it is killed."""
    found = Place(tmp_path, kafka_cache_dir)
    yield found
    for process in found.processes:
        if process.exit_code is None:
            process.kill()
    for pid in processes_of(found.state):
        os.kill(int(pid), signal.SIGKILL)
    discard_broker(found.state / "kafka")


def runs(up: WorkerProcess) -> None:
    """Wait until its log says that everything runs."""
    up.wait(lambda: up.entries("everything runs"), "everything to run", limit_s=LIMIT_S * slowness())


def takes_signals(pid: int) -> bool:
    """Whether its own first line has run: Python by itself does not handle SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), 16)
    return bool(caught & (1 << signal.SIGTERM - 1))


def stopped(up: WorkerProcess, number: int = signal.SIGINT) -> None:
    """Ctrl-C, or another signal: exit code 0, and no traceback."""
    os.kill(up.pid, number)
    assert up.wait_exit(limit_s=LIMIT_S * slowness()) == 0, up.tail()
    assert "Traceback" not in up.log


def ended(up: WorkerProcess, name: str) -> list[str]:
    """What its log says of a child's ends."""
    return [entry["event"] for entry in up.entries() if entry["event"].startswith(f"{name} ended")]


def differences(place: Place) -> str:
    """What ``consolidator replay --verify`` says at its end."""
    verified = subprocess.run(
        [str(CONSOLIDATOR), "replay", "--verify", "--format", "table"],
        env=os.environ | place.variables | {"KAFKA_BOOTSTRAP_SERVERS": place.servers()},
        capture_output=True,
        text=True,
        timeout=LIMIT_S * slowness(),
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return verified.stdout.splitlines()[-1]


def test_each_child_comes_back_after_kill_9_and_nothing_differs(place):
    """Worker, sink and broker are killed in turn under load: each is back by itself; Ctrl-C leaves nothing behind."""
    up = place.start()
    runs(up)
    installation = place.installation()
    messages = list(design_workload(4 * EVENTS, 200, 61))
    installation.publish_messages(messages[:EVENTS])
    for number, name in enumerate(("worker", "sink", "broker"), 1):
        before = place.pid(name)
        os.kill(before, signal.SIGKILL)
        up.wait(
            lambda name=name, before=before: place.pid(name) not in {None, before},
            f"another {name}",
            limit_s=LIMIT_S * slowness(),
        )
        installation.publish_messages(messages[number * EVENTS : (number + 1) * EVENTS])
        assert ended(up, name)[:1] == [f"{name} ended by signal 9: it starts again in 1 s"]
    installation.wait_consumed(up, limit_s=LIMIT_S * slowness())
    installation.check_laws()
    assert differences(place) == "0 differences"
    stopped(up)
    place.nothing_is_left()


def test_what_a_killed_one_has_left_is_taken_over(place):
    """The next one ends its worker and sink, has its broker, and stops that at its end."""
    first = place.start()
    runs(first)
    broker, worker = place.pid("broker"), place.pid("worker")
    first.kill()
    assert place.pid("worker") == worker
    second = place.start()
    runs(second)
    assert place.pid("broker") == broker
    assert place.pid("worker") not in {None, worker}
    stopped(second, signal.SIGTERM)
    place.nothing_is_left()


def test_what_a_killed_one_has_left_is_ended_by_one_that_cannot_start(place):
    """Topics that differ from their declaration end the next one with exit code 2, and nothing of the first runs on."""
    first = place.start()
    runs(first)
    first.kill()
    assert None not in {place.pid(name) for name in ("broker", "worker", "sink")}
    second = place.start(CONSOLIDATOR_PARTITIONS="3")
    assert second.wait_exit(limit_s=LIMIT_S * slowness()) == REFUSED, second.tail()
    assert "everything is stopped" in second.log
    place.nothing_is_left()


@pytest.mark.parametrize("moment_s", [0.5, 2.0, 5.0])
def test_ctrl_c_while_it_starts_leaves_nothing(place, moment_s):
    """Before the broker, while it starts, or after: exit code 0, and everything that was begun is undone."""
    up = place.start()
    up.wait(lambda: takes_signals(up.pid), "its first line", limit_s=LIMIT_S)
    # No condition is waited for: any moment will do.
    time.sleep(moment_s)
    stopped(up)
    place.nothing_is_left()


def test_two_at_a_time_are_refused(place):
    """The second one says so with exit code 2, and the first one goes on."""
    first = place.start()
    runs(first)
    second = place.start()
    assert second.wait_exit(limit_s=LIMIT_S) == REFUSED
    assert f"another `consolidator up` is at work in {place.state}" in second.log
    assert first.exit_code is None
    stopped(first)
    place.nothing_is_left()


def test_a_contract_that_is_broken_ends_everything(place):
    """A worker that refuses its catalogue is not tried again; its words are in the error, and nothing is left."""
    catalogue = place.directory / "wrong.toml"
    catalogue.write_text("schema_version = 1\n")
    up = place.start("--catalogue", str(catalogue))
    assert up.wait_exit(limit_s=LIMIT_S * slowness()) == REFUSED, up.tail()
    assert "the worker ended with exit code 2" in up.log
    assert str(catalogue) in up.log
    place.nothing_is_left()


def test_the_demonstration_is_published_slowly_and_leaves_no_topics(place):
    """Its events are consolidated while it goes on; a broker that was running before is used, and goes on."""
    subprocess.run(
        ["env", "--unset=KAFKA_BOOTSTRAP_SERVERS", str(CONSOLIDATOR), "broker", "start"],
        env=os.environ | place.variables,
        timeout=LIMIT_S * slowness(),
        check=True,
        capture_output=True,
    )
    up = place.start("--demo", "--applications", "5")
    runs(up)
    admin = AdminClient({"bootstrap.servers": place.servers()})

    def topics() -> list[str]:
        found = asked(lambda ask_s: admin.list_topics(timeout=ask_s))
        return [name for name in found.topics if "demo-" in name]

    assert len(topics()) == 7
    up.wait(lambda: consolidated(up) > 0, "some events to be consolidated", limit_s=LIMIT_S * slowness())
    [said] = up.entries("the demonstration has topics of its own; look at them with")
    up.wait(lambda: is_looked_at(place, said["command"]), "its sink to have a database", limit_s=LIMIT_S * slowness())
    stopped(up)
    wait_until(lambda: topics() == [], "the topics to be gone", limit_s=LIMIT_S, details=lambda: str(topics()))
    assert [path.name for path in place.state.glob("demo-*")] == []
    assert place.pid("broker") is not None
    assert (place.pid("worker"), place.pid("sink")) == (None, None)


def is_looked_at(place: Place, command: str) -> bool:
    """Whether a command that `up --demo` has printed finds topics and database; something may wait in them."""
    looked = subprocess.run(
        ["sh", "-c", command.replace("consolidator", str(CONSOLIDATOR))],
        env=os.environ | place.variables | {"KAFKA_BOOTSTRAP_SERVERS": place.servers()},
        timeout=LIMIT_S * slowness(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert looked.returncode != REFUSED, looked.stderr
    return looked.returncode in {0, 1}


def consolidated(up: WorkerProcess) -> int:
    """How many offsets are consolidated, by the lines of its log."""
    looks = [entry for entry in up.entries() if "offsets" in entry]
    return looks[-1]["offsets"] - looks[-1]["waiting"] if looks else 0
