"""Each client of a worker that a cluster refuses says so at once, and by the name of the setting.

A worker asks the cluster before anything else; what is tried here is that a client is refused later: a password is
changed, a certificate expires.
"""

import time

import pytest

from consolidator.connecting.connection import Connection
from models.errors import SettingsError
from streams.worker.source_watch import SourceWatch
from streams.worker.transactions.earlier_owners import outwait
from streams.worker.transactions.partition_transactions import PartitionTransactions
from streams.worker.transactions.small_rounds.round_transactions import RoundProducers
from tests.oracle.folds import topics_of
from tests.real_kafka.certificates import Authority

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PATIENCE_S = 300.0
FAST_S = 30.0
"""A refusal is known in seconds; the rest is for a busy machine."""

MEMBERS = {
    "KAFKA_BOOTSTRAP_SERVERS": "bootstrap_servers",
    "KAFKA_SECURITY_PROTOCOL": "security_protocol",
    "KAFKA_SASL_MECHANISM": "sasl_mechanism",
    "KAFKA_SASL_USERNAME": "sasl_username",
    "KAFKA_SASL_PASSWORD": "sasl_password",
    "KAFKA_SSL_CA_LOCATION": "ssl_ca_location",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "ssl_certificate_location",
    "KAFKA_SSL_KEY_LOCATION": "ssl_key_location",
}


def small_rounds(connection):
    producers = RoundProducers(connection, "app", patience_s=PATIENCE_S)
    try:
        producers.fence({0})
    finally:
        producers.close()


def large_batches(connection):
    PartitionTransactions(connection, "app", 0, patience_s=PATIENCE_S).fence()


def earlier_owners(connection):
    outwait(connection, "app", "executions", "changelog", {0}, patience_s=PATIENCE_S)


def the_watch(connection):
    SourceWatch(connection, topics_of(1)).look()


CLIENTS = [small_rounds, large_batches, earlier_owners, the_watch]

OWN = ("KAFKA_SSL_CERTIFICATE", "KAFKA_SSL_KEY")

REFUSED = {
    "password": (lambda broker, _: broker.scram() | {"KAFKA_SASL_PASSWORD": "another"}, "KAFKA_SASL_PASSWORD"),
    "user over TLS": (
        lambda broker, _: broker.scram("SASL_SSL", "SCRAM-SHA-512") | {"KAFKA_SASL_USERNAME": "nobody"},
        "KAFKA_SASL_USERNAME",
    ),
    "mechanism": (lambda broker, _: broker.scram("ONLY_PLAIN"), "KAFKA_SASL_MECHANISM"),
    "authority": (
        lambda broker, stranger: broker.certificate() | {"KAFKA_SSL_CA_LOCATION": str(stranger.certificate)},
        "KAFKA_SSL_CA_LOCATION",
    ),
    "certificate has expired": (lambda broker, _: broker.certificate(listener="EXPIRED"), "certificate has expired"),
    "no client certificate": (
        lambda broker, _: {name: text for name, text in broker.certificate().items() if not name.startswith(OWN)},
        "KAFKA_SSL_CERTIFICATE_LOCATION",
    ),
}
"""What is refused, the settings that have it (of the broker and a strange authority), and what has to be said."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("what", REFUSED)
def test_a_client_that_is_refused_ends_at_once(secured, tmp_path, what, client):
    """It does not wait for brokers that are up, and names the setting."""
    settings, said = REFUSED[what]
    variables = settings(secured, Authority(tmp_path))
    connection = Connection(**{MEMBERS[name]: text for name, text in variables.items() if name in MEMBERS})
    began = time.monotonic()
    with pytest.raises(SettingsError, match=said):
        client(connection)
    assert time.monotonic() - began < FAST_S
