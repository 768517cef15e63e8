"""An admin client for a Kafka cluster. Every call has a time limit, and its errors say who has to act."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AclOperation,
    AdminClient,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from consolidator.connecting.addresses import servers_text
from consolidator.connecting.connection_errors import ConnectionErrors
from consolidator.connecting.patience import ask_patiently
from models.errors import AuthorizationError, ConsolidatorError, ContractError, InfrastructureError, SettingsError
from topics.contract.declared import Topic
from topics.contract.drift import Found, Setting

# Long enough for a broker that is starting, short enough for a person who mistyped a host name.
REACH_TIMEOUT_S: Final = 10.0
# Creating topics makes files on every broker, so it gets more time than a query.
_CREATE_TIMEOUT_S: Final = 30.0
# The time limit of one metadata request, after which connection errors are checked.
_ATTEMPT_S: Final = 1.0
_POLL_S: Final = 0.1

# The id of a topic on brokers before 2.8, which give topics no id.
_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"

_REFUSALS: Final = frozenset(
    {
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_CONFIG,
        KafkaError.TOPIC_EXCEPTION,
    }
)
_UNKNOWN_TOPIC: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's name
    }
)
_FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_UNKNOWN: Final = _UNKNOWN_TOPIC | {KafkaError.GROUP_ID_NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the topic that has a name now.

    Attributes:
        topic_id: the topic's UUID (KIP-516) in base 64; "" where the cluster gives topics none.
        partitions: how many it has.
    """

    topic_id: str
    partitions: int


class Cluster:
    """An admin client with limits.

    Args:
        config: for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        timeout_s: seconds after which an unreachable cluster is an error.

    Raises:
        SettingsError: when librdkafka refuses the configuration (a certificate that cannot be read, for instance).
    """

    def __init__(self, config: Mapping[str, str | int], *, timeout_s: float = REACH_TIMEOUT_S) -> None:
        self._config = config
        self._servers = str(config.get("bootstrap.servers", ""))
        self._timeout_s = timeout_s
        self._errors = ConnectionErrors(config)
        # log_level 2: librdkafka would print each failed attempt on stderr, but this program reports them once.
        watched: dict[str, Any] = {**config, "error_cb": self._errors.remember, "log_level": 2}
        try:
            self._admin = AdminClient(watched)
        except KafkaException as error:
            raise SettingsError(f"the Kafka connection settings are refused: {error.args[0].str()}") from error

    @property
    def admin(self) -> AdminClient:
        """The client itself, for requests that this class does not have."""
        return self._admin

    def metadata(self) -> dict[str, TopicMetadata]:
        """Every topic that this client may see, by name. Creates none.

        Raises:
            SettingsError: at once, when the credentials or certificates are refused.
            InfrastructureError: when no broker answers in time.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._admin.list_topics(timeout=_ATTEMPT_S).topics
            except KafkaException as error:
                self._give_up_if_refused()
                if time.monotonic() >= deadline:
                    raise self._unreachable(error.args[0]) from error

    def find(self, names: Iterable[str]) -> dict[str, Found]:
        """Those of the named topics that exist, with their settings.

        Raises:
            ContractError: when we are not allowed to see a topic's settings.
            InfrastructureError: when no broker answers in time.
        """
        metadata = self.metadata()
        present = [name for name in names if name in metadata]
        if not present:
            return {}
        settings = self._settings(present)
        return {
            name: Found(
                partitions=len(metadata[name].partitions),
                replicas=frozenset(len(partition.replicas) for partition in metadata[name].partitions.values()),
                settings=settings[name],
            )
            for name in settings
        }

    def find_created(self, names: Iterable[str]) -> dict[str, Found]:
        """Like :meth:`find`, just after the topics were created: waits until the broker that answers knows them all.

        Brokers learn of a new topic one after the other, and each request may go to another broker.
        """
        wanted = list(names)
        deadline = time.monotonic() + self._timeout_s
        while True:
            found = self.find(wanted)
            if len(found) == len(wanted) or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL_S)

    def topic_operations(self, name: str) -> frozenset[str] | None:
        """What we are permitted to do with a topic, as ``kafka-acls`` spells it; None: the cluster does not say.

        It does not say for a topic that does not exist. For a topic that we may not see, the answer is that nothing is
        permitted.

        Raises:
            InfrastructureError: when no broker answers in time.
        """

        def ask() -> Future[Any]:
            future: Future[Any] = self._admin.describe_topics(
                TopicCollection([name]), include_authorized_operations=True, request_timeout=self._timeout_s
            )[name]
            return future

        return self._operations(ask, f"look at topic {name}")

    def group_operations(self, group: str) -> frozenset[str] | None:
        """What we are permitted to do with a consumer group; see :meth:`topic_operations`.

        Raises:
            InfrastructureError: when its coordinator does not answer in time.
        """

        def ask() -> Future[Any]:
            future: Future[Any] = self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=self._timeout_s
            )[group]
            return future

        return self._operations(ask, f"look at group {group}")

    def identify(self, name: str, *, absence_s: float) -> Identity | None:
        """The identity of a topic; None: there is no topic of that name.

        Args:
            name: the topic's name.
            absence_s: for how many seconds a topic has to be missing: brokers do not all learn of a new topic at once.

        Raises:
            ContractError: when we are not allowed to see the topic.
            InfrastructureError: when no broker answers in time.
        """
        deadline = time.monotonic() + absence_s
        while True:
            future = self._admin.describe_topics(TopicCollection([name]), request_timeout=self._timeout_s)[name]
            try:
                found = self._result(future, f"look at topic {name}", self._timeout_s)
            except _UnknownTopicError:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(_POLL_S)
                continue
            topic_id = str(found.topic_id)
            return Identity("" if topic_id == _NO_ID else topic_id, len(found.partitions))

    def create(self, topics: Iterable[Topic], *, partitions: int, replication_factor: int) -> list[str]:
        """Create topics, and return their names, without those that another client has created meanwhile.

        Raises:
            ContractError: when the cluster refuses (rights, policy, too few brokers for the replication).
            InfrastructureError: when no broker answers in time.
        """
        return self._create(_new(topics, partitions, replication_factor), validate_only=False)

    def creatable(self, topics: Iterable[Topic], *, partitions: int, replication_factor: int) -> list[str]:
        """The names of those topics that do not exist yet and could be created; creates none.

        The controller knows a new topic before the brokers that answer metadata requests.

        Raises:
            ContractError: when the cluster would refuse one of them; see :meth:`create`.
            InfrastructureError: when no broker answers in time.
        """
        return self._create(_new(topics, partitions, replication_factor), validate_only=True)

    def _create(self, wanted: list[NewTopic], *, validate_only: bool) -> list[str]:
        futures = self._admin.create_topics(
            wanted,
            request_timeout=_CREATE_TIMEOUT_S,
            operation_timeout=_CREATE_TIMEOUT_S,
            validate_only=validate_only,
        )
        created = []
        for name, future in futures.items():
            try:
                self._result(future, f"create topic {name}", _CREATE_TIMEOUT_S)
            except _AlreadyExistsError:
                continue
            except AuthorizationError as error:
                raise AuthorizationError(
                    f"{error} To do: grant Create on topic {name}, or on the cluster; `consolidator topics acls` lists "
                    "everything that a role needs"
                ) from error
            created.append(name)
        return created

    def wait_for_leaders(self, names: Iterable[str]) -> None:
        """Wait until every partition of the named topics has a leader.

        Raises:
            InfrastructureError: when one has none in time.
        """
        wanted = list(names)
        deadline = time.monotonic() + _CREATE_TIMEOUT_S
        while True:
            metadata = self.metadata()
            leaderless = [name for name in wanted if not _has_leaders(metadata.get(name))]
            if not leaderless:
                return
            if time.monotonic() >= deadline:
                raise InfrastructureError(
                    f"{', '.join(leaderless)}: a partition has no leader after {_CREATE_TIMEOUT_S:.0f} s "
                    f"at {servers_text(self._config)}"
                )
            time.sleep(_POLL_S)

    def _settings(self, names: list[str]) -> dict[str, dict[str, Setting]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=self._timeout_s)
        settings = {}
        for resource, future in futures.items():
            try:
                entries = self._result(future, f"read the settings of topic {resource.name}", self._timeout_s)
            except _UnknownTopicError:
                continue
            settings[resource.name] = {
                name: Setting(
                    value=entry.value or "",
                    # The C extension returns the source as a number, unlike the type hint.
                    overridden=ConfigSource(entry.source) is ConfigSource.DYNAMIC_TOPIC_CONFIG,
                )
                for name, entry in entries.items()
            }
        return settings

    def _operations(self, ask: Callable[[], Future[Any]], action: str) -> frozenset[str] | None:
        try:
            described = ask_patiently(lambda: ask().result(self._timeout_s + 1), limit_s=self._timeout_s)
        except TimeoutError as error:
            self._give_up_if_refused()
            raise self._no_answer(action, self._timeout_s) from error
        except KafkaException as error:
            if error.args[0].code() in _UNKNOWN:
                return None
            if error.args[0].code() in _FORBIDDEN:
                return frozenset()
            raise self._failure(error.args[0], action) from error
        operations = described.authorized_operations
        return None if operations is None else frozenset(_spelt(operation) for operation in operations)

    def _result(self, future: Future[Any], action: str, timeout_s: float) -> Any:
        try:
            # One second more than librdkafka's own limit, whose error says more.
            return future.result(timeout=timeout_s + 1)
        except TimeoutError as error:
            self._give_up_if_refused()
            raise self._no_answer(action, timeout_s) from error
        except KafkaException as error:
            raise self._failure(error.args[0], action) from error

    def _no_answer(self, action: str, timeout_s: float) -> InfrastructureError:
        return InfrastructureError(f"cannot {action}: no answer from {self._servers} in {timeout_s:.0f} s")

    def _failure(self, error: KafkaError, action: str) -> ConsolidatorError:
        """The error for a failed request. If the client is refused, librdkafka says only that no broker answers."""
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return _AlreadyExistsError(error.str())
        if error.code() in _UNKNOWN_TOPIC:
            return _UnknownTopicError(error.str())
        if error.code() in _FORBIDDEN:
            return AuthorizationError(f"the cluster does not permit to {action}: {error.name()}: {error.str()}")
        if error.code() in _REFUSALS:
            return ContractError(f"the cluster refuses to {action}: {error.name()}: {error.str()}")
        self._give_up_if_refused()
        return InfrastructureError(f"cannot {action} at {servers_text(self._config)}: {error.name()}: {error.str()}")

    def _unreachable(self, error: KafkaError) -> InfrastructureError:
        reason = self._errors.last or error
        return InfrastructureError(
            f"no Kafka broker answers at {servers_text(self._config)} within {self._timeout_s:.0f} s: "
            f"{reason.name()}: {reason.str()}. Is it up, and does its listener speak "
            f"{self._config.get('security.protocol', 'PLAINTEXT')} (KAFKA_SECURITY_PROTOCOL)?"
        )

    def _give_up_if_refused(self) -> None:
        self._admin.poll(0)
        self._errors.require_no_refusal()


class _AlreadyExistsError(ContractError):
    """The topic exists already, because another client has created it meanwhile."""


class _UnknownTopicError(ContractError):
    """The broker does not know the topic: it was deleted, or the broker has not learnt of it yet."""


def _new(topics: Iterable[Topic], partitions: int, replication_factor: int) -> list[NewTopic]:
    return [NewTopic(topic.name, partitions, replication_factor, config=dict(topic.config)) for topic in topics]


def _spelt(operation: AclOperation) -> str:
    return operation.name.title().replace("_", "")


def _has_leaders(topic: TopicMetadata | None) -> bool:
    return (
        topic is not None
        and topic.error is None
        and len(topic.partitions) > 0
        and all(partition.leader >= 0 for partition in topic.partitions.values())
    )
