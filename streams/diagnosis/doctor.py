"""Examines an installation: asks everything that the checks need, and has it judged."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from consolidator.connecting.connection import Connection
from streams.configuration.settings import Settings
from streams.diagnosis.checks import cluster, here, workers
from streams.diagnosis.checks.partitions import PINNED_S
from streams.diagnosis.facts import Facts, KafkaFacts
from streams.diagnosis.finding import Check
from streams.diagnosis.gathering import look, with_second_look
from streams.diagnosis.reading.answer import Questions, Unanswered, ask, known
from streams.diagnosis.reading.brokers import ask_brokers
from streams.diagnosis.reading.layout import layout_of
from streams.diagnosis.reading.machine import look_at_directory, versions
from streams.diagnosis.reading.trial import try_transaction
from streams.diagnosis.status import Status
from streams.rulesets.catalogue_file import load_catalogue
from topics.cluster.admin_client import Cluster
from topics.cluster.authorization import missing_permissions
from topics.contract.declared import Topics
from topics.contract.permissions import Role, permissions

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["examine", "judge"]


def examine(
    settings: Settings,
    topics: Topics,
    connection: Connection | Unanswered,
    *,
    database: "URL | Unanswered | None",
    health: Iterable[str],
    tries: bool = False,
) -> Facts:
    """Ask everything.

    Args:
        settings: the settings.
        topics: the declared topics.
        connection: to Kafka, which has answered a moment ago; or why it cannot be reached.
        database: the sink's; None: none is configured.
        health: addresses of workers and sinks.
        tries: whether to try a transaction.
    """
    status = look(settings, topics, connection, database=database, health=health)
    kafka: KafkaFacts | Unanswered
    if isinstance(connection, Unanswered):
        kafka = connection
    else:
        status = with_second_look(status, topics, connection.librdkafka())
        kafka = _ask_kafka(settings, topics, connection, status, tries=tries)
    return Facts(
        topics,
        status,
        kafka,
        ask(lambda: look_at_directory(settings.state_dir, settings.app_id)),
        ask(lambda: load_catalogue(settings.catalogue)),
        settings.catalogue is not None,
        settings.adopt_ruleset,
        versions(),
    )


def _ask_kafka(
    settings: Settings, topics: Topics, connection: Connection, status: Status, *, tries: bool
) -> KafkaFacts:
    config = connection.librdkafka()
    cluster = Cluster(config)
    kafka = Questions(cluster.metadata)
    names = [topic.name for topic in topics]
    long = [pin for pin in known(status.pins) or () if (pin.age_s(status.at_ms) or 0) > PINNED_S]
    missing = kafka.ask(
        lambda: tuple(missing_permissions(permissions(Role.OPERATOR, topics, settings.app_id), cluster))
    )
    unseen = {one.name for one in known(missing) or ()}
    return KafkaFacts(
        missing,
        kafka.ask(lambda: cluster.find(name for name in names if name not in unseen)),
        kafka.ask(lambda: _ids(cluster, [name for name in names if name not in unseen])),
        kafka.ask(lambda: layout_of(cluster.metadata(), names)),
        kafka.ask(lambda: ask_brokers(connection, f"{settings.app_id}-0", long)),
        kafka.ask(lambda: try_transaction(config, settings.app_id, topics.executions.name)) if tries else None,
    )


def _ids(cluster: Cluster, names: list[str]) -> dict[str, str]:
    found = {name: cluster.identify(name, absence_s=0) for name in names}
    return {name: identity.topic_id for name, identity in found.items() if identity is not None}


def judge(facts: Facts) -> list[Check]:
    """What is well, what is wrong, and what could not be asked, in the order in which it is to be read.

    Args:
        facts: what was asked.
    """
    local = [here.catalogue(facts), here.state_directory(facts), here.database(facts), workers.health(facts)]
    if isinstance(facts.kafka, Unanswered):
        checks = [Check("kafka", not_asked=(facts.kafka.reason,)), *local, here.installed(facts)]
    else:
        checks = [
            cluster.broker(facts, facts.kafka),
            cluster.permitted(facts, facts.kafka),
            cluster.topics(facts, facts.kafka),
            workers.group(facts),
            workers.open_transactions(facts, facts.kafka),
            cluster.clock(facts, facts.kafka),
            *local,
            here.installed(facts),
        ]
    return [check for check in checks if check is not None]
