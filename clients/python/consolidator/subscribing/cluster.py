"""What a subscription asks the cluster besides records: which topics there are, and where they begin and end."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    ConfigResource,
    ResourceType,
)

from consolidator.connecting.addresses import servers_text
from consolidator.connecting.connection_errors import ConnectionErrors
from consolidator.connecting.edges import edges_of
from consolidator.connecting.ends import ends_of, offsets_at
from consolidator.connecting.permissions import FORBIDDEN, not_permitted
from consolidator.connecting.read_errors import word_of
from consolidator.errors import AuthorizationError, ContractError, InfrastructureError, SettingsError

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["COMMITTED", "EVERYTHING", "REACH_S", "Cluster", "Described", "UnknownTopicError"]

COMMITTED: Final = IsolationLevel.READ_COMMITTED
EVERYTHING: Final = IsolationLevel.READ_UNCOMMITTED

REACH_S: Final = 10.0
"""Long enough for a broker that is starting, short enough for a person who mistyped a host name."""

_ATTEMPT_S: Final = 1.0
"""The time limit of one metadata request, after which connection errors are looked at."""

_POLL_S: Final = 0.1

_DEFAULT_RETENTION_MS: Final = 86_400_000
"""``delete.retention.ms`` of a topic for which nothing is set; the worker's topics have 30 days. It is what is supposed
where the cluster does not permit to look."""

_RETENTION: Final = "delete.retention.ms"

_UNKNOWN: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's name
    }
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Described:
    """The topics as they are now.

    Attributes:
        cluster: the cluster's id.
        changes: the id of ``factor-changes`` (KIP-516).
        factors: the id of ``factors``.
        partitions: how many both have.
        retention_ms: how long tombstones stay, in both.
    """

    cluster: str
    changes: str
    factors: str
    partitions: int
    retention_ms: int


class Cluster:
    """Asks the cluster. Every method blocks, for some seconds at most.

    Args:
        config: for librdkafka.
        prefix: of the topics' names.

    Attributes:
        changes: the name of the journal.
        factors: the name of the topic with the current factors.

    Raises:
        SettingsError: librdkafka refuses the configuration.
    """

    def __init__(self, config: Mapping[str, str | int], prefix: str) -> None:
        self.changes = f"{prefix}factor-changes"
        self.factors = f"{prefix}factors"
        self.servers = servers_text(config)
        self._errors = ConnectionErrors(config)
        try:
            watched: dict[str, Any] = {**config, "error_cb": self._errors.remember, "log_level": 2}
            self._admin = AdminClient(watched)
        except KafkaException as error:
            raise SettingsError(f"the Kafka connection settings are refused: {error.args[0].str()}") from error

    def describe(self, *, absence_s: float = REACH_S) -> Described:
        """Look at the topics.

        Args:
            absence_s: for how many seconds a topic has to be missing: it may just be created again.

        Raises:
            ContractError: a topic is not there, or both have different partition counts.
            AuthorizationError: the cluster does not permit to see a topic.
            InfrastructureError: the cluster does not answer.
            SettingsError: the credentials or certificates are refused.
        """
        deadline = time.monotonic() + absence_s
        cluster_id = self._reach()
        while True:
            futures = self._admin.describe_topics(
                TopicCollection([self.changes, self.factors]), request_timeout=REACH_S
            )
            found: dict[str, Any] = {}
            for name, future in futures.items():
                try:
                    found[name] = self._result(future, f"look at topic {name}", self._permission(name))
                except UnknownTopicError:
                    break
            else:
                break
            if time.monotonic() >= deadline:
                raise ContractError(
                    f"there is no topic {name} at {self.servers}: is CONSOLIDATOR_TOPIC_PREFIX the workers'? Where "
                    "they run, `consolidator topics apply` creates the topics"
                )
            time.sleep(_POLL_S)
        changes, factors = found[self.changes], found[self.factors]
        if len(changes.partitions) != len(factors.partitions):
            raise ContractError(
                f"{self.changes} has {len(changes.partitions)} partitions, {self.factors} has "
                f"{len(factors.partitions)}: both must have the same number. `consolidator topics check` explains it"
            )
        return Described(
            cluster_id, str(changes.topic_id), str(factors.topic_id), len(changes.partitions), self._retention_ms()
        )

    def ends(self, topic: str, partitions: Collection[int], isolation: IsolationLevel) -> dict[int, int]:
        """The last stable offset of each partition (read committed), or its high watermark.

        A leader that does not answer, or is being replaced, is asked again.

        Raises:
            InfrastructureError: there is no answer for one of them; the message names it and its leader.
        """
        return self._asked(
            lambda: ends_of(self._admin, topic, partitions, isolation, limit_s=REACH_S),
            f"read the end of {topic}",
            topic,
        )

    def edges(self, topic: str, partitions: Collection[int]) -> dict[int, tuple[int, int]]:
        """The first offset of each partition and its high watermark; raises as :meth:`ends`."""
        return self._asked(
            lambda: edges_of(self._admin, topic, partitions, settled=partitions, limit_s=REACH_S),
            f"read the ends of {topic}",
            topic,
        )

    def times(self, topic: str, partitions: Collection[int], milliseconds: int) -> dict[int, int | None]:
        """The first offset of each partition at or after a time; None: no record is so late. Raises as :meth:`ends`."""
        return self._asked(
            lambda: offsets_at(self._admin, topic, partitions, milliseconds, limit_s=REACH_S),
            f"read the offsets of a time in {topic}",
            topic,
        )

    def _permission(self, topic: str) -> str:
        return f"Read on topic {topic} ({'reads changes' if topic == self.changes else 'takes the snapshot'})"

    def _asked(self, question: Callable[[], _Answer], action: str, topic: str) -> _Answer:
        try:
            return question()
        except KafkaException as error:
            self._fail(error.args[0], action, self._permission(topic))

    def _retention_ms(self) -> int:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in (self.changes, self.factors)]
        futures = self._admin.describe_configs(resources, request_timeout=REACH_S)
        permission = f"DescribeConfigs on topics {self.changes}, {self.factors}"
        try:
            settings = [self._result(future, "read the topics' settings", permission) for future in futures.values()]
        except (AuthorizationError, UnknownTopicError):
            return _DEFAULT_RETENTION_MS
        return min(int(one[_RETENTION].value) for one in settings)

    def _reach(self) -> str:
        """The cluster's id, once one of its brokers answers."""
        deadline = time.monotonic() + REACH_S
        while True:
            try:
                return str(self._admin.list_topics(self.changes, timeout=_ATTEMPT_S).cluster_id)
            except KafkaException as error:
                self._admin.poll(0)
                self._errors.require_no_refusal()
                if time.monotonic() >= deadline:
                    reason = self._errors.last or error.args[0]
                    raise InfrastructureError(
                        f"no Kafka broker answers at {self.servers} within {REACH_S:.0f} s: {word_of(reason)}. Is it "
                        "up, and does its listener speak the security protocol that is set (KAFKA_SECURITY_PROTOCOL)?"
                    ) from error

    def _result(self, future: "Future[Any]", action: str, permission: str) -> Any:
        try:
            # One second more than librdkafka's own limit, whose error says more.
            return future.result(timeout=REACH_S + 1)
        except TimeoutError as error:
            raise InfrastructureError(f"cannot {action}: no answer from {self.servers}") from error
        except KafkaException as error:
            self._fail(error.args[0], action, permission)

    def _fail(self, error: KafkaError, action: str, permission: str) -> NoReturn:
        if error.code() in _UNKNOWN:
            raise UnknownTopicError(f"cannot {action}: {word_of(error)}")
        if error.code() in FORBIDDEN:
            raise not_permitted(permission)
        self._admin.poll(0)
        self._errors.require_no_refusal()
        raise InfrastructureError(f"cannot {action} at {self.servers}: {word_of(error)}")


class UnknownTopicError(ContractError):
    """The broker does not know the topic: it was deleted, or the broker has not learnt of it yet."""
