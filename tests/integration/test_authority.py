"""Real access control lists: who may publish can neither erase nor lift nor adopt, with old bytes neither."""

import json

import pytest
from confluent_kafka import KafkaError, Producer

from consolidator.keys import event_key, partition_of
from streams.configuration.connection import connection_of
from streams.configuration.settings import Settings
from tests.inputs.workloads import to_json
from tests.real_kafka.adoptions import adoptions, going_over, next_catalogue_in, wait_gone_over
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.secured_installation import SecuredInstallation
from topics.contract.permissions import Role
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.dead_letter_format import CLASS
from topics.records.erasures import ERASURE_PREFIX, erasure_of, parse_erasure

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

REFUSED = 2
VICTIM = "victim/1"


def event(number):
    return {
        "event_id": f"v-{number}",
        "application_id": VICTIM,
        "execution_id": f"execution-{number}",
        "processor": "bank_statement",
        "status": "completed",
        "occurred_at": f"2026-03-01T09:00:{number:02d}Z",
        "output": {"factors": {"f_revenue_monthly": number}},
    }


class Parties:
    """A worker that gets in by the open door, and a client that proves who it is and has one role at a time."""

    def __init__(self, broker, directory):
        self.inside = Installation(broker.open_servers, directory / "inside")
        self.inside.create_topics()
        self.client = SecuredInstallation(
            broker, directory / "client", broker.scram() | {"CONSOLIDATOR_APP_ID": self.inside.name}
        )
        self.home = partition_of(VICTIM, self.inside.partitions)
        self.worker = self.inside.start().wait_ready(self.inside.partitions)

    def close(self):
        self.client.close()
        self.inside.close()

    def produce(self, topic, key, value):
        """What the client's own producer comes to: None, or why it was refused."""
        config = connection_of(Settings.model_validate(self.client.variables)).librdkafka()
        errors = []
        producer = Producer(config | {"log_level": 2})
        producer.produce(topic.name, value, key, self.home, on_delivery=lambda error, _: errors.append(error))
        assert producer.flush(LIMIT_S) == 0
        return None if errors[0] is None else errors[0].code()

    def publish(self, key, value):
        self.client.permit(Role.PUBLISHER)
        assert self.produce(self.inside.topics.executions, key, value) is None
        self.inside.wait_consumed(self.worker)

    def publish_event(self, number):
        found = event(number)
        self.publish(event_key(VICTIM, found["event_id"]), to_json(found))

    def verdicts(self):
        """The reasons of all dead letters, in their order."""
        letters = self.inside.read(self.inside.topics.dlq.name)
        return [dict(letter.headers)[CLASS].decode() for letter in letters]

    def known(self):
        """Whether a worker has factors of the application."""
        records = self.inside.read(self.inside.topics.factors.name)
        return {one.key: one.value for one in records}.get(event_key(VICTIM, "bank_statement")) is not None

    def source(self, prefix):
        records = self.inside.read(self.inside.topics.executions.name)
        return [record for record in records if (record.key or b"").startswith(prefix) and record.value]


@pytest.fixture
def parties(secured, tmp_path):
    found = Parties(secured, tmp_path)
    try:
        yield found
    finally:
        found.close()


def test_a_publisher_cannot_erase_and_an_eraser_can(parties):
    """Forged records, entries and old bytes do nothing but dead letters; the command works with the eraser's list."""
    topics = parties.inside.topics
    parties.publish_event(1)
    assert parties.known()
    forged = erasure_of(VICTIM, bytes(16))
    parties.publish(forged.key, forged.value)
    entry = (forged.entry_key(parties.home, 1), forged.entry_value)
    assert parties.produce(topics.erasures, *entry) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    refused = parties.client.command("erase", VICTIM, "--yes")
    assert (refused.code, f"Write on topic {topics.erasures.name}" in refused.stderr) == (REFUSED, True), refused
    parties.publish_event(2)
    assert parties.known()
    assert parties.verdicts() == ["unconfirmed_erasure"]

    parties.client.permit(Role.ERASER)
    done = parties.client.command("erase", VICTIM, "--yes", "--format", "json")
    assert (done.code, json.loads(done.stdout)["erased"]) == (0, True), done
    assert not parties.known()
    [_, record] = parties.source(ERASURE_PREFIX)
    erased = parse_erasure(record.key, record.value)
    lift = erasure_of(VICTIM, erased.salt, lifted=True)
    parties.publish(lift.key, lift.value)
    parties.publish_event(3)
    assert not parties.known()
    assert parties.verdicts()[-2:] == ["unconfirmed_erasure", "application_erased"]

    parties.client.permit(Role.ERASER)
    assert parties.client.command("erase", VICTIM, "--lift", "--yes").code == 0
    parties.publish_event(4)
    assert parties.known()
    # The very bytes that were an erasure once, at another offset.
    parties.publish(record.key, record.value)
    parties.publish_event(5)
    assert parties.known()
    assert parties.verdicts()[-1] == "unconfirmed_erasure"

    parties.client.permit(Role.AUDITOR)
    verified = parties.client.command("replay", "--verify")
    assert verified.code == 0, verified
    parties.client.permit(Role.READER)
    assert parties.client.command("factors", VICTIM).code == 0


def test_what_a_publisher_can_do_is_a_tombstone_for_one_event(parties):
    """As the page on security says it: the other events of the application stay."""
    parties.publish_event(1)
    parties.publish_event(2)
    parties.publish(event_key(VICTIM, "v-1"), None)
    records = parties.inside.read(parties.inside.topics.factors.name)
    [last] = [json.loads(one.value) for one in records if one.value][-1:]
    assert last["executions"]["contributors"] == ["execution-2"]


def test_a_publisher_cannot_adopt_a_ruleset(parties, tmp_path):
    """Neither with a record of its own, nor with that of a true adoption, written again; nor may it write entries."""
    topics = parties.inside.topics
    parties.publish_event(1)
    value = json.dumps({"schema_version": 1, "adopts": "b" * 64, "instead_of": "a" * 64}).encode()
    parties.publish(ADOPTION_PREFIX + b"x", value)
    entry = f"adoption/{parties.home}/1".encode()
    assert parties.produce(topics.rulesets, entry, value) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert parties.verdicts() == ["invalid_adoption"]

    parties.worker.stop()
    catalogue = next_catalogue_in(tmp_path)
    parties.worker = parties.inside.start(**going_over(catalogue)).wait_ready(parties.inside.partitions)
    # The others are empty, and have nothing to go over with.
    wait_gone_over(parties.worker, partitions=1)
    [adopted] = [one for one in parties.source(ADOPTION_PREFIX) if one.partition == parties.home][1:]
    parties.publish(adopted.key, adopted.value)
    parties.publish_event(2)
    assert parties.verdicts() == ["invalid_adoption"] * 2
    assert adoptions(parties.inside)[parties.home] == 3, "one is true"
    parties.client.permit(Role.AUDITOR)
    verified = parties.client.command("replay", "--verify", CONSOLIDATOR_CATALOGUE=str(catalogue))
    assert verified.code == 0, verified
