"""Every command of every runbook, given as it stands there, in a real installation that has something to show."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from consolidator.keys import event_key, partition_of
from streams.broker.ports import free_port
from streams.rulesets import catalogue_file
from tests.alerting.runbooks import commands
from tests.inputs.workloads import to_json
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import CONSOLIDATOR, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

APPLICATION = "app-17"
COMMAND_LIMIT_S = 180

COMMANDS = {command.text: command for command in commands()}
"""Each once, on whatever pages it stands."""


def event(number: int, **members):
    value = {
        "event_id": f"ev-{number}",
        "application_id": APPLICATION,
        "execution_id": f"e-{number}",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": f"2026-03-01T10:00:{number:02}Z",
        "output": {"factors": {"f_revenue_monthly": 10_000}},
    } | members
    return {name: member for name, member in value.items() if member is not None}


def records(partitions: int):
    """A success, a failure, and what is no event: in the application's partition."""
    home = partition_of(APPLICATION, partitions)
    failure = {"status": "failed", "processor": "credit_check", "output": None, "error": {"code": "timeout"}}
    for one in (event(1), event(2, **failure)):
        yield event_key(APPLICATION, one["event_id"]), to_json(one), home
    yield b"k", b"no JSON", home


@pytest.fixture(scope="module")
def night(kafka, tmp_path_factory):
    """A worker, a sink, two events and a dead letter; and what a person reads off the alert and the lists."""
    directory = tmp_path_factory.mktemp("night")
    catalogue = str(Path(catalogue_file.__file__).with_name("sample_catalogue.toml"))
    address = f"127.0.0.1:{free_port()}"
    with installed(kafka, directory, CONSOLIDATOR_CATALOGUE=catalogue) as found:
        worker = found.start(CONSOLIDATOR_HEALTH_ADDRESS=address).wait_ready(found.partitions)
        found.publish_raw(records(found.partitions))
        found.wait_consumed(worker)
        sink = found.start_program(str(CONSOLIDATOR), "sink", "run")
        home = partition_of(APPLICATION, found.partitions)
        [letter] = found.read(found.topics.dlq.name)
        night = SimpleNamespace(
            variables=found.variables,
            directory=directory,
            values={
                "APPLICATION": APPLICATION,
                "PARTITION:OFFSET": f"{letter.partition}:{letter.offset}",
                "PARTITION:COMMITTED": f"{home}:0",
                "INSTANCE": address,
            },
        )
        wait_until(
            lambda: given(night, "consolidator sink status").returncode == 0,
            "the sink to be at every partition",
            limit_s=LIMIT_S,
            details=sink.tail,
        )
        yield night


def given(night, text: str) -> subprocess.CompletedProcess[str]:
    """Give a command line to a shell, as a person does. What it writes to /tmp lies in the test's directory."""
    path = f"{CONSOLIDATOR.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", text.replace("/tmp/", f"{night.directory}/")],
        env=os.environ | night.variables | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_ends_as_the_runbook_says(night, text):
    """With one of the exit codes that the page gives, and without a traceback."""
    command = COMMANDS[text]
    done = given(night, command.filled(night.values))
    assert done.returncode in command.exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
