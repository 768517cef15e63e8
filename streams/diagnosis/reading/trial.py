"""Tries a transaction, and whether the broker refuses offsets of a generation that there is not; commits nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from models.errors import InfrastructureError
from streams.worker.round import Membership
from streams.worker.transactions.group_metadata import group_metadata

__all__ = ["Trial", "try_transaction"]

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


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        is_fenced: offsets under a generation that does not exist were refused.
        said: Kafka's word for that.
    """

    is_fenced: bool
    said: str


def try_transaction(config: Mapping[str, str | int], app_id: str, topic: str) -> Trial:
    """Open a transaction, send it a group's offsets under a generation that does not exist, and abort it.

    It writes nothing into a topic of this project. Broker and coordinator remember the transactional id
    ``<app id>-doctor`` for as long as any.

    Args:
        config: for librdkafka.
        app_id: the prefix of the transactional id and of the group, which nobody else has.
        topic: the topic of the offset.

    Raises:
        InfrastructureError: transactions do not work.
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
            cause = error.args[0]
            if cause.code() not in _FENCED:
                raise
            return Trial(is_fenced=True, said=cause.name())
        finally:
            producer.abort_transaction(_LIMIT_S)
    except KafkaException as error:
        raise InfrastructureError(f"a transaction fails: {error.args[0].str()}") from error
    return Trial(is_fenced=False, said="accepted")
