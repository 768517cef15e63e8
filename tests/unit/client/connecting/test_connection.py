"""The connection: complete for librdkafka, silent about secrets, refused by the name of the setting."""

import pytest

from consolidator.connecting.connection import Connection
from models.errors import ContractError, SettingsError
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings, load_settings

PASSWORD = "correct-horse"


def settings(**changes):
    return Settings(bootstrap_servers="broker:9092", **changes)


def test_a_plain_connection_sends_no_credentials():
    """Without SASL or TLS only the address, the client's name, a quiet log and the protocol are configured."""
    connection = Connection("broker:9092", sasl_username="u", sasl_password=PASSWORD, ssl_ca_location="/ca.pem")
    assert connection.librdkafka() == {
        "bootstrap.servers": "broker:9092",
        "client.id": "consolidator",
        "log_level": 2,
        "topic.metadata.refresh.interval.ms": 5_000,
        "security.protocol": "PLAINTEXT",
    }


def test_sasl_over_tls_is_complete():
    """Every security setting reaches librdkafka, and the broker's host name is verified."""
    connection = Connection(
        "broker:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="worker",
        sasl_password=PASSWORD,
        ssl_ca_location="/ca.pem",
        ssl_certificate_location="/cert.pem",
        ssl_key_location="/key.pem",
        ssl_key_password=PASSWORD,
    )
    assert connection.librdkafka() == {
        "bootstrap.servers": "broker:9093",
        "client.id": "consolidator",
        "log_level": 2,
        "topic.metadata.refresh.interval.ms": 5_000,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "worker",
        "sasl.password": PASSWORD,
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/cert.pem",
        "ssl.key.location": "/key.pem",
        "ssl.key.password": PASSWORD,
        "ssl.endpoint.identification.algorithm": "https",
    }


def test_without_a_ca_file_the_systems_authorities_are_used():
    """A file that is not set is left out of the configuration."""
    assert "ssl.ca.location" not in Connection("broker:9093", security_protocol="SSL").librdkafka()


def test_no_secret_in_repr():
    """Printing a connection does not show its password."""
    assert PASSWORD not in repr(Connection("broker:9092", sasl_password=PASSWORD, ssl_key_password=PASSWORD))
    assert PASSWORD not in repr(settings(sasl_password=PASSWORD, ssl_key_password=PASSWORD))


def test_settings_become_a_connection():
    """What the environment says reaches the connection, the password included."""
    connection = connection_of(
        settings(security_protocol="SASL_PLAINTEXT", sasl_username="worker", sasl_password=PASSWORD)
    )
    assert connection.bootstrap_servers == "broker:9092"
    assert (connection.sasl_username, connection.sasl_password) == ("worker", PASSWORD)


SASL = {
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": PASSWORD,
    "KAFKA_SASL_PASSWORD": PASSWORD,
}
TLS = {
    "KAFKA_SSL_CA_LOCATION": f"/{PASSWORD}",
    "KAFKA_SSL_CERTIFICATE_LOCATION": f"/{PASSWORD}",
    "KAFKA_SSL_KEY_LOCATION": f"/{PASSWORD}",
    "KAFKA_SSL_KEY_PASSWORD": PASSWORD,
}
UNUSED = [
    *((protocol, variable, value) for protocol in (None, "PLAINTEXT", "SSL") for variable, value in SASL.items()),
    *(
        (protocol, variable, value)
        for protocol in (None, "PLAINTEXT", "SASL_PLAINTEXT")
        for variable, value in TLS.items()
    ),
]


@pytest.mark.parametrize("servers", ["broker:9092", None])
@pytest.mark.parametrize(("protocol", "variable", "value"), UNUSED)
def test_what_the_protocol_does_not_use_is_refused_by_name(monkeypatch, tmp_path, servers, protocol, variable, value):
    """Whoever has set it does not expect plain text; no value is shown, and no broker is asked for or started."""
    monkeypatch.setenv("CONSOLIDATOR_STATE_DIR", str(tmp_path))
    for name, given in (("KAFKA_BOOTSTRAP_SERVERS", servers), ("KAFKA_SECURITY_PROTOCOL", protocol)):
        monkeypatch.delenv(name, raising=False)
        if given is not None:
            monkeypatch.setenv(name, given)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable}: set, and not used") as refused:
        connection_of(load_settings(), start_broker=True)
    assert PASSWORD not in str(refused.value)
    assert f"KAFKA_SECURITY_PROTOCOL is {protocol or 'PLAINTEXT'}" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_not_used_is_named_at_once(monkeypatch, tmp_path):
    """In one line; a secret that stood in a file by the variable that named the file."""
    (tmp_path / "password").write_text(PASSWORD)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("KAFKA_SSL_CA_LOCATION", "/ca.pem")
    with pytest.raises(SettingsError, match=r"^KAFKA_SASL_PASSWORD_FILE, KAFKA_SSL_CA_LOCATION: set, and not used"):
        connection_of(load_settings(bootstrap_servers="broker:9092"))


def test_a_key_password_needs_a_key(monkeypatch):
    """There is nothing that it could decrypt."""
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD", PASSWORD)
    with pytest.raises(SettingsError, match=r"^KAFKA_SSL_KEY_PASSWORD: set, and not used, as KAFKA_SSL_KEY_LOCATION"):
        connection_of(load_settings(bootstrap_servers="broker:9092"))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"sasl_password": PASSWORD}, "KAFKA_SASL_USERNAME"),
        ({"sasl_username": "worker"}, "KAFKA_SASL_PASSWORD"),
    ],
)
def test_sasl_without_credentials_is_refused_by_name(given, missing):
    """The missing variable is named, and no value is."""
    with pytest.raises(SettingsError, match=missing) as refused:
        connection_of(settings(security_protocol="SASL_SSL", **given))
    assert PASSWORD not in str(refused.value)


def test_a_client_certificate_needs_its_key():
    """A certificate without a key, which would fail at the first handshake, is refused at once."""
    with pytest.raises(SettingsError, match="KAFKA_SSL_KEY_LOCATION"):
        connection_of(settings(security_protocol="SSL", ssl_certificate_location="/cert.pem"))


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    """A mistyped path is named with its variable."""
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_CA_LOCATION: there is no file .*ca\.pem"):
        connection_of(settings(security_protocol="SSL", ssl_ca_location=tmp_path / "ca.pem"))


def test_without_any_broker_the_message_says_what_to_do(tmp_path, monkeypatch):
    """With no address set and no embedded broker running, nothing is started unasked."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(ContractError, match="KAFKA_BOOTSTRAP_SERVERS"):
        connection_of(Settings(state_dir=tmp_path))


def test_settings_become_topics():
    """Prefix, application, partitions and audit window of the settings stand in the declaration."""
    topics = topics_of(settings(topic_prefix="uat.", app_id="uat", partitions=7, audit_window_days=1))
    assert (topics.executions.name, topics.changelog.name) == ("uat.executions", "uat-consolidation-changelog")
    assert topics.partitions == 7
    assert topics.executions.config["min.compaction.lag.ms"] == "86400000"
