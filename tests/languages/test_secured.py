"""Passwords and certificates, with the worker's own environment variables and a reader's own permissions."""

from pathlib import Path

import pytest

from tests.languages.programs import Program, in_every_language
from tests.languages.publisher import Publisher
from tests.real_kafka.secured_broker import KEY_PASSWORD, PASSWORD, SecuredBroker
from tests.real_kafka.secured_installation import SecuredInstallation, require_no_secret
from topics.contract.permissions import Role

pytestmark = [pytest.mark.languages, pytest.mark.kafka, in_every_language]

WAYS = {
    "SASL_PLAINTEXT, SCRAM-SHA-256": lambda broker: broker.scram(),
    "SASL_PLAINTEXT, PLAIN": lambda broker: broker.scram(mechanism="PLAIN"),
    "SASL_SSL, SCRAM-SHA-512": lambda broker: broker.scram("SASL_SSL", "SCRAM-SHA-512"),
    "SSL, client certificate": lambda broker: broker.certificate(),
    "SSL, client certificate with an encrypted key": lambda broker: (
        broker.certificate(broker.encrypted_client) | {"KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD}
    ),
}


@pytest.fixture
def published(secured: SecuredBroker, tmp_path: Path) -> SecuredInstallation:
    """One application, published by a super user; the reader may read, and no more."""
    installation = SecuredInstallation(secured, tmp_path, {})
    # The tests use the open listener; the examples get the settings of another one.
    installation.variables["KAFKA_BOOTSTRAP_SERVERS"] = secured.open_servers
    installation.create_topics()
    installation.permit(Role.READER)
    worker = Publisher(installation)
    with worker.committed():
        worker.both("app-1", 1, 10)
    return installation


def run(program: Program, installation: SecuredInstallation, connection: dict[str, str]):
    """Run the example; it must not show a secret."""
    done = program.run(installation.variables | connection, "--until-caught-up", "--deadline", "20")
    require_no_secret(done.stdout + done.stderr)
    return done


@pytest.mark.parametrize("way", WAYS)
def test_it_gets_in_over(program, published, secured, language, way):
    """The permissions of the role reader are enough. Go, and Java before 19, cannot decrypt a key: they say so."""
    done = run(program, published, WAYS[way](secured))
    if "encrypted" in way and (language == "go" or (language == "java" and done.returncode)):
        assert done.returncode == 2
        assert "KAFKA_SSL_KEY_PASSWORD: " in done.stderr
        return
    assert (done.returncode, done.stdout.count("app-1")) == (0, 1), done


def test_a_password_may_stand_in_a_file(program, published, secured, tmp_path):
    """The newline behind it does not belong to it; both at once are refused."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    connection = secured.scram() | {"KAFKA_SASL_PASSWORD_FILE": str(secret)}
    assert run(program, published, connection).returncode == 2
    connection.pop("KAFKA_SASL_PASSWORD")
    assert run(program, published, connection).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"KAFKA_SASL_PASSWORD": "another"}, 3),
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, 2),
        ({"KAFKA_SASL_USERNAME": ""}, 2),
        ({"KAFKA_SSL_CA_LOCATION": "/nowhere"}, 2),
    ],
)
def test_it_is_refused(program, published, secured, wrong, code):
    """A setting that cannot be used ends with 2, and Kafka's refusal with 3: both say why."""
    done = run(program, published, secured.scram("SASL_SSL", "SCRAM-SHA-512") | wrong)
    assert (done.returncode, done.stdout) == (code, "")
    assert "error: " in done.stderr
