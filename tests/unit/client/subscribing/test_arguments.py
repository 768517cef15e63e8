"""What a caller gives is checked before anything is connected; a connection comes from the worker's variables, too."""

from datetime import datetime

import pytest

import consolidator
from consolidator import SettingsError, TokenError, UsageError
from consolidator.connecting.arguments import SECURITY, connection_from, prefix_from
from consolidator.connecting.security import variable_of
from streams.configuration.connection import connection_of
from streams.configuration.settings import load_settings

SERVERS = "broker-1:9092"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No variable of the machine's."""
    for field in ("bootstrap_servers", *SECURITY):
        for suffix in ("", "_FILE"):
            monkeypatch.delenv(f"{variable_of(field)}{suffix}", raising=False)
    monkeypatch.delenv("CONSOLIDATOR_TOPIC_PREFIX", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"applications": "app-1"}, "applications: a list of texts is wanted"),
        ({"processors": [""]}, "processors: a list of texts is wanted, none of them empty"),
        ({"outcomes": [1]}, "outcomes: a list of texts"),
        ({"kinds": ["gone"]}, "kinds: 'gone' is none of set, updated, cleared, unchanged"),
        ({"until": "end"}, "until: 'end' is neither None nor 'caught-up'"),
        ({"stall_s": 0}, "stall_s: a number of seconds above 0"),
        ({"progress_s": float("nan")}, "progress_s: a number of seconds above 0"),
        ({"start": datetime(2026, 3, 1)}, "has no offset from UTC"),  # noqa: DTZ001 - that is what is wrong
        ({"start": {}}, "start: no partition is named"),
        ({"start": {0: -1}}, "start: 0: -1 is no partition and offset"),
        ({"start": {"0": 1}}, "start: '0': 1 is no partition and offset"),
        ({"start": {True: 1}}, "start: True: 1 is no partition and offset"),
        ({"start": 7}, "start: int is none of: 'snapshot', 'beginning', a token"),
        ({"group": "g", "start": {0: 1}}, "start: in a group it is SNAPSHOT or BEGINNING"),
        ({"group": "g", "until": "caught-up"}, "until: a group has no end"),
        ({"stored": dict.fromkeys}, "stored and on_revoke are for a group"),
        ({"sasl_user": "x"}, r"subscribe\(\) has no argument sasl_user: settings are security_protocol, "),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(arguments, words):
    """Before anything is connected; it is a ValueError as well."""
    with pytest.raises(UsageError, match=words) as caught:
        consolidator.subscribe(SERVERS, **arguments)
    assert isinstance(caught.value, ValueError)


def test_a_text_that_is_no_token_is_refused_without_kafka():
    """A misspelt start is an error at once."""
    with pytest.raises(TokenError, match="'begining' is no token"):
        next(iter(consolidator.subscribe("nowhere.invalid:9", start="begining")))


def test_a_commit_needs_a_group():
    """A subscription alone keeps its token."""
    with pytest.raises(UsageError, match="commit: the subscription has no group"):
        consolidator.subscribe(SERVERS).commit()


def test_without_servers_the_variable_is_named():
    """There is no default."""
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP_SERVERS is not set: set it, or give bootstrap_servers"):
        consolidator.subscribe()


def test_arguments_win_over_variables_and_files_work(environment, tmp_path):
    """A secret comes from an argument, a variable or a file; an argument makes the file unread."""
    (tmp_path / "password").write_text("of the file\n")
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", "elsewhere:1")
    environment.setenv("kafka_security_protocol", "SASL_PLAINTEXT")
    environment.setenv("KAFKA_SASL_USERNAME", "user")
    environment.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    environment.setenv("CONSOLIDATOR_TOPIC_PREFIX", "test.")
    found = connection_from(SERVERS, {"sasl_username": None})
    assert (found.bootstrap_servers, found.sasl_username, found.sasl_password) == (SERVERS, "user", "of the file")
    assert connection_from(None, {"sasl_password": "given"}).sasl_password == "given"
    assert (prefix_from(None), prefix_from("other.")) == ("test.", "other.")


WRONG = {
    "an address": {"KAFKA_BOOTSTRAP_SERVERS": "nowhere"},
    "a protocol": {"KAFKA_SECURITY_PROTOCOL": "TLS"},
    "a mechanism": {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "GSSAPI"},
    "no user": {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "canary"},
    "a password that is not used": {"KAFKA_SASL_PASSWORD": "canary"},
    "a password and its file": {"KAFKA_SASL_PASSWORD": "canary", "KAFKA_SASL_PASSWORD_FILE": "/nowhere"},
    "no file of a password": {"KAFKA_SASL_PASSWORD_FILE": "/nowhere"},
    "an empty path": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": ""},
    "no such file": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/nowhere"},
    "a certificate without its key": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTIFICATE_LOCATION": __file__},
    "a key's password without the key": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_PASSWORD": "canary"},
    "no certificate": {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": __file__},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_workers_words_are_the_subscribers(environment, wrong):
    """The same variables that are wrong have the same message in both, and no secret is in it."""
    for name, value in {"KAFKA_BOOTSTRAP_SERVERS": SERVERS, **WRONG[wrong]}.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsError) as ours:
        connection_from(None, {})
    with pytest.raises(SettingsError) as workers:
        connection_of(load_settings())
    assert str(ours.value) == str(workers.value)
    assert "canary" not in str(ours.value)


def test_a_prefix_that_no_topic_can_have():
    """In the worker's words."""
    with pytest.raises(SettingsError, match="topic_prefix is 'a b': 0 to 100 letters, digits, dots"):
        prefix_from("a b")
