"""Tries a transaction, and whether the broker refuses offsets of a generation that there is not; commits nothing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from models.errors import AuthorizationError, InfrastructureError
from streams.worker.round import Membership
from streams.worker.transactions.group_metadata import group_metadata

__all__ = ["Trial", "failed_trial", "try_transaction"]

_LIMIT_S: Final = 20.0
_TIMEOUT_MS: Final = 30_000

_FENCED: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)

_SILENT: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""No answer says nothing about transactions; whether a coordinator is found is asked on its own."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        is_fenced: offsets under a generation that does not exist were refused.
        said: Kafka's word for that, or for what fails.
        works: whether a transaction can be begun and aborted at all.
    """

    is_fenced: bool
    said: str
    works: bool = True


def try_transaction(config: Mapping[str, str | int], app_id: str, topic: str) -> Trial:
    """Open a transaction, send it a group's offsets under a generation that does not exist, and abort it.

    It writes nothing into a topic of this project. Broker and coordinator remember the transactional id
    ``<app id>-doctor`` for as long as any.

    Args:
        config: for librdkafka.
        app_id: the prefix of the transactional id and of the group, which nobody else has.
        topic: the topic of the offset.

    Raises:
        AuthorizationError: this user may not try it.
        InfrastructureError: Kafka does not answer.
    """
    name = f"{app_id}-doctor"
    producer = Producer(
        {**config, "transactional.id": name, "transaction.timeout.ms": _TIMEOUT_MS, "log_level": 2, "linger.ms": 0}
    )
    metadata = group_metadata(Membership(group=name, generation=1, member="nobody", instance=None))
    try:
        producer.init_transactions(_LIMIT_S)
        producer.begin_transaction()
        try:
            producer.send_offsets_to_transaction([TopicPartition(topic, 0, 0)], metadata, _LIMIT_S)
        except KafkaException as error:
            # After a refusal the abort may fail as well: what failed first is to be told.
            with suppress(KafkaException):
                producer.abort_transaction(_LIMIT_S)
            return failed_trial(error.args[0], name, topic)
        producer.abort_transaction(_LIMIT_S)
    except KafkaException as error:
        return failed_trial(error.args[0], name, topic)
    return Trial(is_fenced=False, said="accepted")


def failed_trial(error: KafkaError, name: str, topic: str) -> Trial:
    """What an error of Kafka says about transactions.

    Args:
        error: the error.
        name: of the transactional id and of the group.
        topic: the topic of the offset.

    Raises:
        AuthorizationError: this user may not try it: nothing is known.
        InfrastructureError: Kafka does not answer: nothing is known either.
    """
    code = error.code()
    if code in _FENCED:
        return Trial(is_fenced=True, said=error.name())
    needed = {
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: f"Write on transactional id {name}",
        KafkaError.GROUP_AUTHORIZATION_FAILED: f"Read on group {name}",
        KafkaError.TOPIC_AUTHORIZATION_FAILED: f"Read on topic {topic}",
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "IdempotentWrite on the cluster",
    }
    if code in needed:
        raise AuthorizationError(f"a transaction was not tried: not permitted: {needed[code]}")
    if error.retriable() or code in _SILENT:
        raise InfrastructureError(f"a transaction was not tried: {error.str()}")
    return Trial(is_fenced=False, said=error.str(), works=False)
