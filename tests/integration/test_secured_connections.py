"""Passwords and certificates: both Kafka clients get in with one set of settings, and who does not is told why."""

import pytest

from tests.inputs.workloads import believable, to_json
from tests.real_kafka.certificates import Authority
from tests.real_kafka.secured_broker import KEY_PASSWORD, PASSWORD
from tests.real_kafka.secured_installation import SecuredInstallation, require_no_secret
from topics.contract.permissions import Role

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.thorough]

REFUSED = 2
FAST_S = 30.0
"""A refusal is known after a second or two, and the exit code tells that no time limit passed: that would be a 3. The
rest is for the start of Python on a machine with ten times as much work as cores."""

WAYS = {
    "SASL_PLAINTEXT, SCRAM-SHA-256": lambda broker: broker.scram(),
    "SASL_PLAINTEXT, PLAIN": lambda broker: broker.scram(mechanism="PLAIN"),
    "SASL_SSL, SCRAM-SHA-512": lambda broker: broker.scram("SASL_SSL", "SCRAM-SHA-512"),
    "SSL, client certificate": lambda broker: broker.certificate(),
    "SSL, client certificate with an encrypted key": lambda broker: (
        broker.certificate(broker.encrypted_client) | {"KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD}
    ),
}
CANARY = 483_927_561
"""A factor's value that may be in no log."""


@pytest.fixture
def connected(secured, tmp_path):
    """Make installations that are closed at the end of the test."""
    made = []

    def connect(variables):
        made.append(SecuredInstallation(secured, tmp_path / str(len(made)), variables))
        return made[-1]

    yield connect
    for installation in made:
        installation.close()


@pytest.mark.parametrize("way", WAYS)
def test_everything_works_over(way, secured, connected, conclude):
    """Topics, events, worker, tail and factors with the same settings; the laws hold, and nothing secret is said."""
    installation = connected(WAYS[way](secured) | {"CONSOLIDATOR_LOG_LEVEL": "debug"})
    installation.permit(*Role)
    assert installation.command("topics", "apply").code == 0
    assert installation.command("topics", "check").code == 0
    assert "does not exist" not in installation.command("topics", "list").stdout
    events = believable(81, 8)
    lines = b"\n".join(to_json(event) for event in [*(e for e in events if "event_id" in e), canary_event()])
    published = installation.command("publish", "-", "--skip-invalid", stdin=lines)
    assert published.code == 0, published
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    assert worker.listening_sockets() == []
    worker.stop()
    assert installation.command("tail", "factor-changes", "--from", "beginning", "--until-end").code == 0
    assert str(CANARY) in installation.command("factors", "canary-application").stdout
    require_no_secret(worker.log)
    assert '"level":"debug"' in worker.log
    assert str(CANARY) not in worker.log
    conclude(
        installation,
        scenario=f"secured: {way}",
        fault="a broker that lets nobody in without a password or a certificate",
        held="the laws; no secret and no factor value in a log at debug level",
        faults=0,
        seeds=(81,),
        state=installation.state_dir,
    )


def canary_event():
    return {
        "event_id": "canary-event",
        "application_id": "canary-application",
        "execution_id": "canary-execution",
        "processor": "a_processor_of_nobodys",
        "status": "completed",
        "occurred_at": "2025-03-03T09:00:00Z",
        "output": {"factors": {"f_canary": CANARY}},
    }


def without(settings, *names):
    """The settings less some of them."""
    return {name: value for name, value in settings.items() if name not in names}


def encrypted(broker, **more):
    """The settings of a client whose key is encrypted."""
    return broker.certificate(broker.encrypted_client) | more


WRONG = {
    "password": (
        lambda broker, _: broker.scram() | {"KAFKA_SASL_PASSWORD": f"wrong-{PASSWORD}"},
        "KAFKA_SASL_PASSWORD",
    ),
    "password over TLS": (
        lambda broker, _: broker.scram("SASL_SSL", "SCRAM-SHA-512") | {"KAFKA_SASL_PASSWORD": f"wrong-{PASSWORD}"},
        "KAFKA_SASL_PASSWORD",
    ),
    "user": (lambda broker, _: broker.scram() | {"KAFKA_SASL_USERNAME": "nobody"}, "KAFKA_SASL_USERNAME"),
    "authority": (
        lambda broker, stranger: broker.certificate() | {"KAFKA_SSL_CA_LOCATION": str(stranger.certificate)},
        "is from an authority that is not in KAFKA_SSL_CA_LOCATION",
    ),
    "host": (lambda broker, _: broker.certificate(listener="OTHER_HOST"), "certificate is for another host"),
    "expired": (lambda broker, _: broker.certificate(listener="EXPIRED"), "certificate has expired: renew it"),
    "no client certificate": (
        lambda broker, _: without(broker.certificate(), "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"),
        "KAFKA_SSL_CERTIFICATE_LOCATION",
    ),
    "client certificate of a stranger": (
        lambda broker, stranger: broker.certificate(stranger.client("stranger")),
        "KAFKA_SSL_CERTIFICATE_LOCATION",
    ),
    "no key password": (lambda broker, _: encrypted(broker), "KAFKA_SSL_KEY_PASSWORD is not set"),
    "key password": (
        lambda broker, _: encrypted(broker, KAFKA_SSL_KEY_PASSWORD=f"wrong-{KEY_PASSWORD}"),
        "KAFKA_SSL_KEY_PASSWORD does not decrypt it",
    ),
    "no authority's file": (
        lambda broker, _: broker.certificate() | {"KAFKA_SSL_CA_LOCATION": str(broker.client.key)},
        "is no file of certificates",
    ),
}
"""What is wrong, the settings that have it (of the broker and a strange authority), and what the message has to say."""


@pytest.mark.parametrize("name", WRONG)
def test_a_connection_that_cannot_be_made_ends_fast_and_says_what_to_do(name, secured, connected, tmp_path):
    """The worker and the other commands end with exit code 2 within seconds, and show no secret, with debug neither."""
    settings, expected = WRONG[name]
    installation = connected(settings(secured, Authority(tmp_path)) | {"CONSOLIDATOR_LOG_LEVEL": "debug"})
    for command in (("run",), ("topics", "check"), ("factors", "app-1")):
        done = installation.command(*command)
        assert done.code == REFUSED, done
        assert done.seconds < FAST_S, done
        assert expected in done.stderr, done
        assert "Traceback" not in done.said


def test_the_wrong_protocol_is_hinted_at(secured, connected):
    """A client that speaks plain text to a TLS listener is told which setting to look at, and exits with 3."""
    installation = connected({"KAFKA_BOOTSTRAP_SERVERS": secured.listeners["SSL"]})
    done = installation.command("run")
    assert done.code == 3
    assert "KAFKA_SECURITY_PROTOCOL" in done.stderr


def test_no_secret_is_in_help_or_settings_errors(secured, connected):
    """Neither ``--help`` nor a refused setting shows what the environment holds."""
    installation = connected(secured.scram() | {"KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD})
    assert installation.command("run", "--help").code == 0
    refused = installation.command("run", KAFKA_SASL_MECHANISM=f"{PASSWORD}-as-mechanism")
    assert refused.code == REFUSED
    assert "KAFKA_SASL_MECHANISM" in refused.stderr
