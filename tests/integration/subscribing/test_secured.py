"""Passwords, certificates and permissions: from arguments and from the worker's variables, refused by name."""

import pytest

import consolidator
from consolidator import AuthorizationError, SettingsError
from consolidator.connecting.arguments import SECURITY
from tests.real_kafka.published_topics import Published
from tests.real_kafka.secured_installation import SecuredInstallation
from tests.real_kafka.subscribing import View, drained, yielded
from topics.contract.permissions import Permission, Resource

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def published(secured, tmp_path):
    """Some changes, and a user who may read the two topics."""
    installation = SecuredInstallation(secured, tmp_path, {})
    installation.create_topics()
    found = Published(installation)
    found.change(*(f"app-{number}" for number in range(6)))
    secured.permit([Permission("Read", Resource.TOPIC, name, "reads it") for name in found.names])
    yield found
    installation.close()


@pytest.fixture
def environment(monkeypatch):
    """No variable of the machine's."""
    for name in SECURITY:
        monkeypatch.delenv(f"KAFKA_{name.upper()}", raising=False)
    return monkeypatch


def as_arguments(variables):
    """A connection's variables as arguments."""
    given = {name.removeprefix("KAFKA_").lower(): value for name, value in variables.items()}
    return given.pop("bootstrap_servers"), given


@pytest.mark.parametrize("way", ["password", "password over TLS", "certificate"])
def test_a_subscription_over(published, secured, environment, way):
    """By arguments and by variables alike."""
    variables = {
        "password": secured.scram(),
        "password over TLS": secured.scram("SASL_SSL"),
        "certificate": secured.certificate(),
    }[way]
    prefix = f"{published.installation.name}."
    servers, arguments = as_arguments(variables)
    assert View().take(drained(servers, topic_prefix=prefix, **arguments)).agrees(published.expected)
    for name, value in {**variables, "CONSOLIDATOR_TOPIC_PREFIX": prefix}.items():
        environment.setenv(name, value)
    items = [*consolidator.subscribe(until="caught-up")]
    assert yielded(items) == ["Current"] * 6 + ["SnapshotEnd", "CaughtUp"]


def test_refusals_say_what_to_do(published, secured, environment):
    """A wrong password names its variable; a missing permission its topic, and the command that lists what it takes."""
    servers, arguments = as_arguments(secured.scram())
    prefix = f"{published.installation.name}."
    with pytest.raises(SettingsError, match="refuses the credentials: check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD"):
        drained(servers, topic_prefix=prefix, **arguments | {"sasl_password": "canary-wrong"})
    secured.permit([])
    with pytest.raises(AuthorizationError, match=rf"(?s)Read on topic {prefix}factor.*consolidator topics acls"):
        drained(servers, topic_prefix=prefix, **arguments)
