"""The systemd units say what they mean, and are accepted by systemd where it is there."""

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from streams.cli.main import COMMANDS
from streams.configuration.settings import Settings, variable_of
from streams.runtime.exit_codes import REFUSED
from streams.runtime.grace import GRACE_S
from tests.inputs.repository import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = sorted(file.name for file in SYSTEMD.glob("*.service"))
PROGRAM = "/opt/consolidator/bin/consolidator"
VARIABLES = {variable_of(field) for field in Settings.model_fields}
LIMIT_S = 250
MOST_EXPOSED = 20
"""Of 100, by `systemd-analyze security`; a service without any of these lines has 96."""


def section(unit: str, name: str) -> dict[str, list[str]]:
    """A section of a unit: each option with all its values."""
    found: dict[str, list[str]] = {}
    inside = False
    for line in (SYSTEMD / unit).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            inside = line == f"[{name}]"
        elif inside and line and not line.startswith("#"):
            option, _, value = line.partition("=")
            found.setdefault(option, []).append(value)
    return found


def as_installed(directory: Path) -> list[str]:
    """The units in a directory, with a program that exists; a template as one instance of it."""
    names = []
    for unit in UNITS:
        text = (SYSTEMD / unit).read_text(encoding="utf-8").replace(PROGRAM, "/bin/true")
        name = unit.replace("@.", "@0.")
        (directory / unit).write_text(text, encoding="utf-8")
        (directory / name).write_text(text, encoding="utf-8")
        names.append(str(directory / name))
    return names


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False)


def test_the_units_are_accepted(tmp_path):
    """`systemd-analyze verify` says nothing."""
    checked = analyzed("verify", *as_installed(tmp_path))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_mistake_is_found(tmp_path):
    """The check can fail: a misspelt option is named."""
    names = as_installed(tmp_path)
    file = Path(names[0])
    file.write_text(file.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHomes="), encoding="utf-8")
    checked = analyzed("verify", *names)
    assert "ProtectHomes" in checked.stderr


def test_the_units_are_hardened(tmp_path):
    """`systemd-analyze security` finds little that they could do to the machine."""
    for name in as_installed(tmp_path):
        checked = analyzed("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", name)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_a_command_that_exists(unit):
    """As its own user, with settings that exist, and with its state below /var/lib."""
    service = section(unit, "Service")
    [command] = service["ExecStart"]
    program, *words = command.split()
    assert program == PROGRAM
    assert words[0] in COMMANDS
    assert service["User"] == ["consolidator"]
    variables = dict(one.split("=", 1) for one in service["Environment"])
    assert set(variables) <= VARIABLES
    assert [variables["CONSOLIDATOR_STATE_DIR"]] == [f"/var/lib/{place}" for place in service["StateDirectory"]]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_started_again_but_not_where_that_is_no_use(unit):
    """Exit code 2 says that something has to be mended first; what else fails is tried again every ten seconds."""
    service, about = section(unit, "Service"), section(unit, "Unit")
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == [str(REFUSED)]
    # A limit would leave it dead after a short absence of Kafka: each start without a broker ends with 3.
    assert (about["StartLimitIntervalSec"], "StartLimitBurst" in about) == (["0"], False)
    assert service["RestartSec"] == ["10"]
    if service.get("Type") != ["oneshot"]:
        assert int(service["TimeoutStopSec"][0]) > GRACE_S


def test_workers_are_static_members():
    """By machine and number, so that two of them never share an id."""
    variables = section("consolidator-worker@.service", "Service")["Environment"]
    assert "CONSOLIDATOR_INSTANCE_ID=%l-%i" in variables


def test_the_example_has_settings_that_exist():
    """With values that this version accepts, but for the password, which is left to the operator."""
    config = RawConfigParser()
    config.optionxform = str
    config.read_string("[settings]\n" + (SYSTEMD / "consolidator.env.example").read_text(encoding="utf-8"))
    found = dict(config["settings"])
    assert set(found) <= VARIABLES
    assert found.pop("KAFKA_SASL_PASSWORD") == ""
    Settings.model_validate(found)
