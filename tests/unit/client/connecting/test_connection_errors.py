"""What is kept of a client's connection errors: why it was refused, whatever its next attempts say."""

import pytest
from confluent_kafka import KafkaError

from consolidator.connecting.connection_errors import ConnectionErrors
from models.errors import SettingsError

CONFIG = {"bootstrap.servers": "broker:9092"}
CLOSED = KafkaError(KafkaError._TRANSPORT, "disconnected")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


def remembering(*errors):
    found = ConnectionErrors(CONFIG)
    for error in errors:
        found.remember(error)
    return found


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (KafkaError(KafkaError._AUTHENTICATION, "invalid credentials"), "KAFKA_SASL_PASSWORD.*invalid credentials"),
        (KafkaError(KafkaError._SSL, "verify failed"), "no TLS connection to broker:9092.*KAFKA_SSL_CA_LOCATION"),
        (KafkaError(KafkaError._TRANSPORT, "SSL alert number 116"), "asks for one.*KAFKA_SSL_CERTIFICATE_LOCATION"),
    ],
)
def test_a_refusal_is_not_forgotten_for_the_errors_that_follow(refusal, said):
    """The broker closes the connection, and the next attempt may find it busy."""
    with pytest.raises(SettingsError, match=said):
        remembering(CLOSED, refusal, CLOSED, DOWN).require_no_refusal()


def test_brokers_that_are_down_refuse_nobody():
    found = remembering(CLOSED, DOWN)
    found.require_no_refusal()
    assert found.last is CLOSED
