"""The permissions of each role, as data: the smallest set with which it works. Each one is tested.

In Kafka, *Read* and *Write* imply *Describe*, so *Describe* is listed only where neither is. Nobody needs a permission
on the cluster: since Kafka 2.8, *Write* includes what an idempotent producer needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from topics.contract.declared import Topics

__all__ = ["Permission", "Resource", "Role", "erasing_transactions", "inspection", "permissions", "transactions"]


class Role(StrEnum):
    """Who connects."""

    WORKER = "worker"
    PUBLISHER = "publisher"
    READER = "reader"
    AUDITOR = "auditor"
    ERASER = "eraser"
    SINK = "sink"
    SUBSCRIBER = "subscriber"
    OPERATOR = "operator"
    ADMIN = "admin"


class Resource(StrEnum):
    """The kinds of resources in an access control list, as ``kafka-acls`` spells them."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


@dataclass(frozen=True, slots=True)
class Permission:
    """One operation on one resource.

    Args:
        operation: as ``kafka-acls`` spells it.
        resource: the kind.
        name: the resource's name, or what its name begins with.
        why: the purpose in a few words.
        prefixed: whether the name is a prefix.
    """

    operation: str
    resource: Resource
    name: str
    why: str
    prefixed: bool = False

    @property
    def pattern(self) -> str:
        """``literal`` or ``prefixed``."""
        return "prefixed" if self.prefixed else "literal"

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}{'*' if self.prefixed else ''}"


def permissions(role: Role, topics: Topics, app_id: str) -> list[Permission]:  # noqa: PLR0911 - one for each role
    """Every permission that a role needs, and no others.

    Args:
        role: who.
        topics: the declared topics.
        app_id: the consumer group's id and the transactional ids' prefix.
    """
    match role:
        case Role.WORKER:
            return [*_worker(topics, app_id)]
        case Role.PUBLISHER:
            name = topics.executions.name
            return [
                Permission("Write", Resource.TOPIC, name, "publishes events"),
                Permission("DescribeConfigs", Resource.TOPIC, name, "checks that the topic is as declared"),
            ]
        case Role.READER:
            return [
                *(
                    Permission("Read", Resource.TOPIC, topic.name, "reads what was consolidated")
                    for topic in (topics.factor_changes, topics.factors)
                ),
                Permission("Read", Resource.TOPIC, topics.erasures.name, "looks whether an application is erased"),
            ]
        case Role.AUDITOR:
            reasons = {
                topics.executions: "replays events",
                topics.factor_changes: "compares every change",
                topics.factors: "compares the current factors",
                topics.rulesets: "replays with the rulesets in force at each offset",
                topics.erasures: "knows which erasures count",
            }
            reading = [Permission("Read", Resource.TOPIC, topic.name, why) for topic, why in reasons.items()]
            return [*reading, Permission("Describe", Resource.GROUP, app_id, "asks how far the worker is")]
        case Role.ERASER:
            return [*_eraser(topics, app_id)]
        case Role.SINK:
            return [*_sink(topics, app_id)]
        case Role.SUBSCRIBER:
            return [*_subscriber(topics, app_id)]
        case Role.OPERATOR:
            return [*_operator(topics, app_id)]
        case Role.ADMIN:
            creation = [Permission("Create", Resource.TOPIC, topic.name, "creates it") for topic in topics]
            return [*creation, *inspection(topics)]


def _worker(topics: Topics, app_id: str) -> Iterator[Permission]:
    reasons = {
        topics.executions.name: {"Read": "reads events", "Write": "re-publishes events under their canonical key"},
        topics.factor_changes.name: {"Write": "publishes changes"},
        topics.factors.name: {"Write": "publishes the current factors"},
        topics.dlq.name: {"Write": "publishes dead letters"},
        topics.changelog.name: {"Read": "rebuilds its state", "Write": "keeps its state"},
        topics.rulesets.name: {"Read": "looks for other rulesets", "Write": "keeps its ruleset"},
        topics.erasures.name: {"Read": "knows which erasures count"},
    }
    for topic, operations in reasons.items():
        for operation, why in operations.items():
            yield Permission(operation, Resource.TOPIC, topic, why)
        yield Permission("DescribeConfigs", Resource.TOPIC, topic, "checks that the topic is as declared")
    yield Permission("Read", Resource.GROUP, app_id, "shares the partitions, commits offsets")
    yield transactions(app_id)


def _eraser(topics: Topics, app_id: str) -> Iterator[Permission]:
    for topic in (topics.executions, topics.factor_changes, topics.factors, topics.dlq):
        yield Permission("Read", Resource.TOPIC, topic.name, "finds what is about the application")
        yield Permission("Write", Resource.TOPIC, topic.name, "writes tombstones")
        yield Permission("DescribeConfigs", Resource.TOPIC, topic.name, "tells until when bytes remain")
    yield Permission("Read", Resource.TOPIC, topics.erasures.name, "looks what is confirmed")
    yield Permission("Write", Resource.TOPIC, topics.erasures.name, "confirms erasures, as nobody else may")
    yield Permission("Read", Resource.TOPIC, topics.rulesets.name, "looks from where on erasures are to be confirmed")
    yield Permission("Describe", Resource.GROUP, app_id, "asks whether the workers have taken it in")
    yield erasing_transactions(app_id)


def _sink(topics: Topics, app_id: str) -> Iterator[Permission]:
    reasons = {
        topics.executions: "reads events",
        topics.factor_changes: "reads changes",
        topics.dlq: "knows which events do not count",
        topics.rulesets: "looks which processors keep what a rerun replaces",
        topics.erasures: "knows which erasures count",
    }
    for topic, why in reasons.items():
        yield Permission("Read", Resource.TOPIC, topic.name, why)
    yield Permission("Describe", Resource.GROUP, app_id, "asks how far the worker is")
    yield Permission("Read", Resource.GROUP, f"{app_id}-sink-", "shares the partitions", prefixed=True)


def _subscriber(topics: Topics, app_id: str) -> Iterator[Permission]:
    reasons = {
        topics.factors: "takes the snapshot",
        topics.factor_changes: "reads changes",
        topics.executions: "wait_for: finds the copy of an event that came under another key",
        topics.dlq: "wait_for: reads why an event is a dead letter",
    }
    for topic, why in reasons.items():
        yield Permission("Read", Resource.TOPIC, topic.name, why)
    for topic in (topics.factors, topics.factor_changes):
        yield Permission("DescribeConfigs", Resource.TOPIC, topic.name, "knows for how long it may be away")
    yield Permission("Describe", Resource.GROUP, app_id, "wait_for: asks how far the worker is")
    yield Permission(
        "Read", Resource.GROUP, f"{app_id}-subscriber-", "a group of members shares the partitions", prefixed=True
    )


def _operator(topics: Topics, app_id: str) -> Iterator[Permission]:
    reasons = {
        topics.executions.name: "how long the first record waits; who has a transaction open",
        topics.dlq.name: "counts open dead letters",
        topics.rulesets.name: "looks which rulesets the partitions have",
    }
    for topic in topics:
        if topic.name in reasons:
            yield Permission("Read", Resource.TOPIC, topic.name, reasons[topic.name])
        else:
            yield Permission("Describe", Resource.TOPIC, topic.name, "looks where it ends; never reads it")
        yield Permission("DescribeConfigs", Resource.TOPIC, topic.name, "checks that it is as declared")
    yield Permission("Describe", Resource.GROUP, app_id, "who has which partitions, and how far each one is")
    yield Permission("Describe", Resource.GROUP, f"{app_id}-sink-", "who keeps databases", prefixed=True)
    yield Permission(
        "Describe", Resource.TRANSACTIONAL_ID, f"{app_id}-", "whose transaction is open, since when", prefixed=True
    )


def transactions(app_id: str) -> Permission:
    """The permissions for the worker's transactions."""
    return Permission("Write", Resource.TRANSACTIONAL_ID, f"{app_id}-", "one transaction a batch", prefixed=True)


def erasing_transactions(app_id: str) -> Permission:
    """The permissions for transactions that write an erasure and its entry."""
    return Permission(
        "Write", Resource.TRANSACTIONAL_ID, f"{app_id}-eraser-", "an erasure and its entry together", prefixed=True
    )


def inspection(topics: Topics) -> Iterator[Permission]:
    """The permissions for comparing the topics with their declaration."""
    for topic in topics:
        yield Permission("Describe", Resource.TOPIC, topic.name, "looks whether it exists")
        yield Permission("DescribeConfigs", Resource.TOPIC, topic.name, "checks that it is as declared")
