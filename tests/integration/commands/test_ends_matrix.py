"""Every command in every situation in which it may end: the documented exit code, one error line, no traceback.

``CONSOLIDATOR_TEST_MATRIX=all pytest tests/integration/commands/test_ends_matrix.py`` runs all of it, in some ten
minutes; otherwise a part that is chosen by the commit, so that all of it is run in time.
"""

import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from streams.rulesets.catalogue_file import catalogue_json, load_catalogue
from tests.databases.model import Model
from tests.inputs.terminal import in_terminal
from tests.inputs.waiting import ended_after_waiting
from tests.inputs.workloads import to_json
from tests.real_kafka.installation import Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import CONSOLIDATOR

pytestmark = [pytest.mark.kafka, pytest.mark.thorough]

LIMIT_S = 120
ONE_IN = 10
MOMENTS_S = (0.0, 0.1, 0.3, 0.6, 1.0)
REFUSED_S = 2.0
"""So long a command may wait for a broker that is not there."""

LIBRDKAFKA = re.compile(r"^%[0-7]\|", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command line, and how it ends.

    Attributes:
        line: its words.
        code: its exit code where nothing is in the way.
        kafka: it needs a broker.
        missing: its exit code where the topics are missing.
        broker_down: its exit code where it needs a broker, and there is none.
        prints: it prints on stdout.
        stdin: what it reads; None: nothing.
        endless: it goes on until it is ended.
        patience_s: so long it gives brokers that start beside it (docs/commands.md).
    """

    line: str
    code: int = 0
    kafka: bool = True
    missing: int = 2
    broker_down: int = 3
    prints: bool = True
    stdin: bytes | None = None
    endless: bool = False
    patience_s: float = 0.0


EVENT = {
    "event_id": "evt-1",
    "application_id": "app-1",
    "execution_id": "bs-1",
    "processor": "bank_statement",
    "status": "completed",
    "output": {"factors": {"f_revenue_monthly": 10000}},
    "occurred_at": "2025-03-03T09:00:00Z",
}
LINE = to_json(EVENT | {"application_id": "app-2"}) + b"\n"

COMMANDS = [
    Command("version", kafka=False),
    Command("--version", kafka=False),
    Command("--help", kafka=False),
    Command("replay --help", kafka=False),
    Command("catalogue show", kafka=False),
    Command("catalogue show --format json", kafka=False),
    Command("catalogue schema", kafka=False),
    Command("catalogue check {catalogue}", kafka=False),
    Command("schema", kafka=False),
    Command("schema event", kafka=False),
    Command("schema change --format json", kafka=False),
    Command("broker status", code=1, kafka=False),
    Command("broker stop", kafka=False),
    Command("size --events-per-day 1000000", kafka=False),
    Command("size --events-per-day 1000000 --format json", kafka=False),
    # No worker runs there, which is a finding.
    Command("status", code=1),
    Command("status --format json", code=1),
    Command("status --watch", endless=True),
    Command("doctor", code=1, missing=1),
    Command("doctor --format json", code=1, missing=1),
    Command("support-bundle {bundle}", missing=0),
    Command("topics list", kafka=False),
    Command("topics acls", kafka=False),
    Command("topics apply", missing=0),
    Command("topics check", missing=1),
    Command("topics bind"),
    Command("publish -", stdin=LINE),
    Command("publish - --format json", stdin=LINE),
    Command("tail executions --from beginning --until-end"),
    Command("tail executions --from beginning", endless=True),
    Command("run", prints=False, endless=True, patience_s=10.0),
    Command("sink run", prints=False, endless=True),
    Command("sink schema", kafka=False),
    Command("sink status"),
    Command("sink verify"),
    Command("sink rebuild"),
    Command("factors app-1 --source kafka"),
    Command("factors app-1 --source sql", broker_down=0),
    Command("factors app-1 --why --format json --source kafka"),
    Command("factors app-1 --at-offset {place} --source kafka"),
    Command("history app-1 --source kafka"),
    Command("history app-1 --source sql", broker_down=0),
    Command("evidence app-1 --out {new}"),
    Command("evidence verify {evidence}", kafka=False),
    Command("erase app-1"),
    Command("erase --confirm-earlier", prints=False),
    Command("dlq list", prints=False),
    Command("dlq show 0:0", code=2, prints=False),
    Command("dlq redrive --all", prints=False),
    # No worker is there: its rounds are lost, and what it wrote cannot be erased.
    Command("canary run --lost-after 2", endless=True),
    Command("replay"),
    Command("replay --verify"),
    Command("replay --input - --format json", kafka=False, stdin=LINE),
    Command("compare --strategy legacy"),
    Command("compare --strategy legacy --input -", kafka=False, stdin=LINE, code=0),
]


@pytest.fixture(scope="module")
def place(kafka, tmp_path_factory):
    """An installation with an application's events and what a worker made of them."""
    with installed(kafka, tmp_path_factory.mktemp("matrix")) as installation:
        installation.publish([EVENT])
        worker = installation.start()
        installation.wait_consumed(worker)
        worker.stop()
        # It stays: a partition that no sink is at is a finding.
        model = Model(installation, f"sqlite:///{installation.state_dir}/sink/model.db")
        model.wait_through(model.start())
        model.close()
        subprocess.run(
            [str(CONSOLIDATOR), "evidence", "app-1", "--out", str(installation.directory / "evidence")],
            env=os.environ | installation.variables,
            timeout=LIMIT_S,
            check=True,
            capture_output=True,
        )
        yield installation


class Runner:
    """Runs one command in one situation."""

    def __init__(self, command: Command, installation: Installation, directory: Path) -> None:
        self.command = command
        (record,) = (one for one in installation.read(installation.topics.executions.name) if one.key == b"app-1/evt-1")
        catalogue = directory / "catalogue.json"
        catalogue.write_text(catalogue_json(load_catalogue(None)))
        words = {
            "catalogue": catalogue,
            "evidence": installation.directory / "evidence",
            "new": directory / "new",
            "bundle": directory / "bundle.tar.gz",
            "place": f"{record.partition}:{record.offset}",
        }
        self.arguments = command.line.format(**words).split()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONSOLIDATOR_", "KAFKA_"))}
        self.environment = kept | installation.variables

    def run(self, *more: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        options = {"stdout": subprocess.PIPE, "input": self.command.stdin or b""} | options
        return subprocess.run(
            [str(CONSOLIDATOR), *self.arguments, *more],
            stderr=subprocess.PIPE,
            env=self.environment,
            timeout=LIMIT_S,
            check=False,
            **options,
        )

    def run_and_waited_s(self) -> tuple[subprocess.CompletedProcess[bytes], float]:
        """Run it to its end; and how many seconds it has waited for something else than a processor."""
        since = time.monotonic()
        with (
            TemporaryFile() as errors,
            subprocess.Popen(
                [str(CONSOLIDATOR), *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self.environment,
            ) as process,
        ):
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError), process.stdin as stdin:
                    stdin.write(self.command.stdin or b"")
                waited_s = ended_after_waiting(process, since, LIMIT_S)
                code = process.wait()
            finally:
                process.kill()
            errors.seek(0)
            return subprocess.CompletedProcess(process.args, code, b"", errors.read()), waited_s

    def interrupted(self, moment_s: float, number: int) -> tuple[int, bytes]:
        """Run it, and send it a signal so long after its first line."""
        with subprocess.Popen(
            [str(CONSOLIDATOR), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment,
        ) as process:
            try:
                while not _catches(process.pid, signal.SIGTERM):
                    time.sleep(0.001)
                time.sleep(moment_s)
                process.send_signal(number)
                _, errors = process.communicate(timeout=LIMIT_S)
            finally:
                process.kill()
        return process.returncode, errors


def _catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), 16)
    return bool(caught & (1 << number - 1))


def at_most_one_error(errors: bytes) -> None:
    """What every end has in common."""
    text = errors.decode()
    assert "Traceback" not in text
    assert not LIBRDKAFKA.search(text), text
    assert len([line for line in text.splitlines() if line.startswith(("error: ", '{"error": '))]) <= 1, text


def ends(process: subprocess.CompletedProcess[bytes], *codes: int) -> None:
    """The process has ended so."""
    at_most_one_error(process.stderr)
    assert process.returncode in codes, process.stderr.decode()


def _interrupt(moment_s: float, number: int = signal.SIGINT) -> Callable[[Runner], None]:
    def situation(runner: Runner) -> None:
        code, errors = runner.interrupted(moment_s, number)
        at_most_one_error(errors)
        # Whoever was quicker has ended before.
        before = () if runner.command.endless else (runner.command.code,)
        assert code in (0 if runner.command.endless else 128 + number, *before), errors.decode()

    return situation


def stdout_closed(runner: Runner) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ends(runner.run(stdout=writer), -signal.SIGPIPE if runner.command.prints else runner.command.code)
    finally:
        os.close(writer)


def stdout_full(runner: Runner) -> None:
    with Path("/dev/full").open("wb") as full:
        ends(runner.run(stdout=full), 3 if runner.command.prints else runner.command.code)


def stdout_latin_1(runner: Runner) -> None:
    runner.environment |= {"PYTHONIOENCODING": "latin-1"}
    process = runner.run()
    ends(process, runner.command.code)
    process.stdout.decode("utf-8")


def stdin_closed(runner: Runner) -> None:
    process = runner.run(input=None, preexec_fn=lambda: os.close(0))
    ends(process, 2 if runner.command.stdin is not None else runner.command.code)


def broker_down(runner: Runner) -> None:
    runner.environment |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    process, waited_s = runner.run_and_waited_s()
    ends(process, runner.command.broker_down if runner.command.kafka else runner.command.code)
    assert waited_s < REFUSED_S + runner.command.patience_s


def topics_missing(runner: Runner) -> None:
    own = f"nowhere-{os.urandom(4).hex()}"
    runner.environment |= {"CONSOLIDATOR_TOPIC_PREFIX": f"{own}.", "CONSOLIDATOR_APP_ID": own}
    ends(runner.run(), runner.command.missing if runner.command.kafka else runner.command.code)


def not_utf_8(runner: Runner) -> None:
    ends(runner.run(b"\xff"), 2)


def columns_60(runner: Runner) -> None:
    code, said = in_terminal([str(CONSOLIDATOR), *runner.arguments], 60, runner.environment)
    at_most_one_error(said.encode())
    # There is nothing on its stdin there.
    assert code == runner.command.code, said


SITUATIONS = {
    **{f"ctrl-c-{moment_s}": _interrupt(moment_s) for moment_s in MOMENTS_S},
    "sigterm": _interrupt(MOMENTS_S[1], signal.SIGTERM),
    "stdout-closed": stdout_closed,
    "stdout-full": stdout_full,
    "stdout-latin-1": stdout_latin_1,
    "stdin-closed": stdin_closed,
    "broker-down": broker_down,
    "topics-missing": topics_missing,
    "not-utf-8": not_utf_8,
    "60-columns": columns_60,
}
NOT_FOR_ENDLESS = {"stdout-closed", "stdout-full", "stdout-latin-1", "stdin-closed", "60-columns"}
"""A worker prints nothing, and both go on."""


def _commit() -> str:
    root = Path(__file__).resolve().parents[3]
    shown = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _cases() -> list[Any]:
    everything = os.environ.get("CONSOLIDATOR_TEST_MATRIX") == "all"
    commit = _commit()
    found = []
    for command in COMMANDS:
        for name in SITUATIONS:
            case = f"{command.line}: {name}"
            digest = hashlib.sha256(f"{commit} {case}".encode()).digest()
            if (everything or digest[0] % ONE_IN == 0) and not (command.endless and name in NOT_FOR_ENDLESS):
                found.append(pytest.param(command, name, id=case))
    return found


@pytest.mark.parametrize(("command", "situation"), _cases())
def test_a_command_ends(place, tmp_path, command, situation):
    """As it is documented."""
    SITUATIONS[situation](Runner(command, place, tmp_path))
