"""Settings are refused by name, in words, with the value that they have; what is none is named, too."""

import os

import pytest

from models.errors import SettingsError
from streams.configuration.settings import SettingsWarning, load_settings, name_of


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("CONSOLIDATOR_", "KAFKA_")):
            monkeypatch.delenv(name)


def refusal(**flags):
    """What is said of the settings."""
    with pytest.raises(SettingsError) as refused:
        load_settings(**flags)
    return str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CONSOLIDATOR_PARTITIONS", "1_0", " is '1_0': a whole number from 1 to 10,000 is wanted"),
        ("CONSOLIDATOR_PARTITIONS", "4.0", " is '4.0': a whole number from 1 to 10,000 is wanted"),
        ("CONSOLIDATOR_PARTITIONS", "9" * 30, f" is '{'9' * 30}': a whole number from 1 to 10,000 is wanted"),
        ("CONSOLIDATOR_PARTITIONS", "x" * 99, f" is '{'x' * 60}…': a whole number from 1 to 10,000 is wanted"),
        ("CONSOLIDATOR_AUDIT_WINDOW_DAYS", "-1", " is '-1': a whole number of at least 0 is wanted"),
        ("CONSOLIDATOR_SESSION_TIMEOUT_S", "nan", " is 'nan': a number from 1 to 600 is wanted"),
        ("CONSOLIDATOR_SESSION_TIMEOUT_S", "1_0.5", " is '1_0.5': a number from 1 to 600 is wanted"),
        ("CONSOLIDATOR_ADOPT_RULESET", "true", " is 'true': NAME/VERSION is wanted, as the catalogue calls itself"),
        ("CONSOLIDATOR_LOG_LEVEL", "\x1b[2J", " is '\\x1b[2J': debug, info, warning or error is wanted"),
        (
            "CONSOLIDATOR_APP_ID",
            "a b",
            " is 'a b': 1 to 200 letters, digits, dots, hyphens and underscores are wanted",
        ),
        ("CONSOLIDATOR_CATALOGUE", "", ": it is empty: leave it unset, or give a path"),
        ("KAFKA_SSL_CA_LOCATION", "", ": it is empty: leave it unset, or give a path"),
        ("KAFKA_BOOTSTRAP_SERVERS", "", ": '' is no host:port such as broker-1:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://a:1", ": 'http://a:1' is no host:port such as broker-1:9092"),
        ("CONSOLIDATOR_HEALTH_ADDRESS", "", ": '' is no host:port such as 127.0.0.1:9404 or 0.0.0.0:9404"),
        ("CONSOLIDATOR_HEALTH_ADDRESS", "9404", ": '9404' is no host:port such as 127.0.0.1:9404 or 0.0.0.0:9404"),
        (
            "CONSOLIDATOR_HEALTH_ADDRESS",
            "a:70000",
            ": 'a:70000' is no host:port such as 127.0.0.1:9404 or 0.0.0.0:9404",
        ),
        ("CONSOLIDATOR_STATE_DIR", "", ": it is empty: leave it unset, or give a path"),
        ("CONSOLIDATOR_STATE_DIR", "/x,y", ": '/x,y' has ',' in it: Kafka would write outside of it"),
        ("CONSOLIDATOR_STATE_DIR", "/x:y", ": '/x:y' has ':' in it: Kafka would write outside of it"),
        ("CONSOLIDATOR_STATE_DIR", "/x\ny", ": '/x\\ny' has '\\n' in it: Kafka would write outside of it"),
        ("CONSOLIDATOR_STATE_DIR", "/dev/null", ": '/dev/null' is a file, a directory is wanted"),
        ("CONSOLIDATOR_STATE_DIR", "/dev/null/x/y", ": '/dev/null' is a file, a directory is wanted"),
    ],
)
def test_a_wrong_value(monkeypatch, variable, value, said):
    """The variable, the value, and what is wanted."""
    monkeypatch.setenv(variable, value)
    assert refusal() == variable + said


def test_a_wrong_flag_is_named_as_a_flag(monkeypatch):
    """Even where the variable is set, too."""
    monkeypatch.setenv("CONSOLIDATOR_LOG_LEVEL", "info")
    assert refusal(log_level="loud") == "--log-level is 'loud': debug, info, warning or error is wanted"
    assert refusal(bootstrap_servers="a").startswith("--bootstrap-servers: 'a' is no host:port")


def test_everything_wrong_at_once(monkeypatch):
    """In one line."""
    monkeypatch.setenv("CONSOLIDATOR_PARTITIONS", "0")
    monkeypatch.setenv("CONSOLIDATOR_PARTITION", "3")
    assert refusal() == (
        "CONSOLIDATOR_PARTITION is no setting: CONSOLIDATOR_PARTITIONS is meant; "
        "CONSOLIDATOR_PARTITIONS is '0': a whole number from 1 to 10,000 is wanted"
    )


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CONSOLIDATOR_PARTITION", "CONSOLIDATOR_PARTITIONS"),
        ("CONSOLIDATOR_STATEDIR", "CONSOLIDATOR_STATE_DIR"),
        ("consolidator_partition", "CONSOLIDATOR_PARTITIONS"),
        ("CONSOLIDATOR_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_SASL_USER", "KAFKA_SASL_USERNAME"),
    ],
)
def test_a_misspelt_variable_is_refused(monkeypatch, variable, meant):
    """With what is meant: ignored, it would do something else than was wanted."""
    monkeypatch.setenv(variable, "1")
    assert refusal() == f"{variable} is no setting: {meant} is meant"


def test_other_variables_are_one_warning(monkeypatch):
    """All of them together."""
    monkeypatch.setenv("CONSOLIDATOR_COLOUR", "blue")
    monkeypatch.setenv("CONSOLIDATOR_MOOD", "fine")
    with pytest.warns(SettingsWarning, match="no settings, and ignored: CONSOLIDATOR_COLOUR, CONSOLIDATOR_MOOD"):
        load_settings()


@pytest.mark.parametrize(
    "variable",
    [
        "CONSOLIDATOR_SERVICE_HOST",
        "CONSOLIDATOR_SERVICE_PORT",
        "CONSOLIDATOR_SERVICE_PORT_HTTP",
        "CONSOLIDATOR_PORT",
        "CONSOLIDATOR_PORT_9092_TCP_ADDR",
        "CONSOLIDATOR_WORKER_SERVICE_HOST",
        "KAFKA_SERVICE_HOST",
        "KAFKA_PORT_9092_TCP",
        "KAFKA_HEAP_OPTS",
        "CONSOLIDATOR_FAULTS",
    ],
)
def test_what_others_inject_is_ignored(monkeypatch, variable):
    """Kubernetes, Kafka's own tools, and the fault scenarios have variables like that."""
    monkeypatch.setenv(variable, "tcp://10.0.0.1:9092")
    load_settings()


def test_where_the_addresses_are_from(monkeypatch):
    """The flag wins over the variable, and is named."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1")
    assert name_of(load_settings(), "bootstrap_servers") == "KAFKA_BOOTSTRAP_SERVERS"
    assert name_of(load_settings(bootstrap_servers="b:1"), "bootstrap_servers") == "--bootstrap-servers"


@pytest.mark.parametrize("address", ["127.0.0.1:9404", "0.0.0.0:0", "[::1]:9404", "worker-1.internal:65535"])
def test_where_health_is_served(monkeypatch, address):
    """An address or a name, with a port; off without it."""
    assert load_settings().health_address is None
    monkeypatch.setenv("CONSOLIDATOR_HEALTH_ADDRESS", address)
    assert load_settings().health_address == address
