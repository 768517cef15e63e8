"""Which broker a command talks to, and the command group where no broker runs."""

import json

import pytest
from click.testing import CliRunner

from models.errors import ContractError
from streams.cli.main import cli
from streams.configuration.broker_choice import bootstrap_servers
from streams.configuration.settings import load_settings


@pytest.fixture
def _no_broker(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSOLIDATOR_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.mark.usefixtures("_no_broker")
def test_the_variable_wins():
    """KAFKA_BOOTSTRAP_SERVERS is used as it is, and nothing is started."""
    settings = load_settings(bootstrap_servers="kafka-1:9092,kafka-2:9092")
    assert bootstrap_servers(settings, start=True) == "kafka-1:9092,kafka-2:9092"


@pytest.mark.usefixtures("_no_broker")
def test_without_any_broker_the_error_says_what_to_do():
    """A command that starts no broker names the two ways to one."""
    with pytest.raises(ContractError, match="set KAFKA_BOOTSTRAP_SERVERS, or run `consolidator broker start`"):
        bootstrap_servers(load_settings(), start=False)


@pytest.mark.usefixtures("_no_broker")
def test_stop_without_a_broker_is_no_failure(tmp_path):
    """Stopping what does not run says so, and succeeds."""
    result = CliRunner().invoke(cli, ["broker", "stop"])
    assert result.exit_code == 0
    assert result.stdout == f"No embedded broker is running in {tmp_path / 'kafka'}.\n"
    assert json.loads(CliRunner().invoke(cli, ["broker", "stop", "--format", "json"]).stdout) == {"stopped": False}


@pytest.mark.usefixtures("_no_broker")
def test_status_without_a_broker_is_exit_code_1(tmp_path):
    """A script can ask whether the broker runs."""
    result = CliRunner().invoke(cli, ["broker", "status", "--format", "json"])
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert (facts["running"], facts["bootstrap_servers"], facts["pid"]) == (False, None, None)
    assert facts["data_dir"] == str(tmp_path / "kafka")
    table = CliRunner().invoke(cli, ["broker", "status"])
    assert table.exit_code == 1
    assert "no (consolidator broker start)" in table.stdout


@pytest.mark.usefixtures("_no_broker")
def test_status_notes_a_variable_that_points_elsewhere(monkeypatch):
    """Who asks about the embedded broker while commands use another one is told, on stderr."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092")
    result = CliRunner().invoke(cli, ["broker", "status", "--format", "json"])
    assert "KAFKA_BOOTSTRAP_SERVERS is set to kafka-1:9092" in result.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" not in result.stdout
