"""Topics on a real broker: created once, never altered, and every drift refused by name."""

import json
import time
from uuid import uuid4

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from consolidator.connecting.connection import Connection
from models.errors import ContractError, InfrastructureError, SettingsError
from streams.cli.main import cli
from tests.inputs.waiting import waiting
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import wait_until
from topics.cluster.provisioning import apply, check, existing, require
from topics.contract.declared import declare

pytestmark = pytest.mark.kafka

LIMIT_S = 20


@pytest.fixture
def config(kafka):
    return Connection(kafka).librdkafka()


@pytest.fixture
def admin(config):
    return AdminClient(config)


@pytest.fixture
def topics():
    """A declaration that no other test has."""
    name = f"t{uuid4().hex[:12]}"
    return declared(name)


def declared(name, **changes):
    wanted = {"partitions": 2, "replication_factor": 1, "audit_window_days": 761, "max_event_bytes": 262_144}
    return declare(f"{name}.", app_id=name, **wanted | changes)


def alter(admin, topic, setting, value):
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    answered(lambda ask_s: admin.incremental_alter_configs([resource], request_timeout=ask_s)[resource])


def create(admin, topic):
    there = {KafkaError.TOPIC_ALREADY_EXISTS}
    answered(lambda ask_s: admin.create_topics([topic], request_timeout=ask_s)[topic.topic], done=there)


def until_drift(topics, config):
    """The first drift that shows: a broker's answer may lag behind an alteration for a moment."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := check(topics, config)):
        assert time.monotonic() < deadline, "the alteration never showed"
        time.sleep(0.05)
    return found


def environment(kafka, topics, tmp_path):
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CONSOLIDATOR_TOPIC_PREFIX": topics.executions.name.removesuffix("executions"),
        "CONSOLIDATOR_APP_ID": topics.changelog.name.removesuffix("-consolidation-changelog"),
        "CONSOLIDATOR_PARTITIONS": str(topics.partitions),
        "CONSOLIDATOR_STATE_DIR": str(tmp_path),
    }


def test_apply_creates_what_is_missing_and_nothing_twice(topics, config):
    """The first apply creates every topic as declared, the second one nothing."""
    assert existing(topics, config) == frozenset()
    assert apply(topics, config) == [topic.name for topic in topics]
    assert check(topics, config) == []
    assert apply(topics, config) == []
    require(topics, config)


def test_apply_creates_only_the_missing_one(topics, config, admin):
    """A topic that already is as declared is left alone, and the others are added."""
    factors = topics.factors
    create(admin, NewTopic(factors.name, 2, 1, config=dict(factors.config)))
    assert apply(topics, config) == [topic.name for topic in topics if topic is not factors]


def test_every_partition_can_be_written_at_once_after_apply(topics, config):
    """When apply returns, a producer that does not retry finds a leader for every partition."""
    apply(topics, config)
    failed = []
    producer = Producer(config | {"retries": 0})
    for topic in topics:
        for partition in range(topics.partitions):
            producer.produce(
                topic.name,
                key=b"k",
                value=b"v",
                partition=partition,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
    assert producer.flush(LIMIT_S) == 0
    assert failed == []


def test_a_missing_topic_is_drift_that_a_worker_refuses(topics, config):
    """A worker that asks before the topics are created is told which one is missing, and the command to run."""
    assert [drift.topic for drift in check(topics, config)] == [topic.name for topic in topics]
    with pytest.raises(ContractError, match=rf"{topics.executions.name}: topic is missing.*\n(.*\n)*.*topics apply"):
        require(topics, config)


@pytest.mark.parametrize(
    "change",
    [
        ("executions", "cleanup.policy", "delete"),
        ("executions", "retention.ms", "1000"),
        ("executions", "retention.bytes", "1000000"),
        ("executions", "min.compaction.lag.ms", "0"),
        ("executions", "max.compaction.lag.ms", "9000000000000"),
        ("factor_changes", "cleanup.policy", "compact,delete"),
        ("factors", "delete.retention.ms", "0"),
        ("dlq", "retention.ms", "1000"),
        ("changelog", "max.message.bytes", "1000"),
        ("changelog", "message.timestamp.type", "CreateTime"),
    ],
)
def test_drift_is_refused_by_name_and_not_altered(topics, config, admin, change):
    """A changed setting is named with both values, apply refuses, and the topic stays as somebody wanted it."""
    attribute, setting, value = change
    apply(topics, config)
    name = getattr(topics, attribute).name
    alter(admin, name, setting, value)
    [drift] = until_drift(topics, config)
    assert (drift.topic, drift.setting, drift.actual) == (name, setting, value)
    with pytest.raises(ContractError, match=rf"{name}: {setting} is {value}, expected .*\nto do:\n.*{setting}"):
        apply(topics, config)
    assert check(topics, config) == [drift]


def test_another_partition_count_is_refused(topics, config):
    """A declaration with more partitions than the topics have is refused, as the count is fixed for life."""
    apply(topics, config)
    name = topics.changelog.name.removesuffix("-consolidation-changelog")
    with pytest.raises(ContractError, match=r"executions: partitions is 2, expected 3") as refused:
        apply(declared(name, partitions=3), config)
    assert "CONSOLIDATOR_PARTITIONS" in str(refused.value)


def test_another_replication_is_refused(topics, config):
    """A declared replication that the topics do not have is drift, by name."""
    apply(topics, config)
    name = topics.changelog.name.removesuffix("-consolidation-changelog")
    settings = {drift.setting for drift in check(declared(name, replication_factor=3), config)}
    assert settings == {"replication.factor", "min.insync.replicas"}


def test_where_one_topic_drifts_none_is_created(topics, config, admin):
    """Apply looks before it creates: a refusal leaves the cluster as it was."""
    name = topics.executions.name
    create(admin, NewTopic(name, 5, 1))
    with pytest.raises(ContractError, match="partitions is 5, expected 2"):
        apply(topics, config)
    assert existing(topics, config) == {name}


def test_what_the_cluster_refuses_says_so(topics, config):
    """A replication for which there are too few brokers is the cluster's refusal, with its words."""
    name = topics.changelog.name.removesuffix("-consolidation-changelog")
    with pytest.raises(ContractError, match=r"refuses to create topic .*INVALID_REPLICATION_FACTOR"):
        apply(declared(name, replication_factor=3), config)


def test_a_null_key_is_refused_by_the_broker(topics, config):
    """A compacted topic takes no record without a key: the producer is told, nothing is lost silently."""
    apply(topics, config)
    told = []
    producer = Producer(config)
    producer.produce(topics.executions.name, value=b"{}", on_delivery=lambda error, _: told.append(error.name()))
    producer.flush(LIMIT_S)
    assert told == ["INVALID_RECORD"]


def test_an_unreachable_broker_is_an_error_in_time(topics):
    """Nobody listening: an error that names the address and the setting, within the limit."""
    unreachable = pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:1 \(KAFKA_BOOTSTRAP_SERVERS\) within 2 s")
    with waiting() as waited_s, unreachable:
        check(topics, Connection("127.0.0.1:1").librdkafka(), timeout_s=2)
    assert waited_s() < 5


def test_settings_that_librdkafka_refuses_are_a_settings_error(topics, tmp_path):
    """A CA file that is no certificate is refused at once, before any connection."""
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    with pytest.raises(SettingsError, match="connection settings are refused"):
        check(topics, Connection("127.0.0.1:1", security_protocol="SSL", ssl_ca_location=str(broken)).librdkafka())


def test_command_line_applies_checks_and_lists(kafka, topics, tmp_path):
    """Apply creates, check then finds nothing, and list says that all exist."""
    runner = CliRunner(env=environment(kafka, topics, tmp_path))
    before = runner.invoke(cli, ["topics", "check", "--format", "json"])
    assert before.exit_code == 1
    assert {json.loads(line)["actual"] for line in before.stdout.splitlines()} == {"missing"}
    applied = runner.invoke(cli, ["topics", "apply", "--format", "json"])
    assert applied.exit_code == 0
    assert {json.loads(line)["state"] for line in applied.stdout.splitlines()} == {"created"}
    assert runner.invoke(cli, ["topics", "check"]).exit_code == 0
    listed = runner.invoke(cli, ["topics", "list", "--format", "json"])
    assert [json.loads(line)["exists"] for line in listed.stdout.splitlines()] == [True] * 7


def test_command_line_names_each_drift(kafka, topics, config, admin, tmp_path):
    """Check exits 1 with a line of topic, setting, expected and actual; apply raises the refusal that exits 2."""
    apply(topics, config)
    alter(admin, topics.executions.name, "retention.ms", "1000")
    until_drift(topics, config)
    runner = CliRunner(env=environment(kafka, topics, tmp_path))
    checked = runner.invoke(cli, ["topics", "check"])
    assert checked.exit_code == 1
    assert checked.stdout == f"{topics.executions.name}: retention.ms is 1000, expected -1\n"
    assert isinstance(runner.invoke(cli, ["topics", "apply"]).exception, ContractError)


def test_list_works_without_a_broker(topics, tmp_path):
    """With no broker at the address, the declaration is shown and existence is unknown."""
    runner = CliRunner(env=environment("127.0.0.1:1", topics, tmp_path))
    listed = runner.invoke(cli, ["topics", "list", "--format", "json"])
    assert listed.exit_code == 0
    assert [json.loads(line)["exists"] for line in listed.stdout.splitlines()] == [None] * 7


def test_the_fixture_is_a_real_broker(admin):
    """The tests above stand on a broker that refuses nonsense."""
    with pytest.raises(KafkaException):
        create(admin, NewTopic("no/slash", 1, 1))


@pytest.fixture
def drifted(kafka, tmp_path):
    """Topics of which one keeps records for a day only, and the command line for them."""
    installation = Installation(kafka, tmp_path)
    installation.create_topics()
    name = installation.topics.executions.name
    alter(installation.admin, name, "retention.ms", "86400000")
    alter(installation.admin, name, "max.message.bytes", "2000")
    until_drift(installation.topics, installation.config)
    yield name, CliRunner(env=installation.variables), installation
    installation.close()


def test_drift_is_altered_when_it_is_asked_for(drifted):
    """A dry run tells what --yes then does, and afterwards all is as declared."""
    name, runner, _ = drifted
    dry = runner.invoke(cli, ["topics", "apply", "--alter"])
    assert dry.exit_code == 0
    assert f"to alter   {name}: retention.ms 86400000 → -1\n" in dry.stdout
    assert "--yes does it" in dry.stderr
    check = runner.invoke(cli, ["topics", "check"])
    assert check.exit_code == 1
    assert "consolidator topics apply --alter" in check.stderr
    done = runner.invoke(cli, ["topics", "apply", "--alter", "--yes", "--format", "json"])
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()][:2] == [
        {"topic": name, "setting": "retention.ms", "expected": "-1", "actual": "86400000", "action": "altered"},
        {"topic": name, "setting": "max.message.bytes", "expected": "1048576", "actual": "2000", "action": "altered"},
    ]
    assert runner.invoke(cli, ["topics", "check"]).exit_code == 0


def test_what_would_remove_records_is_left_to_people(drifted):
    """Nothing at all is altered then, and the setting is named with the remedy."""
    name, runner, installation = drifted
    dlq = installation.topics.dlq.name
    alter(installation.admin, dlq, "retention.ms", "-1")
    wait_until(
        lambda: dlq in {drift.topic for drift in check(installation.topics, installation.config)},
        "the alteration to show",
        limit_s=LIMIT_S,
    )
    refused = runner.invoke(cli, ["topics", "apply", "--alter", "--yes"])
    assert isinstance(refused.exception, ContractError)
    assert f"{dlq}: retention.ms is -1" in str(refused.exception)
    assert f"{name}: " not in str(refused.exception)
    assert runner.invoke(cli, ["topics", "check"]).exit_code == 1
