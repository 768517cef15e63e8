"""A workload, published once and read by every side of a session."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.load.session import Session
from benchmarks.load.workload import Workload
from benchmarks.sides.plain_consolidation import reference
from consolidator.keys import partition_of
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.rulesets.binding import bind, bound_to
from tests.inputs.design_workload import Message
from topics.cluster.admin_client import Cluster
from topics.cluster.provisioning import apply
from topics.contract.declared import Topics
from topics.records.bindings import Binding

__all__ = [
    "HeldBack",
    "Source",
    "create",
    "create_topic",
    "declared_topics",
    "hand_over",
    "keyed",
    "produce",
    "publish",
    "worker_variables",
]

_DELIVERY_LIMIT_S = 120
_ADMIN_LIMIT_S = 30
_HELD_LIMIT_S = 600


@dataclass(frozen=True)
class Source:
    """A published workload.

    Attributes:
        workload: what was published.
        prefix: of the project's own topics.
        executions: the topic with the project's keys, which tell the event.
        by_application: the same records in the same partitions, keyed by application: what a user of the other
            libraries would ask for, as their state goes by the key. None: not published.
    """

    workload: Workload
    prefix: str
    executions: str
    by_application: str | None

    @cached_property
    def expected(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The final factors of every application and processor, computed here, apart from every side."""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        return reference(decode(message.value) for message in self.workload.messages())


def worker_variables(session: Session, source_prefix: str, app_id: str, workload: Workload) -> dict[str, str]:
    """The settings of this project's worker."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": session.servers,
        "CONSOLIDATOR_TOPIC_PREFIX": source_prefix,
        "CONSOLIDATOR_APP_ID": app_id,
        "CONSOLIDATOR_PARTITIONS": str(workload.partitions),
        "CONSOLIDATOR_STATE_DIR": str(session.directory / app_id),
        "CONSOLIDATOR_LOG_FORMAT": "json",
    }


def declared_topics(variables: Mapping[str, str]) -> Topics:
    """The topics that these settings mean."""
    return topics_of(Settings.model_validate(dict(variables)))


def hand_over(session: Session, source_prefix: str, app_id: str, topics: Topics) -> None:
    """Let a source's topics belong to an application id: each run of the worker is a new one on the same events."""
    bound = bound_to(session.config, topics)
    before = None if bound is None else bound.app_id
    if before != app_id:
        bind(session.config, topics, Binding(app_id, source_prefix, moved_from=before))


def create(session: Session, name: str, workload: Workload, *, for_peers: bool) -> Source:
    """Create a source's topics, empty.

    Args:
        session: where.
        name: tells this source from the session's others.
        workload: what will be published.
        for_peers: also create the topic that is keyed by application.
    """
    prefix = f"{session.name}-{name}-"
    topics = declared_topics(worker_variables(session, prefix, f"{session.name}-{name}-publisher", workload))
    apply(topics, session.config)
    by_application = f"{prefix}by-application" if for_peers else None
    if by_application is not None:
        create_topic(session, by_application, workload.partitions)
    return Source(workload, prefix, topics.executions.name, by_application)


def publish(session: Session, name: str, workload: Workload, *, for_peers: bool) -> Source:
    """Create a source's topics and publish its workload, all of it acknowledged; arguments as of :func:`create`."""
    source = create(session, name, workload, for_peers=for_peers)
    produce(session, source, workload.messages())
    return source


def create_topic(session: Session, name: str, partitions: int) -> None:
    """Create a topic with the broker's own settings."""
    # Kept in a name: without one it is gone before the answer is there.
    admin = AdminClient({**session.config})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(_ADMIN_LIMIT_S)
    Cluster(session.config, timeout_s=_ADMIN_LIMIT_S).wait_for_leaders([name])


def produce(session: Session, source: Source, messages: Iterable[Message]) -> None:
    """Publish messages into a source's topics and wait for every acknowledgement."""
    _send(Producer({**session.config, "linger.ms": 50, "compression.type": "lz4"}), source, messages)


def _send(producer: Producer, source: Source, messages: Iterable[Message]) -> None:
    partitions = source.workload.partitions
    for message in messages:
        partition = partition_of(message.application_id, partitions)
        for topic, key in keyed(source, message):
            _patiently(producer, partial(producer.produce, topic, message.value, key, partition))
    if producer.flush(_DELIVERY_LIMIT_S):
        raise SystemExit(f"the broker did not acknowledge the workload within {_DELIVERY_LIMIT_S} s")


class HeldBack:
    """A workload that is published in a transaction: read_committed readers see nothing of it before its release.

    Several workers can so be ready, with partitions and all, before the first event. The topic for the peers is left
    out: not all of them read committed records only.

    Args:
        session: where.
        source: created, and without the peers' topic.
    """

    def __init__(self, session: Session, source: Source) -> None:
        assert source.by_application is None, "a peer would see what is held back"
        self._producer = Producer(
            {
                **session.config,
                "transactional.id": f"{source.prefix}held-back",
                "transaction.timeout.ms": _HELD_LIMIT_S * 1_000,
                "linger.ms": 50,
                "compression.type": "lz4",
            }
        )
        self._producer.init_transactions(_DELIVERY_LIMIT_S)
        self._producer.begin_transaction()
        self.events = source.workload.events
        _send(self._producer, source, source.workload.messages())

    def release(self) -> None:
        """Make all of it readable."""
        self._producer.commit_transaction(_DELIVERY_LIMIT_S)


def keyed(source: Source, message: Message) -> list[tuple[str, bytes]]:
    """The topics of a source with the key that a message has in each."""
    found = [(source.executions, message.key)]
    if source.by_application is not None:
        found.append((source.by_application, message.application_id.encode()))
    return found


def _patiently(producer: Producer, send: Callable[[], None]) -> None:
    while True:
        try:
            send()
        except BufferError:
            producer.poll(0.1)
        else:
            return
